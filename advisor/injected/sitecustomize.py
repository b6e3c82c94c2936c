"""Starts the hook in every Python of a recorded job, then the site's own sitecustomize as if this one were not here.

Nothing is imported that Python has not imported by itself: the folder of the user's script comes on the path later, and
a module of the standard library that we had loaded would then hide the user's file of that name.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
# Set by the recorder for the Pythons of its job. A job submitted from inside inherits them and must not act on them.
_VARIABLES = ("GSBATCH_JOB", "GSBATCH_MARKS", "GSBATCH_PLACE", "GSBATCH_SAMPLER", "GSBATCH_STOPS")
# With the first of these, what marks epochs is loaded.
_FRAMEWORKS = (
    "accelerate",
    "keras",
    "lightning",
    "pytorch_lightning",
    "tensorflow",
    "tf_keras",
    "torch",
    "transformers",
)


def _is_ours(entry):
    return os.path.abspath(entry or os.curdir) == _HERE


def _start_hook():
    if not _is_in_its_job():
        _leave_nothing()
        return
    node, step = os.environ.get("SLURMD_NODENAME", ""), os.environ.get("SLURM_STEP_ID", "batch")
    # Descendants of the recorder, or of a task that has named itself, find their own place here.
    if os.environ.get("GSBATCH_PLACE", node + "/" + step) != node + "/" + step:
        _load_package()
        from gsbatch_inside.epochs import tasks

        tasks.name_this_task(node, step)
    if any(name in sys.modules for name in _FRAMEWORKS):  # by a .pth file of the site
        _load_package()
        _mark_epochs()
    else:
        sys.meta_path.insert(0, _UntilAFramework())


def _is_in_its_job():
    """Whether this process belongs to the job that the recorder was made for: cluster, job and attempt."""
    made_for = os.environ.get("GSBATCH_JOB", "").split("/")
    if len(made_for) != 3 or "GSBATCH_MARKS" not in os.environ:
        return False
    names = ("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_RESTART_COUNT")
    # A script may unset Slurm's variables; another job has its own.
    return all(os.environ.get(name, value) == value for name, value in zip(names, made_for))


def _leave_nothing():
    """Neither this process nor what it starts shall have anything of a recorder that is not this job's."""
    for name in _VARIABLES:
        os.environ.pop(name, None)
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in entries if not entry or not _is_ours(entry)]
    if len(kept) == len(entries):
        return
    if any(kept):
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        del os.environ["PYTHONPATH"]


class _UntilAFramework:
    """Finds nothing by itself; gives its place to the finder that looks on, when a framework is looked for."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in _FRAMEWORKS:
            return None
        try:
            _load_package()
            from gsbatch_inside import post_import

            finder = sys.meta_path[sys.meta_path.index(self)] = post_import.PostImportFinder()
            finder.before_first(_FRAMEWORKS, _mark_epochs)
        except Exception:
            return None
        return finder.find_spec(fullname, path, target)


def _load_package():
    """Import ``gsbatch_inside`` without this folder on the path; its parts are then found through it."""
    if "gsbatch_inside" in sys.modules:
        return
    bootstrap, external = sys.modules["_frozen_importlib"], sys.modules["_frozen_importlib_external"]
    spec = external.PathFinder.find_spec("gsbatch_inside", [_HERE])
    package = sys.modules["gsbatch_inside"] = bootstrap.module_from_spec(spec)
    spec.loader.exec_module(package)


def _mark_epochs():
    from gsbatch_inside.epochs.start import start

    start(os.environ["GSBATCH_MARKS"])


try:
    sys.path[:] = [entry for entry in sys.path if not _is_ours(entry)]
    _start_hook()
except Exception:
    pass  # the training must not know that the hook failed; its run counts as one epoch
# What Python would have run had this folder not come first. Without one this ends as without us: nothing is imported.
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401

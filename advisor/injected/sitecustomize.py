"""Starts the hook in every Python of a recorded job, then the site's own sitecustomize as if this one were not here.

Nothing is imported that Python has not imported by itself: the folder of the user's script comes on the path later, and
a module of the standard library that we had loaded would then hide the user's file of that name. This file is short
because a Python that may not write compiled files beside it compiles it at each start.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
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


class _UntilAFramework:
    """Finds nothing by itself; gives its place to the finder that looks on, when a framework is looked for."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in _FRAMEWORKS:
            return None
        try:
            finder = _start().looking_on(_FRAMEWORKS)
            sys.meta_path[sys.meta_path.index(self)] = finder
        except Exception:
            return None
        return finder.find_spec(fullname, path, target)


def _start():
    """``gsbatch_inside.start``, imported without this folder on the path; its other parts are found through it."""
    if "gsbatch_inside" not in sys.modules:
        external = sys.modules["_frozen_importlib_external"]
        spec = external.PathFinder.find_spec("gsbatch_inside", [_HERE])
        package = sys.modules["gsbatch_inside"] = sys.modules["_frozen_importlib"].module_from_spec(spec)
        spec.loader.exec_module(package)
    from gsbatch_inside import start

    return start


try:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
    _get = os.environ.get
    # What the recorder set, beside what Slurm says of this process; a script may unset Slurm's variables.
    _job = tuple(_get("GSBATCH_JOB", "").split("/"))
    _own = (_get("SLURM_CLUSTER_NAME"), _get("SLURM_JOB_ID"), _get("SLURM_RESTART_COUNT"))
    if len(_job) != 3 or any(own not in (None, made_for) for own, made_for in zip(_own, _job)):
        _start().leave_nothing(_HERE)
    else:
        if _get("GSBATCH_PLACE", "") not in ("", _get("SLURMD_NODENAME", "") + "/" + _get("SLURM_STEP_ID", "batch")):
            _start().name_this_task()
        if any(name in sys.modules for name in _FRAMEWORKS):  # imported by a .pth file of the site
            _start().mark_epochs()
        else:
            sys.meta_path.insert(0, _UntilAFramework())
except Exception:
    pass  # the training must not know that the hook failed; its run counts as one epoch
# What Python would have run had this folder not come first. Without one this ends as without us: nothing is imported.
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401

"""Starts the hook in every Python of a recorded job, then the site's own sitecustomize as if this one were not here."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start_hook():
    path = os.environ.get("GSBATCH_MARKS")
    if not path:
        return
    from gsbatch_inside.epochs import sender

    node, step = os.environ.get("SLURMD_NODENAME", ""), os.environ.get("SLURM_STEP_ID", "batch")
    # Descendants of the recorder, or of a task that has named itself, find their own place here.
    if os.environ.get("GSBATCH_PLACE", node + "/" + step) != node + "/" + step:
        from gsbatch_inside.epochs import tasks

        path = tasks.marks_of_this_task(path, node, step)
    sender.start(path)


def _run_the_sites_own():
    """What Python would have run had this folder not come first; its errors are reported as Python reports them."""
    from importlib import util
    from importlib.machinery import PathFinder

    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is None or spec.loader is None:
        return
    module = util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _come_last():
    """Nothing of the user's may be shadowed by this folder."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE] + [_HERE]


try:
    _come_last()
    _start_hook()
except Exception:
    pass  # the training must not know that the hook failed; its run counts as one epoch
_run_the_sites_own()

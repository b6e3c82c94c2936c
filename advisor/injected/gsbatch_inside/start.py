"""What some starts of Python need beyond ``sitecustomize``; it imports nothing either that Python has not imported."""

import os

from . import post_import

# Set by the recorder for the Pythons of its job. A job submitted from inside inherits them and must not act on them.
VARIABLES = ("GSBATCH_JOB", "GSBATCH_MARKS", "GSBATCH_PLACE", "GSBATCH_SAMPLER", "GSBATCH_STOPS")


def leave_nothing(folder):
    """Neither this process nor what it starts shall have anything of a recorder that is not this job's."""
    for name in VARIABLES:
        os.environ.pop(name, None)
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in entries if not entry or os.path.abspath(entry) != folder]
    if len(kept) == len(entries):
        return
    if any(kept):
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        del os.environ["PYTHONPATH"]


def name_this_task():
    """A task that ``srun`` started, on the recorder's node or another, finds its own place to send marks to."""
    from .epochs import tasks

    tasks.name_this_task(os.environ.get("SLURMD_NODENAME", ""), os.environ.get("SLURM_STEP_ID", "batch"))


def looking_on(frameworks):
    """A finder that starts marking epochs when the script imports the first framework."""
    finder = post_import.PostImportFinder()
    finder.before_first(frameworks, mark_epochs)
    return finder


def mark_epochs():
    """Wait for the frameworks whose epochs can be seen."""
    from .epochs.start import start

    start(os.environ["GSBATCH_MARKS"])

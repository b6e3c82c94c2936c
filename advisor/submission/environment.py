"""The environment that sbatch is called in: the user's, without what an enclosing job put there."""

from __future__ import annotations

import os
from collections.abc import Mapping

from advisor.submission.real_sbatch import GUARD

# sbatch reads these as its own input, or its libraries need them to reach the controller.
_INPUT = frozenset({
    "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_SACK_JWKS", "SLURM_SACK_KEY",
    "SLURM_EXIT_ERROR", "SLURM_EXIT_IMMEDIATE", "SLURM_TIME_FORMAT", "SLURM_DEBUG_FLAGS", "SLURM_BITSTR_LEN",
    "SLURM_HINT",
})  # fmt: skip
# Of another installation or release too.
_INJECTED = os.path.join("advisor", "injected")  # noqa: PTH118 (pathlib is slow to load)
_JOB_PREFIXES = ("SLURM_", "SLURMD_", "SRUN_", "PMI_", "PMIX_", "PMI2_")
INJECTED_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "injected")  # noqa: PTH100, PTH118, PTH120 (pathlib takes a third as long to load as --help)
# Set by the recorder for the Pythons of its own job; advisor/injected/sitecustomize.py reads them.
RECORDING = frozenset({"GSBATCH_JOB", "GSBATCH_MARKS", "GSBATCH_PLACE", "GSBATCH_SAMPLER", "GSBATCH_STOPS"})
# Set by the generated script for its own second start only.
_OWN = frozenset({"GSBATCH_RECORDED", GUARD})


def submission_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What sbatch, and through ``--export=ALL`` the job, inherits.

    Inside a job (``SLURM_JOB_ID`` is set) the job's own SLURM_* and PMI variables are left out: an inherited
    SLURM_CPU_BIND or SLURM_NTASKS would shape the new job's steps. Outside a job nothing of the user's is touched.
    """
    is_in_job = "SLURM_JOB_ID" in environment
    return {
        name: value
        for name, value in without_recording(environment).items()
        if name not in _OWN and not (is_in_job and name.startswith(_JOB_PREFIXES) and name not in _INPUT)
    }


def without_recording(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what a recorder gave its own job: nothing of it may act in another one."""
    kept = {name: value for name, value in environment.items() if name not in RECORDING}
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    others = [entry for entry in entries if not entry.endswith(_INJECTED)]
    if len(others) < len(entries):
        del kept["PYTHONPATH"]
        if any(others):
            kept["PYTHONPATH"] = os.pathsep.join(others)
    return kept


def inherited_environment() -> dict[str, str]:
    """The environment that this process was started with, whatever Python made of its locale."""
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 (pathlib takes a third as long to load as --help)
            started_with = file.read()
    except OSError:
        started_with = b""
    return without_coerced_locale(os.environ, started_with)


def without_coerced_locale(environment: Mapping[str, str], started_with: bytes) -> dict[str, str]:
    """The environment without the LC_CTYPE that Python gives itself where no locale is set (PEP 538).

    A job would inherit it, and its programs would find another locale than under plain sbatch.

    Args:
        environment: this process's.
        started_with: the environment that it was started with, as /proc/self/environ has it; empty where unknown.
    """
    if not started_with or any(entry.startswith(b"LC_CTYPE=") for entry in started_with.split(b"\0")):
        return dict(environment)
    return {name: value for name, value in environment.items() if name != "LC_CTYPE"}

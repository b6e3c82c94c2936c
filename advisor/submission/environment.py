"""The environment that sbatch is called in: the user's, without what an enclosing job put there."""

from __future__ import annotations

from collections.abc import Mapping

# sbatch reads these as its own input, or its libraries need them to reach the controller.
_INPUT = frozenset({
    "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_SACK_JWKS", "SLURM_SACK_KEY",
    "SLURM_EXIT_ERROR", "SLURM_EXIT_IMMEDIATE", "SLURM_TIME_FORMAT", "SLURM_DEBUG_FLAGS", "SLURM_BITSTR_LEN",
    "SLURM_HINT",
})  # fmt: skip
_JOB_PREFIXES = ("SLURM_", "SLURMD_", "SRUN_", "PMI_", "PMIX_", "PMI2_")
# Set by the generated script for its own second start only.
_OWN = frozenset({"GSBATCH_RECORDED"})


def submission_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What sbatch, and through ``--export=ALL`` the job, inherits.

    Inside a job (``SLURM_JOB_ID`` is set) the job's own SLURM_* and PMI variables are left out: an inherited
    SLURM_CPU_BIND or SLURM_NTASKS would shape the new job's steps. Outside a job nothing of the user's is touched.
    """
    is_in_job = "SLURM_JOB_ID" in environment
    return {
        name: value
        for name, value in environment.items()
        if name not in _OWN and not (is_in_job and name.startswith(_JOB_PREFIXES) and name not in _INPUT)
    }

"""A job submitted from a job starts clean; a job submitted from a login node gets the user's environment as it is."""

from __future__ import annotations

from advisor.submission.environment import (
    INJECTED_FOLDER,
    RECORDING,
    submission_environment,
    without_coerced_locale,
)


def test_outside_a_job_nothing_of_the_users_is_touched() -> None:
    """Only our own marker is ours to remove."""
    variables = {"SLURM_CONF": "/etc/slurm.conf", "SLURM_ACCOUNT": "x", "SBATCH_PARTITION": "p", "HOME": "/h"}

    assert variables == submission_environment({**variables, "GSBATCH_RECORDED": "1"})


def test_inside_a_job_its_variables_stay_behind() -> None:
    """An inherited SLURM_CPU_BIND slows a fleet; SLURM_CONF and SLURM_CLUSTERS still say where to submit."""
    kept = {
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_CLUSTERS": "big",
        "SLURM_JWT": "token",
        "SBATCH_PARTITION": "p",
        "SBATCH_ACCOUNT": "a",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    poison = {
        "SLURM_JOB_ID": "1",
        "SLURM_CPU_BIND": "quiet,mask_cpu:0x1",
        "SLURM_NTASKS": "8",
        "SLURM_MEM_PER_NODE": "1",
        "PMIX_RANK": "0",
        "PMI_RANK": "0",
        "SRUN_DEBUG": "3",
    }

    assert kept == submission_environment({**kept, **poison})


def test_nothing_of_an_enclosing_recorder_is_inherited() -> None:
    """Its variables and its folder of PYTHONPATH stay in its own job; what is the user's stays."""
    own = {"GSBATCH_SPOOL_DIR": "/s", "PYTHONPATH": "/a:/b"}
    recorders = dict.fromkeys(RECORDING, "x") | {"PYTHONPATH": f"{INJECTED_FOLDER}:/a:/b"}

    assert own == submission_environment({**own, **recorders})
    assert {} == submission_environment({"PYTHONPATH": "/other/release/advisor/injected"})


def test_a_locale_that_python_gave_itself_is_not_the_users() -> None:
    """Without a locale Python sets LC_CTYPE (PEP 538); what the user set stays, and so does what cannot be told."""
    found = {"LC_CTYPE": "C.UTF-8", "A": "1"}

    assert {"A": "1"} == without_coerced_locale(found, b"A=1\0")
    assert found == without_coerced_locale(found, b"A=1\0LC_CTYPE=C.UTF-8\0")
    assert found == without_coerced_locale(found, b"")

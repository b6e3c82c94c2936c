"""The facts of a job's training, from the user's options, the script and earlier jobs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.corpus.history import facts_of_earlier_jobs
from advisor.inspection.batch_script import script_of_batch
from advisor.inspection.bounded_call import OutOfBounds, bounded_call
from advisor.inspection.inspect import ScriptToInspect, inspect
from advisor.inspection.workload import Workload
from advisor.inventory.read import default_cache_dir
from advisor.request.job import Job, spelled
from advisor.request.script import ScriptKind, interpreter_command
from advisor.request.slurm_variables import slurm_variables
from advisor.settings import AUTO
from advisor.submission.ticket import TrainingFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What is known of a job's training, and the Python file that it was found in, None where there is none."""

    workload: Workload
    training: TrainingFile | None


def inspect_job(job: Job, *, tell: Callable[[str], None], watch: Callable[[str], None] | None = None) -> Inspected:
    """Find the facts of the job's training; a Python script is dry-run where the settings allow it.

    Raises:
        UsageError: a stated fact has a mistake.
        ScriptError: there is no interpreter to run the script with.
    """
    script = _unless_root(_script_of(job), job.settings.probe)
    training = _training_file(script)
    workload = inspect(
        script,
        options=job.option_facts,
        directives=job.directive_facts,
        probe=job.settings.probe,
        environment=job.environment,
        tell=tell,
        watch=watch,
        cache_dir=None if job.is_test else default_cache_dir(job.environment),
        history=facts_of_earlier_jobs(
            job.settings.corpus,
            user=job.user,
            script_path=job.script_path,
            script_sha256=job.script.sha256,
            arguments=tuple(map(spelled, job.script.arguments)),
            training=training,
        ),
    )
    return Inspected(workload=workload, training=training)


def _unless_root(script: ScriptToInspect | str, probe: str) -> ScriptToInspect | str:
    """Root's mistakes reach further than a user's, so root asks for a dry run by name."""
    if isinstance(script, str) or probe != AUTO or os.geteuid() != 0 or script.opaque is not None:
        return script
    return replace(script, opaque="gsbatch runs as root (--probe dry-runs it all the same)")


def _training_file(script: ScriptToInspect | str) -> TrainingFile | None:
    """What is kept of the Python file that trains, so that the next job of it knows it again."""
    if isinstance(script, str):
        return None
    try:
        content = script.path.read_bytes()
    except OSError:
        return None
    return TrainingFile(
        path=spelled(str(script.path)),
        sha256=hashlib.sha256(content).hexdigest(),
        arguments=tuple(map(spelled, script.arguments)),
    )


def _script_of(job: Job) -> ScriptToInspect | str:
    """The Python script itself, or the one that a batch script starts; a text says why there is none to look at."""
    folder = Path(job.asked.options.get("chdir") or os.curdir).absolute()
    if job.script.kind is ScriptKind.PYTHON and job.script.path is not None:
        interpreter = interpreter_command(job.script, environment=job.environment, chosen=job.settings.python)
        gpus = slurm_variables(job.asked.options).get("SLURM_GPUS_ON_NODE", "1")
        return ScriptToInspect(
            path=job.script.path,
            arguments=job.script.arguments,
            interpreter=interpreter,
            folder=folder,
            gpus=int(gpus),
        )
    if job.script.kind is not ScriptKind.SHELL:
        return f"{job.script.name} is no Python script and no shell script: state facts with --set"
    try:
        return bounded_call(
            lambda: script_of_batch(
                job.script.header.body,
                arguments=job.script.arguments,
                environment=job.environment,
                slurm=slurm_variables(job.asked.options),
                folder=folder,
            )
        )
    except OutOfBounds:
        return f"{job.script.name} takes too long or too much memory to read: state facts with --set"

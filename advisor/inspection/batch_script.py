"""Which of the Python commands of a batch script is the training, and what is known of how the job will run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advisor.inspection.configuration import read_configuration
from advisor.inspection.inspect import ScriptToInspect
from advisor.inspection.interpreters import interpreter_path
from advisor.inspection.launch import ACCELERATE_PRECISION, Launch, find_launches
from advisor.inspection.launchers import number
from advisor.inspection.source_code import read_source
from advisor.inspection.workload import Fact, Source

# Launchers of processes that train together; srun and mpirun start anything.
_TRAINING_LAUNCHERS = frozenset({"torchrun", "torchrun-hpc", "accelerate", "deepspeed", "composer"})
# What they set for the one process that a dry run is.
_ALONE = {
    "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": "0", "ROLE_RANK": "0",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
}  # fmt: skip
_ALONE_OF_SRUN = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NTASKS": "1"}
_UNCOUNTED = "how many processes its launcher starts is not known: the batch size is that of one of them"


def script_of_batch(
    text: str, *, arguments: Sequence[str], environment: Mapping[str, str], slurm: Mapping[str, str], folder: Path
) -> ScriptToInspect | str:
    """The training that a batch script starts, or in words why none can be told.

    Args:
        text: the batch script.
        arguments: what sbatch gives it.
        environment: the user's.
        slurm: variables that Slurm will set in the job, as far as they are known.
        folder: the job's working folder.
    """
    variables = {"PWD": str(folder), **environment, **slurm, "SLURM_SUBMIT_DIR": str(folder)}
    launches = find_launches(text, arguments=arguments, variables=variables)
    files = [(launch, file) for launch in launches if (file := _file(launch, folder)) is not None]
    if not launches:
        return (
            "no Python command that can be told without a shell is in the batch script (other scripts that it starts, "
            "and programs given as text, are not read); state facts with --set"
        )
    if not files:
        launch = launches[0]
        return f"{launch.script or launch.module}, which the batch script starts, is not here; state facts with --set"
    training = files if len(files) == 1 else [pair for pair in files if _trains(*pair, environment, folder)]
    if len({file for _, file in training}) > 1 or len(training) > 1:
        counts = Counter(file.name for _, file in training)
        names = ", ".join(name if count == 1 else f"{name} {count} times" for name, count in counts.items())
        return f"the batch script starts several trainings ({names}): state the facts of all with --set"
    if not training:
        return "none of the Python scripts that the batch script starts trains anything that is known here"
    return _to_inspect(*training[0], environment, folder)


def _file(launch: Launch, folder: Path) -> Path | None:
    """The file of a launch; of ``python -m``, the module's or its package's ``__main__``."""
    folder = folder / (launch.folder or "")
    if launch.script is not None:
        path = folder / launch.script
        return path.absolute() if path.is_file() else None
    base = folder.joinpath(*(launch.module or "").split("."))
    return next((path.absolute() for path in (base.with_suffix(".py"), base / "__main__.py") if path.is_file()), None)


def _trains(launch: Launch, file: Path, environment: Mapping[str, str], folder: Path) -> bool:
    return read_source(
        file, launch.arguments, environment=environment, folder=folder / (launch.folder or ""), module=launch.module
    ).trains


def _to_inspect(launch: Launch, file: Path, environment: Mapping[str, str], folder: Path) -> ScriptToInspect:
    interpreter = interpreter_path(launch, environment=environment, folder=folder)
    facts: dict[str, Fact[Any]] = {}
    shares_training = launch.launcher in _TRAINING_LAUNCHERS or _is_distributed(file)
    configured = _accelerate_configuration(launch, environment, folder) if launch.launcher == "accelerate" else {}
    processes = (launch.processes or _processes_unsaid(launch, configured)) if shares_training else 1
    if processes is not None and processes > 1:
        facts["devices"] = Fact(processes, Source.LAUNCHER)
    if launch.launcher == "deepspeed":
        facts["strategy"] = Fact("deepspeed", Source.LAUNCHER)
    precision = launch.precision or ACCELERATE_PRECISION.get(str(configured.get("mixed_precision")))
    if precision is not None:
        facts["precision"] = Fact(precision, Source.LAUNCHER)
    return ScriptToInspect(
        path=file,
        arguments=launch.arguments,
        interpreter=(str(interpreter), *launch.interpreter[1:]) if interpreter is not None else launch.interpreter,
        module=launch.module,
        folder=folder / (launch.folder or ""),
        processes=processes or 1,
        variables=_variables(launch.launcher) if shares_training else {},
        facts=facts,
        notes=(*_notes(launch, environment), *([_UNCOUNTED] if processes is None else [])),
        opaque=_opaque(launch, interpreter),
    )


def _variables(launcher: str | None) -> Mapping[str, str]:
    if launcher == "srun":
        return _ALONE_OF_SRUN
    return _ALONE if launcher in _TRAINING_LAUNCHERS else {}


def _accelerate_configuration(launch: Launch, environment: Mapping[str, str], folder: Path) -> Mapping[str, Any]:
    """What ``accelerate config`` wrote: the file that the command names, else the user's own."""
    if launch.configuration is not None:
        path = folder / (launch.folder or "") / launch.configuration
    else:
        path = Path(environment.get("HOME", "/"), ".cache", "huggingface", "accelerate", "default_config.yaml")
    found = read_configuration(path)
    return found if isinstance(found, dict) else {}


def _processes_unsaid(launch: Launch, configured: Mapping[str, Any]) -> int | None:
    """Processes where the command states none: those configured, else one for each GPU of the node."""
    if "num_processes" in configured:
        return number(str(configured["num_processes"]))
    if launch.launcher in {"accelerate", "deepspeed"} and launch.configuration is None:
        return number(launch.variables.get("SLURM_GPUS_ON_NODE"))
    return None if launch.launcher in _TRAINING_LAUNCHERS else 1


def _is_distributed(file: Path) -> bool:
    """Whether processes of this script that srun or mpirun start can know of each other."""
    words = (
        "torch.distributed",
        "DistributedDataParallel",
        "horovod",
        "MultiWorkerMirroredStrategy",
        "jax.distributed",
    )
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(word in text for word in words)


def _opaque(launch: Launch, interpreter: Path | None) -> str | None:
    """Why a launch cannot be dry-run here as it is; None where it can be."""
    if launch.container is not None:
        return f"the job runs it in the container {launch.container}, whose Python is not here"
    if launch.environment_manager is not None:
        return f"{launch.environment_manager} chooses its Python in the job"
    if launch.unknown:
        return f"its command holds {', '.join(launch.unknown)}"
    if interpreter is None:
        where = f" of the environment {launch.conda}" if launch.conda else ""
        return f"its interpreter {launch.interpreter[0]}{where} is not here"
    return None


def _notes(launch: Launch, environment: Mapping[str, str]) -> tuple[str, ...]:
    notes = []
    if launch.repeated:
        notes.append("the batch script starts it in a loop: the facts are those of one round")
    loaded = environment.get("LOADEDMODULES", "").split(":")
    missing = [name for name in launch.modules if not any(name in (item, item.partition("/")[0]) for item in loaded)]
    if missing and launch.virtual_environment is None and launch.conda is None and "/" not in launch.interpreter[0]:
        notes.append(f"what module load {' '.join(missing)} brings is not known here: python is the one on PATH")
    return tuple(notes)

"""Which of the Python programs that a batch script starts is the training, and how the job will run it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advisor.inspection.configuration import read_configuration
from advisor.inspection.inspect import ScriptToInspect
from advisor.inspection.launch.interpreters import interpreter_path
from advisor.inspection.launch.launches import ACCELERATE_PRECISION, Launch, Launches, find_launches
from advisor.inspection.launch.wrappers import number
from advisor.inspection.shell.grammar import ShellNotReadable
from advisor.inspection.shell.state import HOLE
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
_NOTHING = "no Python command was found in the batch script; state facts with --set"
# Set by the shell itself, or the user's own in any case.
_SHELL_S_OWN = frozenset({"PWD", "OLDPWD", "OPTIND", "OPTARG", "_"})
_TASK = "SLURM_ARRAY_TASK_ID"
_MOST_BYTES = 256 * 1024


class _Kept:
    """A folder that is removed with the last reference to this value, at the latest when Python ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="gsbatch-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Program:
    """A launch with its Python file; ``rounds`` are the starts of the same command in a loop, this one first.

    ``kept`` is the folder of a program that was given as text: it is removed with the last reference to it.
    """

    launch: Launch
    file: Path
    rounds: tuple[Launch, ...] = ()
    kept: _Kept | None = None


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
    # Like bash, trust an inherited PWD only as long as nobody has changed the folder without it.
    variables = {**environment, **slurm, "PWD": _named_folder(folder, environment), "SLURM_SUBMIT_DIR": str(folder)}
    try:
        launches = find_launches(
            text,
            arguments=arguments,
            variables=variables,
            read_file=lambda path, here: _read_script(folder / (here or "") / path),
        )
    except ShellNotReadable as exc:
        return f"{exc}; state facts with --set"
    programs = [program for launch in launches.found if (program := _program(launch, folder)) is not None]
    if not programs:
        return _why_none(launches, folder)
    programs = _in_rounds(programs)
    # A single program is the training whatever its source says; one that is given as text is often a mere check.
    if len(programs) > 1 or programs[0].kept is not None:
        programs = [program for program in programs if _trains(program, environment)]
        programs = _agreed(programs)
    if not programs:
        return "none of the Python programs that the batch script starts trains anything that is known here"
    if len(programs) > 1:
        counts = Counter(_name(program) for program in programs)
        names = ", ".join(name if count == 1 else f"{name} {count} times" for name, count in counts.items())
        return f"the batch script starts several trainings ({names}): state the facts of all with --set"
    found = _to_inspect(programs[0], environment, folder, slurm)
    if _TASK in text and _TASK in slurm:
        note = f"of the job's array, the facts are those of its first task ({slurm[_TASK]})"
        return replace(found, notes=(*found.notes, note))
    return found


def _name(program: _Program) -> str:
    launch = program.launch
    return launch.module or (program.file.name if launch.text is None else "a program given as text")


def _why_none(launches: Launches, folder: Path) -> str:
    if launches.found:
        launch = launches.found[0]
        where = f" in {launch.folder}" if launch.folder is not None and launch.folder != str(folder) else ""
        return (
            f"{launch.script or launch.module}, which the batch script starts, is not here{where}; "
            "state facts with --set"
        )
    if launches.unclear:
        return f"the batch script starts {launches.unclear[0]}; state facts with --set"
    return _NOTHING


def _read_script(path: Path) -> str | None:
    """A shell or Python script that the batch script starts, None where it cannot be read or is no text."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _program(launch: Launch, folder: Path) -> _Program | None:
    """The file of a launch; of ``python -m``, the module's or its package's ``__main__``; None where it is not here."""
    here = folder / (launch.folder or "")
    if launch.text is not None:
        return _of_text(launch, launch.text)
    if launch.script is not None:
        path = here / launch.script
        if not path.is_file():
            return None
        return _of_notebook(launch, path) if path.suffix == ".ipynb" else _Program(launch, path.absolute())
    base = here.joinpath(*(launch.module or "").split("."))
    candidates = (base.with_suffix(".py"), base / "__main__.py")
    return next((_Program(launch, path.absolute()) for path in candidates if path.is_file()), None)


def _of_text(launch: Launch, text: str, *, name: str = "inline.py") -> _Program | None:
    """A program that is given as text, in a file of its own for as long as it is needed."""
    try:
        kept = _Kept()
        file = kept.path / name
        file.write_text(text, encoding="utf-8")
    except (OSError, ValueError):  # a full disk, or text that is no UTF-8
        return None
    return _Program(launch, file, kept=kept)


def _of_notebook(launch: Launch, path: Path) -> _Program | None:
    """The code of a notebook that is executed, without the lines that only Jupyter understands."""
    text = _read_script(path)
    try:
        cells = json.loads(text or "null")["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        return None
    lines = [line for source in sources if not source.startswith("%%") for line in [*source.split("\n"), ""]]
    return _of_text(
        launch, "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines), name=f"{path.stem}.py"
    )


def _in_rounds(programs: Sequence[_Program]) -> list[_Program]:
    """One program for each place of the script: of a loop, its first round with the others beside it."""
    groups: dict[tuple[int, ...], list[_Program]] = {}
    for program in programs:
        groups.setdefault(program.launch.standing, []).append(program)
    return [
        replace(group[0], rounds=tuple(program.launch for program in group))
        if len({program.launch.round for program in group}) == len(group)
        else replace(group[0], rounds=(group[0].launch,))
        for group in groups.values()
    ]


def _agreed(programs: list[_Program]) -> list[_Program]:
    """One program where all are the same file in arms of conditions that exclude each other."""
    if len(programs) < 2 or len({program.file for program in programs}) > 1:  # noqa: PLR2004 (one is no choice)
        return programs
    launches = [program.launch for program in programs]
    exclusive = all(_exclude(one, other) for position, one in enumerate(launches) for other in launches[position + 1 :])
    if not exclusive:
        return programs
    shared = tuple(
        items[0]
        for items in itertools.takewhile(
            lambda items: len(set(items)) == 1, zip(*(item.arguments for item in launches), strict=False)
        )
    )
    if all(launch.arguments == shared for launch in launches):
        return programs[:1]
    reason = "arguments, which an if of the batch script decides"
    return [
        replace(
            programs[0],
            launch=replace(launches[0], arguments=(*shared, HOLE), unknown=(*launches[0].unknown, reason)),
        )
    ]


def _exclude(one: Launch, other: Launch) -> bool:
    """Whether two launches stand in different arms of the same condition."""
    arms = dict(one.in_doubt)
    return any(node in arms and arms[node] != arm for node, arm in other.in_doubt)


def _trains(program: _Program, environment: Mapping[str, str]) -> bool:
    launch = program.launch
    return read_source(
        program.file,
        launch.arguments,
        environment={**environment, **_set_by_script(launch, environment)},
        folder=Path(launch.folder or program.file.parent),
        module="__main__" if program.kept is not None else launch.module,
    ).trains


def _to_inspect(
    program: _Program, environment: Mapping[str, str], folder: Path, slurm: Mapping[str, str]
) -> ScriptToInspect:
    launch = program.launch
    interpreter = interpreter_path(launch, environment=environment, folder=folder)
    facts: dict[str, Fact[Any]] = {}
    has_ranks = "WORLD_SIZE" in launch.variables or {"RANK", "WORLD_SIZE"} & {*launch.unknown_variables}
    shares_training = launch.launcher in _TRAINING_LAUNCHERS or bool(has_ranks) or _is_distributed(program.file)
    configured = _accelerate_configuration(launch, environment, folder) if launch.launcher == "accelerate" else {}
    processes = (launch.processes or _processes_unsaid(launch, configured)) if shares_training else 1
    if processes is not None and processes > 1:
        facts["devices"] = Fact(processes, Source.LAUNCHER)
    if launch.launcher == "deepspeed":
        facts["strategy"] = Fact("deepspeed", Source.LAUNCHER)
    precision = launch.precision or ACCELERATE_PRECISION.get(str(configured.get("mixed_precision")))
    if precision is not None:
        facts["precision"] = Fact(precision, Source.LAUNCHER)
    here = folder / (launch.folder or "")
    set_by_script = _set_by_script(launch, environment)
    if program.kept is not None:
        set_by_script["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(here), set_by_script.get("PYTHONPATH", environment.get("PYTHONPATH"))))
        )
    return ScriptToInspect(
        path=program.file,
        arguments=launch.arguments,
        interpreter=(str(interpreter), *launch.interpreter[1:]) if interpreter is not None else launch.interpreter,
        module=launch.module,
        folder=here,
        processes=processes or 1,
        gpus=_gpus(launch, slurm) if processes == launch.processes == 1 else 1,
        variables={**set_by_script, **_alone(launch, shares=shares_training)},
        facts=facts,
        notes=(*_notes(program, environment), *([_UNCOUNTED] if processes is None else [])),
        opaque=_opaque(launch, interpreter),
        kept=program.kept,
    )


def _set_by_script(launch: Launch, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the batch script sets for the program and that are known."""
    return {
        name: value
        for name, value in launch.variables.items()
        if environment.get(name) != value
        and (name == _TASK or not name.startswith("SLURM_"))
        and name not in _SHELL_S_OWN
    }


def _alone(launch: Launch, *, shares: bool) -> Mapping[str, str]:
    """The variables of one process that is alone, as its launcher or the script would set them."""
    names = {*launch.variables, *launch.unknown_variables}
    named = {name: value for name, value in _ALONE.items() if name in names}
    if not shares:
        return {name: value for name, value in named.items() if name in launch.unknown_variables}
    if launch.launcher in _TRAINING_LAUNCHERS:
        return _ALONE
    return {**_ALONE_OF_SRUN, **named} if launch.launcher == "srun" else named


def _gpus(launch: Launch, slurm: Mapping[str, str]) -> int:
    """The GPUs that a single process sees: those of the node, as far as that is known, else one."""
    chosen = launch.variables.get("CUDA_VISIBLE_DEVICES")
    if chosen:
        return max(len([item for item in chosen.split(",") if item.strip()]), 1)
    return number(slurm.get("SLURM_GPUS_ON_NODE")) or 1


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
    return None if launch.launcher in _TRAINING_LAUNCHERS or launch.processes is None else 1


def _is_distributed(file: Path) -> bool:
    """Whether processes of this script that srun or mpirun start can know of each other."""
    signs = (
        "torch.distributed",
        "lightning",
        "deepspeed",
        "DistributedDataParallel",
        "horovod",
        "MultiWorkerMirroredStrategy",
        "jax.distributed",
    )
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(sign in text for sign in signs)


def _opaque(launch: Launch, interpreter: Path | None) -> str | None:
    """Why a launch cannot be dry-run here as it is; None where it can be."""
    if launch.container is not None:
        return f"the job runs it in the container {launch.container}, whose Python is not here"
    if launch.environment_manager is not None and interpreter is None:
        return f"{launch.environment_manager} chooses its Python in the job"
    if launch.unknown:
        return f"its command holds {', '.join(launch.unknown)}"
    if interpreter is None:
        where = f" of the environment {launch.conda.replace(HOLE, '...')}" if launch.conda else ""
        return f"its interpreter {launch.interpreter[0]}{where} is not here"
    return None


def _notes(program: _Program, environment: Mapping[str, str]) -> tuple[str, ...]:
    launch = program.launch
    notes = []
    if launch.repeated:
        notes.append("the batch script starts it in a loop: the facts are those of one round")
    elif len(program.rounds) > 1:
        shown = " ".join(launch.arguments)
        first = f" ({shown})" if shown else ""
        notes.append(
            f"the batch script starts it {len(program.rounds)} times in a loop: the facts are those of the first{first}"
        )
    if launch.stand_ins:
        notes.append(f"any value stands for {', '.join(launch.stand_ins)}, which no training depends on")
    if launch.through:
        notes.append(f"it is started through {', '.join(launch.through)}, which cannot be read here")
    loaded = environment.get("LOADEDMODULES", "").split(":")
    missing = [name for name in launch.modules if not any(name in (item, item.partition("/")[0]) for item in loaded)]
    if missing and launch.virtual_environment is None and launch.conda is None and "/" not in launch.interpreter[0]:
        notes.append(f"what module load {' '.join(missing)} brings is not known here: python is the one on PATH")
    return tuple(notes)


def _named_folder(folder: Path, environment: Mapping[str, str]) -> str:
    """The folder by the name that PWD gives it, which may lead over links; by its own where PWD names another."""
    named = environment.get("PWD", "")
    try:
        return named if named and folder.samefile(named) else str(folder)
    except OSError:
        return str(folder)

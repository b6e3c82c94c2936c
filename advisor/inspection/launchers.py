"""Commands that start another command: srun, mpirun, time, env, conda run, containers; each takes its own words off."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from advisor.inspection.shell import Command, Word


@dataclass(frozen=True, slots=True)
class Wrap:
    """What has been seen before the Python command on its line."""

    processes: int | None = 1
    launcher: str | None = None
    precision: str | None = None
    configuration: str | None = None
    container: str | None = None
    manager: str | None = None
    conda: str | None = None


_Wrapped = tuple[list[Word], Wrap]
_SRUN_WITH_VALUE = frozenset("AcdDeGiJmMNnopqrtTwx") | frozenset({"C", "L", "S"})
_MPI_WITH_VALUES: Mapping[str, int] = {
    "-np": 1, "-n": 1, "-c": 1, "--np": 1, "--n": 1, "-H": 1, "-host": 1, "--host": 1, "-hostfile": 1,
    "--hostfile": 1, "-machinefile": 1, "--machinefile": 1, "-f": 1, "-ppn": 1, "-perhost": 1, "-x": 1, "-wdir": 1,
    "--map-by": 1, "--bind-to": 1, "--rank-by": 1, "-mca": 2, "--mca": 2, "-genv": 2, "-env": 2, "-N": 1,
    "--npernode": 1, "-npernode": 1,
}  # fmt: skip
_CONTAINER_WITH_VALUE = frozenset(
    {"-B", "--bind", "-H", "--home", "--env", "--env-file", "--pwd", "--workdir", "-W", "-w", "--overlay", "-o", "-S",
     "--scratch", "--mount", "--network", "--hostname", "--app", "-v", "--volume", "--gpus", "--name", "-e",
     "--user", "-u", "--ipc", "--shm-size", "--entrypoint", "--device", "--cpus", "--memory"}
)  # fmt: skip


def number(text: str | None) -> int | None:
    """A count as words state it, None where they do not."""
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else None


def _plain(words: list[Word], wrap: Wrap, _command: Command) -> _Wrapped:
    """exec, time, nohup, ...: their own options begin with a dash and take no value."""
    while words and words[0].text.startswith("-"):
        words = words[1:]
    return words, wrap


def _with_values(*names: str, positional: int = 0) -> Callable[[list[Word], Wrap, Command], _Wrapped]:
    """A wrapper of which these options take a value, and that has words of its own before the command."""

    def take(words: list[Word], wrap: Wrap, _command: Command) -> _Wrapped:
        while words and words[0].text.startswith("-"):
            words = words[2 if words[0].text in names else 1 :]
        return words[positional:], wrap

    return take


def _env(words: list[Word], wrap: Wrap, _command: Command) -> _Wrapped:
    while words and (words[0].text.startswith("-") or re.match(r"[A-Za-z_]\w*=", words[0].text)):
        words = words[2 if words[0].text in {"-u", "-C", "--unset", "--chdir"} else 1 :]
    return words, wrap


def _srun(words: list[Word], wrap: Wrap, command: Command) -> _Wrapped:
    tasks = number(command.variables.get("SLURM_NTASKS"))
    container = wrap.container
    while words and words[0].text.startswith("-"):
        name, equals, value = words[0].text.partition("=")
        short = not name.startswith("--")
        takes_next = not equals and (name[1:] in _SRUN_WITH_VALUE if short else name in _SRUN_LONG)
        if takes_next and len(words) > 1:
            value = words[1].text
        if short and len(name) > 2 and name[1] in _SRUN_WITH_VALUE:  # noqa: PLR2004 (-n4)
            name, value = name[:2], name[2:]
        if name in {"-n", "--ntasks"}:
            tasks = number(value)
        elif name == "--container-image":
            container = value
        words = words[2 if takes_next else 1 :]
    return words, replace(wrap, processes=tasks or 1, launcher="srun", container=container)


_SRUN_LONG = frozenset(
    {"--account", "--acctg-freq", "--chdir", "--comment", "--constraint", "--container-image", "--container-mounts",
     "--container-name", "--container-workdir", "--cpu-bind", "--cpus-per-gpu", "--cpus-per-task", "--distribution",
     "--error", "--export", "--gpu-bind", "--gpus", "--gpus-per-node", "--gpus-per-task", "--gres", "--input",
     "--job-name", "--kill-on-bad-exit", "--label", "--mem", "--mem-bind", "--mem-per-cpu", "--mem-per-gpu", "--mpi",
     "--nodelist", "--nodes", "--ntasks", "--ntasks-per-node", "--output", "--partition", "--qos", "--relative",
     "--time", "--threads-per-core", "--wckey", "--exclude", "--hint", "--jobid"}
) - {"--label", "--kill-on-bad-exit"}  # fmt: skip


def _mpirun(words: list[Word], wrap: Wrap, command: Command) -> _Wrapped:
    processes = number(command.variables.get("SLURM_NTASKS"))
    while words and words[0].text.startswith("-"):
        name, equals, value = words[0].text.partition("=")
        taken = 0 if equals else _MPI_WITH_VALUES.get(name, 0)
        if name in {"-np", "-n", "-c", "--np", "--n"}:
            processes = number(value if equals else words[1].text if len(words) > 1 else None)
        words = words[1 + taken :]
    return words, replace(wrap, processes=processes, launcher="mpirun")


def _conda_run(words: list[Word], wrap: Wrap, _command: Command) -> _Wrapped:
    if not words or words[0].text != "run":
        return [], wrap
    words, chosen = words[1:], None
    while words and words[0].text.startswith("-"):
        name, equals, value = words[0].text.partition("=")
        takes = name in {"-n", "--name", "-p", "--prefix", "--cwd"} and not equals
        if name in {"-n", "--name", "-p", "--prefix"}:
            chosen = value if equals else words[1].text if len(words) > 1 else None
        words = words[2 if takes else 1 :]
    return words, replace(wrap, conda=chosen)


def _manager(name: str) -> Callable[[list[Word], Wrap, Command], _Wrapped]:
    """``poetry run``, ``uv run``, ...: they choose the interpreter themselves."""

    def take(words: list[Word], wrap: Wrap, _command: Command) -> _Wrapped:
        if not words or words[0].text != "run":
            return [], wrap
        words = words[1:]
        while words and words[0].text.startswith("-"):
            takes = words[0].text in {"--with", "--extra", "--group", "--python", "-p", "--project", "--env-file", "-e"}
            words = words[2 if takes else 1 :]
        return words, replace(wrap, manager=f"{name} run")

    return take


def _container(words: list[Word], wrap: Wrap, _command: Command) -> _Wrapped:
    if not words or words[0].text not in {"exec", "run"}:
        return [], wrap
    words = words[1:]
    while words and words[0].text.startswith("-"):
        words = words[2 if words[0].text in _CONTAINER_WITH_VALUE else 1 :]
    return words[1:], replace(wrap, container=words[0].text if words else None)


def _shifter(words: list[Word], wrap: Wrap, _command: Command) -> _Wrapped:
    image = next((word.text.partition("=")[2] for word in words if word.text.startswith("--image=")), "its image")
    return _plain(words, replace(wrap, container=image), _command)


WRAPPERS: Mapping[str, Callable[[list[Word], Wrap, Command], _Wrapped]] = {
    **dict.fromkeys(("exec", "command", "nohup", "time", "unbuffer", "eatmydata"), _plain),
    "nice": _with_values("-n", "--adjustment"), "ionice": _with_values("-c", "-n"),
    "stdbuf": _with_values("-i", "-o", "-e"),
    "timeout": _with_values("-k", "-s", "--signal", "--kill-after", positional=1),
    "taskset": _with_values("-c", positional=1), "numactl": _with_values("-N", "-m", "-C"),
    "nsys": _with_values("-o", "-t", "-w", "-f", "-s", positional=1), "env": _env, "srun": _srun,
    **dict.fromkeys(("mpirun", "mpiexec", "orterun", "prun"), _mpirun), "horovodrun": _mpirun,
    **dict.fromkeys(("conda", "mamba", "micromamba"), _conda_run),
    **{name: _manager(name) for name in ("poetry", "uv", "pipenv", "pixi", "hatch", "pdm", "rye")},
    **dict.fromkeys(("singularity", "apptainer", "docker", "podman", "podman-hpc"), _container), "shifter": _shifter,
}  # fmt: skip

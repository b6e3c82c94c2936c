"""Programs that start another program: srun, mpirun, time, env, conda run, profilers, containers, binders.

Each takes its own options off a command. Options that are not listed here are no loss: ``found_behind`` then looks for
the first program among the remaining words that starts Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from advisor.inspection.shell.state import Word

PYTHON = re.compile(r"(?:.*/)?(?:python[\d.]*|pypy3?)")
PYTHON_FILE = re.compile(r"[^-].*\.py")
SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh"})
# Programs that run a Python file themselves, and the modules of ``python -m`` that do.
SCRIPT_RUNNERS = frozenset(
    {"kernprof", "scalene", "viztracer", "memray", "mprof", "coverage", "ipython", "ipython3", "pyinstrument", "fabric",
     "cProfile", "profile", "trace", "memory_profiler", "line_profiler", "debugpy", "pdb", "torch.utils.bottleneck",
     "mpi4py", "mpi4py.run"}
)  # fmt: skip
SCRIPT_LAUNCHERS = frozenset({"torchrun", "torchrun-hpc", "accelerate", "deepspeed", "composer"})


@dataclass(frozen=True, slots=True)
class Wrap:
    """What stands before the Python command on its line.

    ``processes`` is how many are started in all, None where that is not known. ``variables`` are set for the command,
    ``folder`` is where it starts, ``through`` are programs that are not known here and start it.
    """

    processes: int | None = 1
    launcher: str | None = None
    precision: str | None = None
    configuration: str | None = None
    container: str | None = None
    manager: str | None = None
    conda: Word | None = None
    folder: Word | None = None
    variables: tuple[tuple[str, Word], ...] = ()
    through: tuple[str, ...] = ()


Wrapped = tuple[list[Word], Wrap]
Environment = Mapping[str, Word]
Handler = Callable[[list[Word], Wrap, Environment], Wrapped]


def number(text: str | None) -> int | None:
    """A count as an option states it, None where it states none."""
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else None


def known(environment: Environment, name: str) -> str | None:
    """A variable's value, None where it is not known."""
    word = environment.get(name)
    return None if word is None or word.unknown else word.text


def found_behind(words: Sequence[Word]) -> int | None:
    """Where in a program's arguments a command begins that starts Python; None where none does."""
    for position, word in enumerate(words):
        name = word.text.rpartition("/")[2]
        following = words[position + 1].text if position + 1 < len(words) else ""
        if PYTHON.fullmatch(word.text) and (_names_program(words[position + 1 :])):
            return position
        if name in SCRIPT_LAUNCHERS | SCRIPT_RUNNERS and following and not word.text.startswith("-"):
            return position
        if name in SHELLS and re.fullmatch(r"-\w*c|[^-].*\.(?:sh|bash)", following):
            return position
    return None


def _names_program(words: Sequence[Word]) -> bool:
    """Whether these words, after a Python, name a module or a file of Python."""
    return any(word.text in {"-m", "-c"} or PYTHON_FILE.fullmatch(word.text) for word in words)


def _plain(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
    """exec, time, nohup, ...: their own options begin with a dash and take no value."""
    while words and words[0].text.startswith("-"):
        words = words[1:]
    return words, wrap


def _with_values(*names: str, positional: int = 0) -> Handler:
    """A wrapper of which these options take a value, and that has arguments of its own before the command."""

    def take(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
        while words and words[0].text.startswith("-"):
            words = words[2 if words[0].text in names else 1 :]
        return words[positional:], wrap

    return take


def _env(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
    own = dict(wrap.variables)
    while words:
        name, equals, value = words[0].text.partition("=")
        if re.fullmatch(r"[A-Za-z_]\w*", name) and equals:
            own[name] = Word(value, words[0].unknown)
        elif not words[0].text.startswith("-"):
            break
        words = words[2 if words[0].text in {"-u", "-C", "--unset", "--chdir", "-S"} else 1 :]
    return words, replace(wrap, variables=tuple(own.items()))


_SRUN_SHORT = frozenset("AcdDeGiJmMNnopqrtTwxCLS")
_SRUN_LONG = frozenset(
    {"--account", "--acctg-freq", "--chdir", "--comment", "--constraint", "--container-image", "--container-mounts",
     "--container-name", "--container-workdir", "--container", "--container-env", "--cpu-bind", "--cpu_bind",
     "--cpus-per-gpu", "--cpus-per-task", "--distribution", "--environment", "--error", "--export", "--gpu-bind",
     "--gpus", "--gpus-per-node", "--gpus-per-socket", "--gpus-per-task", "--gres", "--gres-flags", "--input",
     "--job-name", "--mem", "--mem-bind", "--mem-per-cpu", "--mem-per-gpu", "--mpi", "--nodelist", "--nodes",
     "--ntasks", "--ntasks-per-core", "--ntasks-per-gpu", "--ntasks-per-node", "--ntasks-per-socket", "--output",
     "--partition",
     "--qos", "--relative", "--signal", "--time", "--threads-per-core", "--tres-per-task", "--wckey", "--exclude",
     "--hint", "--jobid", "--het-group", "--pack-group", "--profile", "--prolog", "--epilog", "--task-prolog",
     "--task-epilog", "--network", "--licenses", "--reservation", "--core-spec", "--wait", "--export-file"}
)  # fmt: skip
_SRUN_NAMES = {"-n": "--ntasks", "-N": "--nodes", "-D": "--chdir"}


def _srun(words: list[Word], wrap: Wrap, environment: Environment) -> Wrapped:
    options: dict[str, Word] = {}
    while words and words[0].text.startswith("-"):
        name, equals, value = words[0].text.partition("=")
        is_short = not name.startswith("--")
        takes_next = not equals and (name[1:] in _SRUN_SHORT if is_short else name in _SRUN_LONG) and len(words) > 1
        if is_short and len(name) > 2 and name[1] in _SRUN_SHORT:  # noqa: PLR2004 (-n4)
            name, value = name[:2], words[0].text[2:]
        options[_SRUN_NAMES.get(name, name)] = words[1] if takes_next else Word(value, words[0].unknown)
        words = words[2 if takes_next else 1 :]
    image = options.get("--container-image", options.get("--container", options.get("--environment")))
    return words, replace(
        wrap,
        processes=_tasks(options, environment),
        launcher="srun",
        container=image.text if image is not None else wrap.container,
        folder=options.get("--chdir", wrap.folder),
        variables=(*wrap.variables, *_exported(options.get("--export"))),
    )


def _tasks(options: Mapping[str, Word], environment: Environment) -> int | None:
    """How many tasks srun starts: its own options, else those of the job, else one."""

    def value(option: str, *variables: str) -> int | str | None:
        if option in options:
            return None if options[option].unknown else options[option].text.partition("-")[0]
        return next((found for name in variables if (found := known(environment, name)) is not None), "")

    stated = value("--ntasks", *([] if {"--nodes", "--ntasks-per-node"} & options.keys() else ["SLURM_NTASKS"]))
    if stated is None or number(str(stated)) is not None:
        return number(str(stated)) if stated is not None else None
    nodes, each = value("--nodes", "SLURM_NNODES"), value("--ntasks-per-node", "SLURM_NTASKS_PER_NODE")
    if nodes is None or each is None:
        return None
    return (number(str(nodes)) or 1) * (number(str(each)) or 1)


def _exported(option: Word | None) -> list[tuple[str, Word]]:
    """``--export=ALL,NAME=VALUE``."""
    items = option.text.split(",") if option is not None and not option.unknown else []
    return [(name, Word(value)) for name, equals, value in (item.partition("=") for item in items) if equals]


_MPI_WITH_VALUES: Mapping[str, int] = {
    "-np": 1, "-n": 1, "-c": 1, "--np": 1, "--n": 1, "-H": 1, "-host": 1, "--host": 1, "-hostfile": 1,
    "--hostfile": 1, "-machinefile": 1, "--machinefile": 1, "-f": 1, "-ppn": 1, "-perhost": 1, "-x": 1, "-wdir": 1,
    "--wdir": 1, "--map-by": 1, "-map-by": 1, "--bind-to": 1, "-bind-to": 1, "--rank-by": 1, "-mca": 2, "--mca": 2,
    "-genv": 2, "-env": 2, "-N": 1, "--npernode": 1, "-npernode": 1, "--network-interface": 1, "-p": 1,
    "--ppr": 1, "-rf": 1, "--depth": 1, "-d": 1, "--cpu-bind": 1, "--ppn": 1, "-report-bindings": 0,
}  # fmt: skip


def _mpirun(words: list[Word], wrap: Wrap, environment: Environment) -> Wrapped:
    processes = number(known(environment, "SLURM_NTASKS"))
    while words and words[0].text.startswith("-"):
        name, equals, value = words[0].text.partition("=")
        taken = 0 if equals else _MPI_WITH_VALUES.get(name, 0)
        if name in {"-np", "-n", "-c", "--np", "--n"}:
            processes = number(value if equals else words[1].text if len(words) > 1 else None)
        words = words[1 + taken :]
    return words, replace(wrap, processes=processes, launcher="mpirun")


def _conda_run(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
    if not words or words[0].text != "run":
        return [], wrap
    words, chosen = words[1:], wrap.conda
    while words and words[0].text.startswith("-"):
        name, equals, value = words[0].text.partition("=")
        takes = name in {"-n", "--name", "-p", "--prefix", "--cwd", "-r", "--root-prefix"} and not equals
        if name in {"-n", "--name", "-p", "--prefix"}:
            chosen = Word(value, words[0].unknown) if equals else words[1] if len(words) > 1 else None
        words = words[2 if takes else 1 :]
    return words, replace(wrap, conda=chosen)


_MANAGER_WITH_VALUE = frozenset(
    {"--with", "--extra", "--group", "--python", "-p", "--project", "--env-file", "-e", "--environment", "--directory",
     "--manifest-path", "-C", "-P", "--with-requirements", "--package"}
)  # fmt: skip


def _manager(name: str) -> Handler:
    """``poetry run``, ``uv run``, ...: they choose the interpreter themselves, also for a bare Python file."""

    def take(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
        while words and words[0].text != "run":
            words = words[2 if words[0].text in _MANAGER_WITH_VALUE else 1 :]
        words = words[1:]
        while words and words[0].text.startswith("-") and words[0].text not in {"-m", "--module"}:
            words = words[2 if words[0].text in _MANAGER_WITH_VALUE else 1 :]
        if words and (words[0].text in {"-m", "--module"} or PYTHON_FILE.fullmatch(words[0].text)):
            words = [Word("python"), *([Word("-m"), *words[1:]] if words[0].text.startswith("-") else words)]
        return words, replace(wrap, manager=f"{name} run")

    return take


_CONTAINER_WITH_VALUE = frozenset(
    {"-B", "--bind", "-H", "--home", "--env", "--env-file", "--pwd", "--workdir", "-W", "-w", "--overlay", "-o", "-S",
     "--scratch", "--mount", "--network", "--hostname", "--app", "-v", "--volume", "--gpus", "--name", "-e",
     "--user", "-u", "--ipc", "--shm-size", "--entrypoint", "--device", "--cpus", "--memory", "--security",
     "--rootfs", "-b", "--set-env", "--cd", "-c", "-m", "--ulimit", "--group-add", "--module", "--volumes-from"}
)  # fmt: skip


def _container(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
    while words and words[0].text not in {"exec", "run", "start"}:
        words = words[1:]
    words = words[1:]
    while words and words[0].text.startswith("-"):
        words = words[2 if words[0].text in _CONTAINER_WITH_VALUE else 1 :]
    return words[1:], replace(wrap, container=words[0].text if words else "that is not known")


def _bare_container(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
    """``ch-run [options] IMAGE -- COMMAND``."""
    while words and words[0].text.startswith("-"):
        words = words[2 if words[0].text in _CONTAINER_WITH_VALUE else 1 :]
    rest = words[1:]
    return rest[1:] if rest and rest[0].text == "--" else rest, replace(
        wrap, container=words[0].text if words else "that is not known"
    )


def _shifter(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
    image = "its image"
    while words and words[0].text.startswith("-"):
        name, equals, value = words[0].text.partition("=")
        takes = not equals and name in {
            "--image",
            "-i",
            "--module",
            "-m",
            "--volume",
            "-V",
            "--env",
            "-e",
            "--workdir",
            "-w",
        }
        if name in {"--image", "-i"}:
            image = value if equals else words[1].text if len(words) > 1 else image
        words = words[2 if takes else 1 :]
    return words, replace(wrap, container=image)


def _after_subcommand(*subcommands: str) -> Handler:
    """A profiler with commands of its own: ``nsys profile``, ``perf stat``. Its options are passed over one by one."""

    def take(words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
        words = words[1:] if words and words[0].text in subcommands else words
        at = found_behind(words)
        return ([] if at is None else words[at:]), wrap

    return take


def _xargs(_words: list[Word], wrap: Wrap, _environment: Environment) -> Wrapped:
    return [], wrap


WRAPPERS: Mapping[str, Handler] = {
    **dict.fromkeys(("exec", "command", "nohup", "time", "unbuffer", "eatmydata", "setsid", "chronic"), _plain),
    "time": _with_values("-f", "-o", "--format", "--output"),
    "nice": _with_values("-n", "--adjustment"), "ionice": _with_values("-c", "-n"),
    "stdbuf": _with_values("-i", "-o", "-e"), "catchsegv": _plain,
    "timeout": _with_values("-k", "-s", "--signal", "--kill-after", positional=1),
    "taskset": _with_values("-c", positional=1), "chrt": _with_values(positional=1),
    "numactl": _with_values("-N", "-m", "-C", "-i", "-p", "-l"), "hwloc-bind": _after_subcommand(),
    **dict.fromkeys(
        ("nsys", "ncu", "nvprof", "perf", "rocprof", "rocprofv2", "rocprofv3", "omniperf", "vtune", "strace",
         "valgrind", "compute-sanitizer", "cuda-memcheck", "py-spy", "xvfb-run"),
        _after_subcommand("profile", "launch", "stat", "record", "run", "exec"),
    ),
    "env": _env, "srun": _srun, "xargs": _xargs,
    **dict.fromkeys(("mpirun", "mpiexec", "orterun", "prun", "horovodrun", "ibrun", "aprun"), _mpirun),
    **dict.fromkeys(("conda", "mamba", "micromamba"), _conda_run),
    **{name: _manager(name) for name in ("poetry", "uv", "pipenv", "pixi", "hatch", "pdm", "rye")},
    **dict.fromkeys(
        ("singularity", "apptainer", "docker", "podman", "podman-hpc", "nvidia-docker", "sarus", "udocker", "enroot"),
        _container,
    ),
    "ch-run": _bare_container, "shifter": _shifter,
}  # fmt: skip

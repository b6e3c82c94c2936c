"""The Python programs that a batch script starts: through which launchers, on how many processes, set up how."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from advisor.inspection.launch.stand_ins import with_stand_ins
from advisor.inspection.launch.wrappers import (
    PYTHON,
    PYTHON_FILE,
    SCRIPT_LAUNCHERS,
    SCRIPT_RUNNERS,
    SHELLS,
    WRAPPERS,
    Wrap,
    found_behind,
    known,
    number,
)
from advisor.inspection.shell.outcome import Command
from advisor.inspection.shell.run import commands
from advisor.inspection.shell.state import HOLE, ReadFile, State, Word, fresh

_MOST_SCRIPTS = 4
_LONGEST_CHAIN = 12
_MOST_REASONS = 3
_PYTHON_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
# They name or print a Python program and do not start it.
_NO_STARTERS = frozenset(
    {"echo", "printf", "which", "type", "command", "whereis", "cat", "tee", "grep", "egrep", "sed", "awk", "ls", "cp",
     "mv", "rm", "ln", "chmod", "mkdir", "touch", "tar", "rsync", "scp", "head", "tail", "wc", "file", "stat", "test",
     "[", "find", "git", "pip", "pip3", "export", "alias", "logger", "mail", "sbatch", "salloc", "scontrol", "kill",
     "pkill", "pgrep", "ps", "watch", "diff", "du", "df", "md5sum", "sha256sum", "black", "ruff", "mypy", "pytest",
     "pylint"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One start of a Python program.

    ``interpreter`` are Python's name and options as written, the name to be found on PATH. The program is ``script``
    (a path as written), ``module`` (``python -m``) or ``text`` (``python -c``, a here-document). ``arguments`` hold a
    HOLE for what cannot be told, ``unknown`` says why; ``stand_ins`` are what values of one job among many stand for
    (stand_ins.py). ``processes`` is how many the launcher starts in all, 1 without
    one, None where it does not say; they may then stand in the ``configuration`` file that accelerate is given.
    ``container`` and ``environment_manager`` name what decides the interpreter where it cannot be asked here,
    ``through`` programs in front of it that could not be read. ``variables`` are those that it inherits and that are
    known, ``unknown_variables`` the others. ``standing`` is the place in the script, ``round`` the number of the round
    of the loops around it, ``repeated`` is set where a loop's rounds are not known; ``in_doubt`` are the unknown
    conditions that it stands under, with the arm of each.
    """

    interpreter: tuple[str, ...]
    script: str | None
    module: str | None
    text: str | None
    arguments: tuple[str, ...]
    processes: int | None
    launcher: str | None
    precision: str | None
    configuration: str | None
    container: str | None
    environment_manager: str | None
    conda: str | None
    conda_root: str | None
    virtual_environment: str | None
    folder: str | None
    modules: tuple[str, ...]
    through: tuple[str, ...]
    variables: Mapping[str, str]
    unknown_variables: tuple[str, ...]
    unknown: tuple[str, ...]
    stand_ins: tuple[str, ...]
    standing: tuple[int, ...]
    round: int
    repeated: bool
    in_doubt: tuple[tuple[int, int], ...]

    @property
    def is_whole(self) -> bool:
        """Whether all of its arguments are known, so that it can be dry-run as it is."""
        return not self.unknown


@dataclass(frozen=True, slots=True)
class Launches:
    """The starts that were found, each once, in order, and in words the Python commands whose program is not known."""

    found: tuple[Launch, ...]
    unclear: tuple[str, ...]


def find_launches(
    text: str,
    *,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    read_file: ReadFile | None = None,
) -> Launches:
    """The Python programs that a batch script starts.

    Args:
        text: the script.
        arguments: what sbatch gives it.
        variables: the job's environment, with what Slurm will add as far as that is known.
        read_file: reads the other scripts that it starts.

    Raises:
        ShellNotReadable: there is no parser of shell scripts here, or the script cannot be read.
    """
    finder = _Finder()
    finder.script(Word(text), fresh(variables, arguments, read_file), Wrap(), ())
    return Launches(tuple(finder.found), tuple(dict.fromkeys(finder.unclear)))


class _Finder:
    """One search; ``depth`` counts the scripts inside each other."""

    def __init__(self) -> None:
        self.found: list[Launch] = []
        self.unclear: list[str] = []
        self.depth = 0

    def script(self, text: Word, state: State, wrap: Wrap, around: tuple[Command, ...]) -> None:
        """The launches of a shell script, which ``around`` commands have started."""
        if self.depth >= _MOST_SCRIPTS:
            return
        self.depth += 1
        for command in commands(state.as_script(text), state):
            self.command(command, wrap, (*around, command))
        self.depth -= 1

    def command(self, command: Command, wrap: Wrap, around: tuple[Command, ...]) -> None:
        """The Python program behind a chain of wrappers."""
        words = list(command.words)
        for _ in range(_LONGEST_CHAIN):
            if not words:
                return
            if self.starts(command, words, wrap, around):
                return
            words, wrap = self.unwrapped(command, words, wrap)

    def starts(self, command: Command, words: list[Word], wrap: Wrap, around: tuple[Command, ...]) -> bool:
        """Whether a program that runs Python or a shell begins here; what it starts is then taken in."""
        name = words[0].text.rpartition("/")[2]
        if PYTHON.fullmatch(words[0].text):
            inner = _module_words(words)
            if inner is None:
                self.add(_python(command, words, wrap, around), words)
                return True
            words, name = inner, inner[0].text.rpartition("/")[2]
        if name in SCRIPT_LAUNCHERS:
            self.add(_script_launcher(name, command, words, wrap, around), words)
            return True
        if name == "jupyter" and any(word.text == "--execute" for word in words):
            at = next((at for at, word in enumerate(words) if word.text.endswith(".ipynb")), len(words))
            self.add(_made(command, ["python"], (), wrap, around, script=words[at : at + 1]), words)
            return True
        if name in SCRIPT_RUNNERS:
            self.add(_script_runner(command, words, wrap, around), words)
            return True
        if name in SHELLS:
            self.shell(command, words[1:], wrap, around)
            return True
        return name not in WRAPPERS and self.file(command, words, wrap, around)

    def add(self, launch: Launch | None, words: Sequence[Word]) -> None:
        if launch is not None and launch not in self.found:
            self.found.append(launch)
        elif launch is None and any(word.unknown for word in words):
            text = " ".join(word.text.replace(HOLE, "...") for word in words[:4])
            reasons = list(dict.fromkeys(reason for word in words for reason in word.unknown))
            self.unclear.append(f"{text}: {', '.join(reasons[:_MOST_REASONS])}")

    def unwrapped(self, command: Command, words: list[Word], wrap: Wrap) -> tuple[list[Word], Wrap]:
        """What a wrapper starts; of one that is not known, the first program behind it that starts Python."""
        name = words[0].text.rpartition("/")[2]
        handler = WRAPPERS.get(name)
        if handler is not None:
            inner, wrap = handler(words[1:], wrap, {**command.environment, **dict(wrap.variables)})
            if inner and _is_program(inner[0].text):
                return inner, wrap
            at = found_behind(inner)
            # A program that is not known may stand between them: it is looked at next.
            return (inner, wrap) if at is None or not inner[0].text.startswith("-") else (inner[at:], wrap)
        at = found_behind(words[1:]) if name not in _NO_STARTERS else None
        if at is None:
            return [], wrap
        is_container = re.search(r"apptainer|singularity|shifter|podman|docker|container|enroot", name) is not None
        wrap = replace(wrap, through=(*wrap.through, words[0].text.replace(HOLE, "...")))
        return words[1 + at :], replace(wrap, container=wrap.container or name) if is_container else wrap

    def shell(self, command: Command, arguments: list[Word], wrap: Wrap, around: tuple[Command, ...]) -> None:
        """``bash -c TEXT``, ``bash FILE`` or a shell that reads a here-document."""
        at = next((at for at, word in enumerate(arguments) if re.fullmatch(r"-\w*c", word.text)), None)
        if at is not None:
            text = arguments[at + 1 : at + 2]
            if text:
                self.script(text[0], _child(command, wrap, arguments[at + 3 :]), wrap, around)
            return
        while arguments and arguments[0].text.startswith("-"):
            arguments = arguments[2 if arguments[0].text in {"-o", "+o", "-O"} else 1 :]
        if arguments:
            self.file(command, arguments, wrap, around, is_shell=True)
        elif command.stdin is not None:
            self.script(command.stdin, _child(command, wrap, ()), wrap, around)

    def file(
        self, command: Command, words: list[Word], wrap: Wrap, around: tuple[Command, ...], *, is_shell: bool = False
    ) -> bool:
        """A script that is started by its path: read where it is here, or where the batch script itself writes it."""
        path = words[0].text
        if words[0].unknown or not ("/" in path or is_shell):
            return False
        text = command.shell.written(path)
        if text is None and (content := _child(command, wrap, ()).read(path)) is not None:
            text = Word(content)
        if text is None and PYTHON_FILE.fullmatch(path) and not is_shell:
            self.add(_python(command, [Word("python"), *words], wrap, around), words)
            return True
        if text is None:
            return False
        first = text.text.split("\n", 1)[0]
        if not is_shell and first.startswith("#!") and re.search(r"\bpython", first):
            self.add(_python(command, [Word(_interpreter(first)), *words], wrap, around), words)
            return True
        if is_shell or re.match(r"#!.*\b(ba|z|da|k)?sh\b", first):
            self.script(text, _child(command, wrap, words[1:]), wrap, around)
            return True
        return False


def _is_program(name: str) -> bool:
    """Whether a word is a program that is known to start others or Python."""
    last = name.rpartition("/")[2]
    return (
        PYTHON.fullmatch(name) is not None
        or last in SHELLS | SCRIPT_LAUNCHERS | SCRIPT_RUNNERS
        or last in WRAPPERS
        or last in _NO_STARTERS
    )


def _interpreter(first_line: str) -> str:
    """The interpreter of ``#!/usr/bin/env python3`` or ``#!/path/python -u``."""
    parts = first_line.removeprefix("#!").split()
    parts = parts[1:] if parts and parts[0].endswith("/env") else parts
    return next((part for part in parts if not part.startswith("-")), "python")


def _child(command: Command, wrap: Wrap, arguments: Sequence[Word]) -> State:
    child = command.shell.child(arguments, {**command.own, **dict(wrap.variables)})
    if wrap.folder is not None:
        child.variables["PWD"] = wrap.folder
    return child


def _folder(command: Command, wrap: Wrap) -> str | None:
    here = command.shell.variables.get("PWD")
    if wrap.folder is not None and not wrap.folder.unknown:
        return os.path.join(here.text if here is not None else "", wrap.folder.text)  # noqa: PTH118 (may be of another host)
    return None if here is None or here.unknown else here.text


def _module_words(words: list[Word]) -> list[Word] | None:
    """``python -m torch.distributed.run ...`` and other modules that start a program, as that program's command."""
    for position, word in enumerate(words[:-1]):
        if word.text == "-m":
            name = words[position + 1].text
            folder = words[0].text.rpartition("/")[0]
            known_name = _LAUNCHER_MODULES.get(name, name if name in SCRIPT_RUNNERS else None)
            if known_name is None:
                return None
            return [Word(f"{folder}/{known_name}" if folder else known_name), *words[position + 2 :]]
        if not word.text.startswith("-") and position:
            return None
    return None


def _python(command: Command, words: list[Word], wrap: Wrap, around: tuple[Command, ...]) -> Launch | None:
    interpreter, rest = [words[0].text], words[1:]
    while rest and rest[0].text.startswith("-") and rest[0].text not in {"-m", "-c", "-"}:
        taken = 2 if rest[0].text in _PYTHON_WITH_VALUE else 1
        interpreter += [word.text for word in rest[:taken]]
        rest = rest[taken:]
    first = rest[0].text if rest else "-"
    if first == "-":
        stdin = [command.stdin] if command.stdin is not None else []
        return _made(command, interpreter, rest[1:], wrap, around, text=stdin)
    if first in {"-m", "-c"}:
        module, text = (rest[1:2], rest[:0]) if first == "-m" else (rest[:0], rest[1:2])
        return _made(command, interpreter, rest[2:], wrap, around, module=module, text=text)
    return _made(command, interpreter, rest[1:], wrap, around, script=rest[:1])


def _made(
    command: Command,
    interpreter: Sequence[str],
    arguments: Sequence[Word],
    wrap: Wrap,
    around: tuple[Command, ...],
    *,
    script: Sequence[Word] = (),
    module: Sequence[Word] = (),
    text: Sequence[Word] = (),
) -> Launch | None:
    """A launch, None where its program is not known."""
    program = [*script, *module, *text]
    if not program or program[0].unknown:
        return None
    setup, environment = command.shell.setup, {**command.environment, **dict(wrap.variables)}
    values = {name: _known_text(name, with_stand_ins(word)[0]) for name, word in environment.items()}
    replaced = [with_stand_ins(word) for word in arguments]
    arguments = [word for word, _stood in replaced]
    conda = wrap.conda or setup.conda
    return Launch(
        interpreter=tuple(interpreter),
        script=script[0].text if script else None,
        module=module[0].text if module else None,
        text=text[0].text if text else None,
        arguments=tuple(word.text for word in arguments),
        processes=wrap.processes,
        launcher=wrap.launcher,
        precision=wrap.precision,
        configuration=wrap.configuration,
        container=wrap.container,
        environment_manager=wrap.manager,
        conda=None if conda is None else conda.text,
        conda_root=setup.conda_root,
        virtual_environment=None if setup.virtual_environment is None else setup.virtual_environment.text,
        folder=_folder(command, wrap),
        modules=setup.modules,
        through=wrap.through,
        variables={name: value for name, value in values.items() if value is not None},
        unknown_variables=tuple(name for name, value in values.items() if value is None),
        unknown=tuple(dict.fromkeys(reason for word in arguments for reason in word.unknown)),
        stand_ins=tuple(dict.fromkeys(item for _word, stood in replaced for item in stood)),
        standing=tuple(place for item in around for place in item.standing),
        round=sum(item.round for item in around),
        repeated=any(item.shell.loops > 0 for item in around),
        in_doubt=tuple(item for outer in around for item in outer.in_doubt),
    )


def _known_text(name: str, word: Word) -> str | None:
    """A variable's value; of a list of folders (``PATH``, ``PYTHONPATH``), the folders that are known."""
    if name.endswith("PATH"):
        return ":".join(item for item in word.text.split(":") if HOLE not in item)
    return None if word.unknown else word.text


def _script_runner(command: Command, words: list[Word], wrap: Wrap, around: tuple[Command, ...]) -> Launch | None:
    """``kernprof -l train.py`` and the like: the first Python file is the program."""
    folder = words[0].text.rpartition("/")[0]
    at = next((at for at, word in enumerate(words) if at and PYTHON_FILE.fullmatch(word.text)), None)
    if at is None:
        return None
    interpreter = [f"{folder}/python" if folder else "python"]
    return _made(command, interpreter, words[at + 1 :], wrap, around, script=words[at : at + 1])


# Launchers that take a Python file themselves

_LAUNCHER_MODULES = {
    "torch.distributed.run": "torchrun", "torch.distributed.launch": "torchrun",
    "accelerate.commands.launch": "accelerate", "accelerate.commands.accelerate_cli": "accelerate",
    "deepspeed.launcher.runner": "deepspeed", "deepspeed": "deepspeed",
}  # fmt: skip
_FLAGS = frozenset(
    {"--standalone", "-m", "--module", "--no_python", "--no-python", "--run_path", "--run-path", "--use_env",
     "--use-env", "--multi_gpu", "--multi-gpu", "--cpu", "--tpu", "--use_deepspeed", "--use_fsdp", "--use_megatron_lm",
     "--quiet", "-q", "--debug", "--no_local_rank", "--no_ssh", "--save_pid", "--enable_each_rank_log", "--force_multi",
     "-v", "--verbose", "--same_network", "--ipex", "--dynamo_use_dynamic", "--use_xpu", "--mps", "--no_ssh_check"}
)  # fmt: skip
_PROCESSES = frozenset(
    {"--nproc_per_node", "--nproc-per-node", "--num_processes", "--num-processes", "--num_gpus", "--nproc", "-n"}
)
_NODES = frozenset({"--nnodes", "--num_nodes", "--num_machines", "--num-machines"})
ACCELERATE_PRECISION = {"fp16": "mixed_float16", "bf16": "mixed_bfloat16", "no": "float32"}


def _script_launcher(
    name: str, command: Command, words: list[Word], wrap: Wrap, around: tuple[Command, ...]
) -> Launch | None:
    folder = words[0].text.rpartition("/")[0]
    rest = words[1:]
    if name == "accelerate":
        if not rest or rest[0].text != "launch":
            return None
        rest = rest[1:]
    options: dict[str, str] = {}
    is_module = False
    while rest and rest[0].text.startswith("-"):
        option, equals, value = rest[0].text.partition("=")
        is_module = is_module or option in {"-m", "--module"}
        takes = not equals and option not in _FLAGS and len(rest) > 1
        options[option] = rest[1].text if takes else value
        rest = rest[2 if takes else 1 :]
    if not rest:
        return None
    wrap = replace(
        wrap,
        launcher=name,
        processes=_processes(name, options, command),
        configuration=options.get("--config_file", options.get("--config-file")),
        precision=ACCELERATE_PRECISION.get(options.get("--mixed_precision", options.get("--mixed-precision", ""))),
    )
    interpreter = [f"{folder}/python" if folder else "python"]
    module, script = (rest[:1], rest[:0]) if is_module else (rest[:0], rest[:1])
    return _made(command, interpreter, rest[1:], wrap, around, module=module, script=script)


def _processes(name: str, options: Mapping[str, str], command: Command) -> int | None:
    """Processes in all; None where a configuration file or the node's GPUs decide."""
    stated = next((value for option, value in options.items() if option in _PROCESSES), None)
    nodes = next((value for option, value in options.items() if option in _NODES), "1").rpartition(":")[2]
    count = number(stated)
    if stated in {"gpu", "auto"}:
        count = number(known(command.environment, "SLURM_GPUS_ON_NODE"))
    if stated is None:
        count = 1 if name == "torchrun" else None
    if count is None or number(nodes) is None:
        return None
    # accelerate counts the processes of all machines, the others those of each.
    return count if name == "accelerate" else count * int(nodes)

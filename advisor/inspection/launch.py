"""The Python commands that a batch script starts: through which launchers, on how many processes, set up how."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.inspection.launchers import WRAPPERS, Wrap, number
from advisor.inspection.shell import HOLE, Command, Word, commands

_PYTHON = re.compile(r"(?:.*/)?(?:python[\d.]*|pypy3?)")
_SHELLS = frozenset({"bash", "sh", "zsh", "dash", "eval"})
_MOST_TEXTS = 3
_PYTHON_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One Python command.

    ``interpreter`` are its words as written, of which the first is to be found on PATH. ``script`` is a path as
    written, or ``module`` a name (``python -m``). ``arguments`` hold a HOLE for what cannot be told, ``unknown`` says
    why. ``processes`` is how many the launcher starts in all, 1 without one, None where it does not say; they may then
    stand in the ``configuration`` file that accelerate is told. ``container`` and ``environment_manager`` name what
    decides the interpreter where it cannot be asked here. ``variables`` are those of the script that are known.
    """

    interpreter: tuple[str, ...]
    script: str | None
    module: str | None
    arguments: tuple[str, ...]
    processes: int | None
    launcher: str | None
    precision: str | None
    configuration: str | None
    container: str | None
    environment_manager: str | None
    conda: str | None
    virtual_environment: str | None
    folder: str | None
    modules: tuple[str, ...]
    variables: Mapping[str, str]
    unknown: tuple[str, ...]
    repeated: bool

    @property
    def is_whole(self) -> bool:
        """Whether all of its words are known, so that it can be dry-run as it is."""
        return not self.unknown


@dataclass(frozen=True, slots=True)
class _Around:
    """What earlier commands of the script have set up."""

    conda: str | None = None
    virtual_environment: str | None = None
    folder: str | None = None
    modules: tuple[str, ...] = ()


def find_launches(text: str, *, arguments: Sequence[str], variables: Mapping[str, str]) -> list[Launch]:
    """The Python commands of a batch script, each once, in order.

    Args:
        text: the script.
        arguments: what sbatch gives it.
        variables: the job's environment, with what Slurm will add as far as that is known.
    """
    found: list[Launch] = []
    around = _Around()
    for command in commands(text, arguments=arguments, variables=variables):
        around = _set_up(command, around)
        for launch in _launches(command, list(command.words), Wrap(), around):
            if launch not in found:
                found.append(launch)
    return found


def _set_up(command: Command, around: _Around) -> _Around:
    """Take in what a command changes for those after it."""
    words = [word.text for word in command.words]
    first, rest = (words[0], words[1:]) if words else ("", [])
    if first in {"source", "."} and rest:
        path = Path(rest[0])
        if path.name == "activate" and path.parent.name == "bin":
            return replace(around, virtual_environment=str(path.parent.parent))
        return replace(around, conda=rest[1]) if path.name == "activate" and len(rest) > 1 else around
    if first in {"conda", "mamba", "micromamba"} and rest[:1] == ["activate"]:
        return replace(around, conda=next((word for word in rest[1:] if not word.startswith("-")), "base"))
    if first in {"module", "ml"}:
        names = [word for word in rest if word not in {"load", "add"} and not word.startswith("-")]
        loads = rest[:1] in (["load"], ["add"]) or (first == "ml" and rest[:1] not in (["purge"], ["unload"], ["list"]))
        return replace(around, modules=(*around.modules, *names)) if loads else around
    if first == "cd" and rest:
        return replace(around, folder=os.path.join(around.folder or "", rest[0]))  # noqa: PTH118 (text; may hold a HOLE)
    return around


def _launches(command: Command, words: list[Word], wrap: Wrap, around: _Around, depth: int = 0) -> list[Launch]:
    """The Python command behind a chain of launchers; several where a shell is given them as text."""
    for _ in range(12):  # no chain of launchers is longer
        if not words:
            return []
        name = words[0].text.rpartition("/")[2]
        if _PYTHON.fullmatch(words[0].text):
            inner = _python_launcher(words)
            if inner is None:
                return _listed(_python(command, words, wrap, around))
            words, name = inner, inner[0].text.rpartition("/")[2]
        if name in _SCRIPT_LAUNCHERS:
            return _listed(_script_launcher(name, command, words, wrap, around))
        if name in _SHELLS:
            return _in_text(command, words, wrap, around, depth)
        handler = WRAPPERS.get(name)
        if handler is None:
            return []
        words, wrap = handler(words[1:], wrap, command)
    return []


def _listed(launch: Launch | None) -> list[Launch]:
    return [] if launch is None else [launch]


def _in_text(command: Command, words: list[Word], wrap: Wrap, around: _Around, depth: int) -> list[Launch]:
    """The Python commands of ``bash -c TEXT`` or ``eval TEXT``; none of a text that is not known."""
    text = words[1:]
    if words[0].text != "eval":
        at = next((at for at, word in enumerate(words) if re.fullmatch(r"-\w*c", word.text)), len(words))
        text = words[at + 1 : at + 2]
    if depth >= _MOST_TEXTS or any(word.unknown for word in text):
        return []
    found: list[Launch] = []
    for inner in commands(" ".join(word.text for word in text), arguments=(), variables=command.variables):
        around = _set_up(inner, around)
        found += _launches(inner, list(inner.words), wrap, around, depth + 1)
    return [replace(launch, repeated=launch.repeated or command.repeated) for launch in found]


def _python_launcher(words: list[Word]) -> list[Word] | None:
    """``python -m torch.distributed.run ...`` as the launcher's own words."""
    for position, word in enumerate(words[:-1]):
        if word.text == "-m":
            name = _LAUNCHER_MODULES.get(words[position + 1].text)
            folder = words[0].text.rpartition("/")[0]
            return None if name is None else [Word(f"{folder}/{name}" if folder else name), *words[position + 2 :]]
    return None


def _python(command: Command, words: list[Word], wrap: Wrap, around: _Around) -> Launch | None:
    interpreter, rest = [words[0].text], words[1:]
    while rest and rest[0].text.startswith("-") and rest[0].text not in {"-m", "-c", "-"}:
        taken = 2 if rest[0].text in _PYTHON_WITH_VALUE else 1
        interpreter += [word.text for word in rest[:taken]]
        rest = rest[taken:]
    if not rest or rest[0].text in {"-c", "-"}:
        return None
    if rest[0].text == "-m":
        return _made(command, interpreter, rest[2:], wrap, around, module=rest[1:2]) if len(rest) > 1 else None
    return _made(command, interpreter, rest[1:], wrap, around, script=rest[:1])


def _made(
    command: Command,
    interpreter: Sequence[str],
    arguments: Sequence[Word],
    wrap: Wrap,
    around: _Around,
    *,
    script: Sequence[Word] = (),
    module: Sequence[Word] = (),
) -> Launch | None:
    named = [*script, *module]
    folder = around.folder if around.folder is None or HOLE not in around.folder else None
    unknown = [reason for word in [*named, *arguments] for reason in word.unknown]
    if HOLE in named[0].text:
        return None
    return Launch(
        interpreter=tuple(interpreter),
        script=script[0].text if script else None,
        module=module[0].text if module else None,
        arguments=tuple(word.text for word in arguments),
        processes=wrap.processes,
        launcher=wrap.launcher,
        precision=wrap.precision,
        configuration=wrap.configuration,
        container=wrap.container,
        environment_manager=wrap.manager,
        conda=wrap.conda or around.conda,
        virtual_environment=around.virtual_environment,
        folder=folder,
        modules=around.modules,
        variables=command.variables,
        unknown=tuple(dict.fromkeys(unknown)),
        repeated=command.repeated,
    )


# Launchers that take a Python file themselves

_LAUNCHER_MODULES = {
    "torch.distributed.run": "torchrun", "torch.distributed.launch": "torchrun",
    "accelerate.commands.launch": "accelerate",
    "deepspeed.launcher.runner": "deepspeed", "deepspeed": "deepspeed",
}  # fmt: skip
_SCRIPT_LAUNCHERS = frozenset({"torchrun", "torchrun-hpc", "accelerate", "deepspeed", "composer"})
_FLAGS = frozenset(
    {"--standalone", "-m", "--module", "--no_python", "--no-python", "--run_path", "--run-path", "--use_env",
     "--use-env", "--multi_gpu", "--multi-gpu", "--cpu", "--tpu", "--use_deepspeed", "--use_fsdp", "--use_megatron_lm",
     "--quiet", "-q", "--debug", "--no_local_rank", "--no_ssh", "--save_pid", "--enable_each_rank_log", "--force_multi",
     "-v", "--verbose", "--same_network", "--ipex", "--dynamo_use_dynamic"}
)  # fmt: skip
_PROCESSES = frozenset(
    {"--nproc_per_node", "--nproc-per-node", "--num_processes", "--num-processes", "--num_gpus", "--nproc", "-n"}
)
_NODES = frozenset({"--nnodes", "--num_nodes", "--num_machines", "--num-machines"})
ACCELERATE_PRECISION = {"fp16": "mixed_float16", "bf16": "mixed_bfloat16", "no": "float32"}


def _script_launcher(name: str, command: Command, words: list[Word], wrap: Wrap, around: _Around) -> Launch | None:
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
    target: dict[str, Sequence[Word]] = {"module": rest[:1]} if is_module else {"script": rest[:1]}
    return _made(command, interpreter, rest[1:], wrap, around, **target)


def _processes(name: str, options: Mapping[str, str], command: Command) -> int | None:
    """Processes in all; None where a configuration file or the node's GPUs decide."""
    stated = next((value for option, value in options.items() if option in _PROCESSES), None)
    nodes = next((value for option, value in options.items() if option in _NODES), "1")
    count = number(stated)
    if stated in {"gpu", "auto"}:
        count = number(command.variables.get("SLURM_GPUS_ON_NODE"))
    if stated is None:
        count = 1 if name == "torchrun" else None
    if count is None or number(nodes) is None:
        return None
    # accelerate counts the processes of all machines, the others those of each.
    return count if name == "accelerate" else count * int(nodes)

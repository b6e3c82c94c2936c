"""Values of shell parameters, and the operators of ``${NAME...}`` that change a value."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from advisor.inspection.shell.state import State, Word, hole, joined

_EACH = {
    "SLURM_PROCID": "process", "SLURM_LOCALID": "process", "SLURM_NODEID": "node",
    "SLURM_ARRAY_TASK_ID": "task of the array",
    "SLURM_JOB_ID": "job", "SLURM_JOBID": "job", "RANDOM": "run", "SECONDS": "run", "HOSTNAME": "node",
}  # fmt: skip
# Slurm sets it only from the second start on.
_UNSET_AT_FIRST = frozenset({"SLURM_RESTART_COUNT"})


def lookup(name: str, state: State) -> Word | None:
    """The value of a parameter, None where it is known to be unset."""
    if name.isdecimal() and name != "0":
        position = int(name) - 1
        return state.arguments[position] if position < len(state.arguments) else None
    if name == "#":
        unclear = [reason for word in state.arguments if word.text == "\0" for reason in word.unknown]
        return hole(unclear[0]) if unclear else Word(str(len(state.arguments)))
    if name in state.variables or name in {"@", "*"}:
        return state.variables[name] if name in state.variables else joined(state.arguments)
    if name in _UNSET_AT_FIRST:
        return None
    why = f"differs for each {_EACH[name]}" if name in _EACH else "is set nowhere that can be seen"
    return hole(f"${name}, which {why}")


def changed(word: Word, operators: Sequence[str], operands: Sequence[Word]) -> Word:
    """A value after ``%``, ``#``, ``/``, ``^``, ``,`` or ``:``."""
    unclear = [*word.unknown, *(reason for item in operands for reason in item.unknown)]
    if unclear:
        return hole(unclear[0])
    text, operator = word.text, operators[0]
    texts = [item.text for item in operands]
    if operator in {"^", "^^", ",", ",,"}:
        change = str.upper if operator[0] == "^" else str.lower
        return Word(change(text) if len(operator) == 2 else change(text[:1]) + text[1:])  # noqa: PLR2004 (the doubled form)
    if operator in {"#", "##", "%", "%%"} and texts:
        return Word(_trimmed(text, operator, texts[0]))
    if operator in {"/", "//", "/#", "/%"} and texts:
        return Word(_replaced(text, operator, texts[0], texts[1] if len(texts) > 1 else ""))
    if operator == ":" and texts and all(re.fullmatch(r"\s*-?\d+", item) for item in texts):
        first = int(texts[0])
        rest = text[first:]
        return Word(rest if len(texts) == 1 else rest[: int(texts[1])])
    return hole("an expansion whose operator is not followed")


def _trimmed(text: str, operator: str, pattern: str) -> str:
    cuts = range(len(text) + 1)
    if operator[0] == "#":
        ends = [cut for cut in cuts if fnmatch.fnmatchcase(text[:cut], pattern)]
        return text if not ends else text[min(ends) if operator == "#" else max(ends) :]
    starts = [cut for cut in cuts if fnmatch.fnmatchcase(text[cut:], pattern)]
    return text if not starts else text[: max(starts) if operator == "%" else min(starts)]


def _replaced(text: str, operator: str, pattern: str, replacement: str) -> str:
    body = fnmatch.translate(pattern).removeprefix("(?s:").removesuffix(r")\Z").removesuffix(r")\z")
    body = {"/#": rf"\A(?:{body})", "/%": rf"(?:{body})\Z"}.get(operator, body)
    return re.sub(body, lambda _match: replacement, text, count=0 if operator == "//" else 1, flags=re.DOTALL)

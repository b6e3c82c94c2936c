"""Values that are other in each job and that any run copes with: one of them stands for all in a dry run.

A job's number, its node's name, a free port, the time, a folder for temporary files: no training depends on which they
are, and without one for each argument it could not be tried at all.
"""

from __future__ import annotations

import re

from advisor.inspection.shell.state import HOLE, Word

# What a reason begins with or holds, and what stands for the value.
_STAND_INS = (
    (re.compile(r"^\$SLURM_(ARRAY_)?JOB_?ID,"), "1000001"),
    (re.compile(r"^\$SLURM_(PROCID|LOCALID|NODEID),"), "0"),
    (re.compile(r"^\$(RANDOM|SECONDS),"), "12345"),
    (
        re.compile(r"^\$(HOSTNAME|SLURMD_NODENAME|SLURM_(JOB_|STEP_)?NODELIST|SLURM_SUBMIT_HOST|MASTER_ADDR),"),
        "localhost",
    ),
    (re.compile(r"^\$(SLURM_TMPDIR|TMPDIR|TMP|LOCAL_SCRATCH|LOCALSCRATCH|SLURM_SCRATCH),"), "/tmp"),  # noqa: S108 (a name for it)
    (re.compile(r"^(\$\(|`)\s*(hostname|scontrol\s+show\s+hostname|nslookup|getent|dig)\b"), "localhost"),
    (re.compile(r"^(\$\(|`)\s*mktemp\b"), "/tmp"),  # noqa: S108 (a name for it)
    (re.compile(r"^(\$\(|`)\s*(date|uuidgen|whoami|id -un)\b"), "now"),
    (re.compile(r"^(\$\(|`)\s*(expr|echo|shuf|comm|python3?)\b.*(JOB_?ID|RANDOM|shuf|socket)"), "29500"),
)


def with_stand_ins(word: Word) -> tuple[Word, tuple[str, ...]]:
    """A word with each part that has a stand-in put in, and what they stand for."""
    parts = word.text.split(HOLE)
    if len(parts) - 1 != len(word.unknown):  # which reason is about which part is not known
        return word, ()
    text, left, stood = parts[0], [], []
    for reason, part in zip(word.unknown, parts[1:], strict=True):
        value = next((value for pattern, value in _STAND_INS if pattern.search(reason)), None)
        text += (HOLE if value is None else value) + part
        if value is None:
            left.append(reason)
        else:
            stood.append(reason.rpartition(", which")[0])
    return Word(text, tuple(left)), tuple(stood)

"""A program named sbatch to put on PATH: it writes down how it was called and answers as it was told to."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """\
#!{python} -I
import json, os, pathlib, sys
folder = pathlib.Path({folder})
calls = sorted(folder.glob("call-*.json"))
names = [word for word in sys.argv[1:] if os.path.isfile(word)]
script = names[0] if names else None
call = {{
    "words": sys.argv[1:],
    "script": script,
    "text": open(script, encoding="utf-8", errors="surrogateescape").read() if script else sys.stdin.read(),
    "environment": dict(os.environ),
}}
(folder / f"call-{{len(calls)}}.json").write_text(json.dumps(call))
answers = json.loads((folder / "answers.json").read_text())
answer = answers[min(len(calls), len(answers) - 1)]
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["status"])
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the words after sbatch, the script file among them, the text submitted, the environment."""

    words: list[str]
    script: str | None
    text: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class FakeSbatch:
    """The program lies in ``folder``, which belongs first on PATH."""

    folder: Path

    def answers(self, stdout: str = "Submitted batch job 42\n", stderr: str = "", status: int = 0) -> None:
        """Set the next answer; the last one set is given to all later calls."""
        path = self.folder / "answers.json"
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        path.write_text(
            json.dumps([*earlier, {"stdout": stdout, "stderr": stderr, "status": status}]), encoding="utf-8"
        )

    def calls(self) -> list[Call]:
        """All calls so far."""
        return [
            Call(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(self.folder.glob("call-*.json"))
        ]

    def environment(self, **variables: str) -> dict[str, str]:
        """A user's environment in which this sbatch is the one that is found."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        home = str(self.folder.parent)
        return {
            **kept,
            "HOME": home,
            "USER": "me",
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_CACHE_HOME": f"{home}/cache",
            "PATH": f"{self.folder}:{kept.get('PATH', '')}",
            **variables,
        }


def install_fake_sbatch(folder: Path, python: str = sys.executable) -> FakeSbatch:
    """Write the program into a folder."""
    folder.mkdir()
    program = folder / "sbatch"
    program.write_text(_PROGRAM.format(python=python, folder=repr(str(folder))), encoding="utf-8")
    program.chmod(0o755)
    return FakeSbatch(folder)

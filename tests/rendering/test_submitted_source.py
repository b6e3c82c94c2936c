"""A changed or missing Python file: its submitted text runs as ``python FILE`` would have run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.rendering.render import render
from advisor.request.script import read_script
from advisor.settings import data_path

# What a script may see of how it was started; sys.flags and sys.orig_argv are not the same.
SEES = {
    "names": "print(sorted(name for name in globals() if name != '__loader__'))",
    "file": "print(__file__, __name__, __doc__, __package__, __spec__, __cached__)",
    "arguments": "import sys\nprint(sys.argv)",
    "path": "import sys\nprint(sys.path)",
    "modules": "import sys\nprint(sorted(sys.modules))",
    "neighbour": "import neighbour\nprint(neighbour.__file__)",
    "status": "raise SystemExit(7)",
    "message": "raise SystemExit('the message')",
    "error": "print('before')\ndef f():\n    1 / 0\nf()",
    "chained error": "try:\n    1 / 0\nexcept ZeroDivisionError as exc:\n    raise KeyError from exc",
    "syntax error": "print(1)\nprint((",
    "future": "from __future__ import annotations\ndef f(x: nothing): pass\nprint(f.__annotations__)",
    "no future": "try:\n    def f(x: nothing): pass\nexcept NameError as exc:\n    print(exc)",
    "coding": "# -*- coding: latin-1 -*-\nprint(ascii('\udce9'))",
    "no line end": "print(1)",
    "pickle": "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A())).__class__)",
    "mark": "text = '''\n#gsbatch-source\n'''\nprint(text)",
    "unbuffered": "import sys\nprint(sys.stdin.read() == '', sys.stdout.isatty())",
}


@pytest.mark.parametrize("change", ["edited", "removed", "linked"])
@pytest.mark.parametrize("name", SEES)
def test_the_submitted_text_runs_as_python_would_run_the_file(tmp_path: Path, name: str, change: str) -> None:
    """Output, errors and status are plain Python's on the unchanged file."""
    train = tmp_path / "my train.py"
    text = SEES[name] + ("" if name == "no line end" else "\n")
    train.write_text(text, encoding="utf-8", errors="surrogateescape")
    (tmp_path / "neighbour.py").write_text("", encoding="utf-8")
    if change == "linked":
        (tmp_path / "elsewhere").mkdir()
        train.rename(tmp_path / "elsewhere" / "real.py")
        train.symlink_to(tmp_path / "elsewhere" / "real.py")
        (tmp_path / "neighbour.py").rename(tmp_path / "elsewhere" / "neighbour.py")
    script = read_script(train, ("--title", "it's", ""))
    batch = tmp_path / "batch"
    batch_text = render(script, (), template_dir=data_path("sbatch_templates"), recorder=None, python=(sys.executable,))
    batch.write_text(batch_text, encoding="utf-8", errors="surrogateescape")
    batch.chmod(0o700)

    plain = _run([sys.executable, str(train), *script.arguments], tmp_path)
    unchanged = _run([str(batch)], tmp_path)
    if change == "removed":
        train.unlink()
    else:
        train.write_text("print('edited')\n", encoding="utf-8")
    changed = _run([str(batch)], tmp_path)

    assert plain == unchanged
    notice = f"gsbatch: {train} has changed since the job was submitted; it runs as submitted\n"
    assert notice in changed[2]
    assert plain == (changed[0], changed[1], changed[2].replace(notice, ""))


def _run(command: list[str], folder: Path) -> tuple[int, str, str]:
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, input="")
    return done.returncode, done.stdout, done.stderr

"""What is injected runs in Python 3.8, the oldest that users of a cluster may have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INJECTED = Path(__file__).parents[2] / "advisor" / "injected"
OLDEST = (3, 8)


def _oldest_python() -> str | None:
    """An interpreter of that version, on PATH or under pyenv."""
    name = "python{}.{}".format(*OLDEST)
    under_pyenv = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/*/bin/{name}"))
    for candidate in [shutil.which(name), *map(str, under_pyenv)]:
        if candidate and subprocess.run([candidate, "-V"], check=False, capture_output=True).returncode == 0:
            return candidate
    return None


def test_no_newer_syntax_or_function_is_used() -> None:
    """Vermin knows since when each part of the language and of the standard library is there."""
    program = [str(Path(sys.executable).with_name("vermin")), "--target=3.8-", "--no-tips", "--eval-annotations"]
    done = subprocess.run([*program, str(INJECTED)], check=False, capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout


PYTHON = _oldest_python()


@pytest.mark.skipif(PYTHON is None, reason="no Python 3.8 on PATH or under pyenv")
def test_modules_without_a_framework_are_imported_by_it() -> None:
    """Those that import a framework at their top are left out: it is not there."""
    lines = [path.read_text(encoding="utf-8") for path in sorted(INJECTED.rglob("gsbatch_inside/**/*.py"))]
    names = [
        ".".join(path.relative_to(INJECTED).with_suffix("").parts)
        for path, text in zip(sorted(INJECTED.rglob("gsbatch_inside/**/*.py")), lines, strict=True)
        if path.stem not in {"__init__", "__main__"}
        and not any(f"\nimport {name}\n" in text for name in ("torch", "numpy"))
    ]
    program = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name not in ("torch", "numpy"):
            raise
"""
    done = subprocess.run(
        [PYTHON or "", "-I", "-B", "-c", program, str(INJECTED), *names], check=False, capture_output=True, text=True
    )

    assert 0 == done.returncode, done.stderr
    assert len(names) > 40

"""Calling back after an import, inside an interpreter that is not ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INJECTED = Path(__file__).parents[2] / "advisor" / "injected"


def run(code: str, folder: Path) -> str:
    """What a fresh interpreter prints that has the hook and ``folder`` on its path."""
    prelude = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(INJECTED)!r}]\n"
    prelude += "from gsbatch_inside.post_import import when_imported\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", prelude + code], capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a package that looks at itself while it is imported."""
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("from pkg import part\nvalue = __spec__.loader.name\n", encoding="utf-8")
    (folder / "part.py").write_text("seen = 1\n", encoding="utf-8")
    return tmp_path


def test_called_once_when_the_module_is_whole(package: Path) -> None:
    """The callback finds what the module defines last, and a second import calls nobody."""
    waiting = "when_imported('pkg', lambda m: print('called', m.value))"
    code = f"{waiting}\nimport pkg, importlib\nimportlib.import_module('pkg')"

    assert "called pkg\n" == run(code, package)


def test_called_at_once_for_what_is_imported_already(package: Path) -> None:
    """Order does not matter."""
    assert "called\n" == run("import pkg; when_imported('pkg', lambda m: print('called'))", package)


def test_nothing_is_imported_by_waiting(package: Path) -> None:
    """A framework that the script never imports is never loaded."""
    assert "False\n" == run("when_imported('pkg', print); print('pkg' in sys.modules)", package)


def test_failing_callback_is_nobodys_error(package: Path) -> None:
    """The user's import goes on."""
    assert "1\n" == run("when_imported('pkg.part', lambda m: 1 / 0); import pkg; print(pkg.part.seen)", package)


def test_missing_module_is_missing_as_ever(package: Path) -> None:
    """Waiting for a module does not change the error that its absence gives."""
    code = (
        "when_imported('gone', print)\ntry:\n    import gone\nexcept ModuleNotFoundError as exc:\n    print(exc.name)"
    )

    assert "gone\n" == run(code, package)


def test_an_error_of_the_module_has_no_frame_of_ours(package: Path) -> None:
    """The traceback is the user's, from the import statement to the line that fails."""
    (package / "pkg" / "__init__.py").write_text("1 / 0\n", encoding="utf-8")
    catching = "import traceback\ntry:\n    import pkg\nexcept ZeroDivisionError:\n    print(traceback.format_exc())"

    assert run(catching, package) == run(f"when_imported('pkg', print); {catching}", package)


def test_a_module_that_failed_may_be_tried_again(package: Path) -> None:
    """The callback is for a module that is there."""
    (package / "pkg" / "__init__.py").write_text("import builtins\nbuiltins.worked\n", encoding="utf-8")
    code = (
        "when_imported('pkg', lambda m: print('called'))\ntry:\n    import pkg\nexcept AttributeError:\n"
        "    print('failed')\nimport builtins\nbuiltins.worked = 1\nimport pkg"
    )

    assert "failed\ncalled\n" == run(code, package)


def test_looking_for_a_module_is_not_importing_it(package: Path) -> None:
    """Libraries ask in this way which frameworks are installed."""
    code = "when_imported('pkg', lambda m: print('called'))\n"
    code += "import importlib.util\nspec = importlib.util.find_spec('pkg')\n"
    code += (
        "print(type(spec).__name__, 'pkg' in sys.modules)\nimport pkg\nprint(type(pkg.__spec__) is type(sys.__spec__))"
    )

    assert "ModuleSpec False\ncalled\nTrue\n" == run(code, package)

"""Scripts are found as sbatch finds them, and told apart by what can be done with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from advisor.errors import ScriptError
from advisor.request.script import (
    ScriptKind,
    find_script,
    interpreter_command,
    read_script,
    script_from_text,
    stdin_script,
)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("train.py", "import x\n", ScriptKind.PYTHON),
        ("train", "#!/usr/bin/env python3\nimport x\n", ScriptKind.PYTHON),
        ("odd.py", "#!/bin/bash\necho\n", ScriptKind.SHELL),
        ("job.sh", "#!/bin/bash -l\necho\n", ScriptKind.SHELL),
        ("job", "#!/usr/bin/env zsh\necho\n", ScriptKind.SHELL),
        ("job", "#!/bin/csh\nsetenv X 1\n", ScriptKind.HEADER_ONLY),
        ("job", "#!/opt/odd\n#SBATCH -n1\ncode\n", ScriptKind.HEADER_ONLY),
        ("job", "#!/opt/odd\ncode\n", ScriptKind.UNTOUCHED),
        ("job", "echo\n", ScriptKind.UNTOUCHED),
        ("job", "", ScriptKind.UNTOUCHED),
        ("job", "#!/bin/sh\r\necho\r\n", ScriptKind.UNTOUCHED),
        ("train.py", "#!/usr/bin/python3\r\nimport x\r\n", ScriptKind.PYTHON),
        ("job", "#!/bin/sh\n#PBS -l walltime=1:00\necho\n", ScriptKind.UNTOUCHED),
        ("job", "#!/bin/sh\n#SBATCH -n1\n#SBATCH hetjob\n#SBATCH -n2\necho\n", ScriptKind.UNTOUCHED),
    ],
)
def test_the_kind_follows_from_name_and_first_line(name: str, text: str, kind: ScriptKind) -> None:
    """Only what is understood is changed; the rest says why it is not."""
    script = script_from_text(text, name=name, path=Path("/x") / name, arguments=())

    assert kind is script.kind
    assert (script.note is not None) == (kind in {ScriptKind.HEADER_ONLY, ScriptKind.UNTOUCHED})


def test_text_of_any_encoding_is_taken_byte_by_byte(tmp_path: Path) -> None:
    """What no UTF-8 is may be latin-1 with a coding line, which Python runs, or a comment of a shell script."""
    content = b"# -*- coding: latin-1 -*-\r\n#SBATCH --comment='caf\xe9'\r\nprint('\xe9')\r\n"
    (tmp_path / "train.py").write_bytes(content)

    script = read_script(tmp_path / "train.py", ())

    assert content == script.text.encode("utf-8", "surrogateescape")
    assert hashlib.sha256(content).hexdigest() == script.sha256
    assert ("#SBATCH --comment='caf\udce9'",) == script.header.directives


def test_a_python_script_on_standard_input_has_no_path_to_run() -> None:
    """It takes picks and is not recorded."""
    assert ScriptKind.HEADER_ONLY is stdin_script(b"#!/usr/bin/python3\nprint(1)\n").kind


def test_scripts_are_found_in_the_folder_then_on_path(tmp_path: Path) -> None:
    """sbatch(1), SCRIPT PATH RESOLUTION: a name with a leading dot or slash is never looked up on PATH."""
    here, elsewhere = tmp_path / "here", tmp_path / "bin"
    for folder, names in ((here, ("a",)), (elsewhere, ("a", "b"))):
        folder.mkdir()
        for name in names:
            (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")

    assert here / "a" == find_script("a", folder=here, search_path=str(elsewhere))
    assert elsewhere / "b" == find_script("b", folder=here, search_path=f"/none:{elsewhere}")
    assert elsewhere / "b" == find_script(str(elsewhere / "b"), folder=here, search_path="")
    with pytest.raises(ScriptError, match="does not exist"):
        find_script("./b", folder=here, search_path=str(elsewhere))
    with pytest.raises(ScriptError, match="is a folder"):
        find_script("here", folder=tmp_path, search_path="")


def test_chdir_moves_the_search_but_not_a_dotted_path(tmp_path: Path) -> None:
    """As sbatch does it: with -D other, ``a`` is other/a, ``./a`` stays here's, and here is looked at last."""
    here, other, path = tmp_path / "here", tmp_path / "here" / "other", tmp_path / "bin"
    for folder, names in ((here, ("a", "b", "c")), (other, ("a",)), (path, ("a", "b"))):
        folder.mkdir()
        for name in names:
            (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")

    def found(name: str) -> Path:
        return find_script(name, folder=here, search_path=str(path), chdir="other")

    assert [other / "a", path / "b", here / "c"] == [found(name) for name in ("a", "b", "c")]
    assert (here / "a").samefile(found("./a"))


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    """A huge file is sbatch's to judge."""
    path = tmp_path / "x"
    path.write_bytes(b"#" * (4 * 1024**2 + 1))

    with pytest.raises(ScriptError, match="larger than"):
        read_script(path, ())


def _program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_interpreter_is_the_users(tmp_path: Path) -> None:
    """The setting, else the #! line with its flags, else python and then python3 on the user's PATH."""
    python = _program(tmp_path / "a" / "python")
    python3 = _program(tmp_path / "b" / "python3")
    plain = script_from_text("import x\n", name="t.py", path=Path("/t.py"), arguments=())
    with_line = script_from_text("#!/usr/bin/env -S python3 -u\n", name="t.py", path=Path("/t.py"), arguments=())
    absolute = script_from_text(f"#!{python3} -O\n", name="t.py", path=Path("/t.py"), arguments=())
    both = {"PATH": f"{tmp_path}/a:{tmp_path}/b"}

    assert (str(python),) == interpreter_command(plain, environment=both)
    assert (str(python3),) == interpreter_command(plain, environment={"PATH": f"{tmp_path}/b"})
    assert (str(python3), "-u") == interpreter_command(with_line, environment=both)
    assert (str(python3), "-O") == interpreter_command(absolute, environment={"PATH": "/none"})
    assert (str(python3),) == interpreter_command(plain, environment=both, chosen=python3)
    with pytest.raises(ScriptError, match="No Python interpreter"):
        interpreter_command(plain, environment={"PATH": "/none"})

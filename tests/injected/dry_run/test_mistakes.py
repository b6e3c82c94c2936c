"""A script's mistake is told by the user's own file and line, whatever library it came up in."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from advisor.injected.gsbatch_inside.dry_run.mistakes import ended_by


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("x = 1\nopen('not here')\n", "error train.py:2: FileNotFoundError: [Errno 2] No such file"),
        ("import json\n\njson.loads('{')\n", "error train.py:3: JSONDecodeError: Expecting property name"),
        ("import mine\nmine.build()\n", "error lib/mine.py:2: ValueError: no such net"),
        ("import sys\nsys.exit(3)\n", "exit 3 at train.py:2"),
        ("import argparse\np = argparse.ArgumentParser()\np.parse_args(['x'])\n", "exit 2 at train.py:3"),
        ("raise SystemExit\n", "exit 0"),
        ("input()\n", "error train.py:1: "),
        ("raise KeyError()\n", "error train.py:1: KeyError"),
        ("raise ValueError('in user code:\\n\\n  File \"train.py\", line 3\\n\\n    ValueError: too wide\\n')\n",
         "error train.py:1: ValueError: too wide"),
        ("raise TypeError('Exception encountered when calling Net.call().\\n\\n\\x1b[1mno such layer\\x1b[0m\\n')\n",
         "error train.py:1: TypeError: no such layer"),
    ],
)  # fmt: skip
def test_the_place_is_the_user_s_own(
    source: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The innermost line of the script or of a module beside it; of a library's error, the line that called it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text("def build():\n    raise ValueError('no such net')\n", encoding="utf-8")
    script = tmp_path / "train.py"
    script.write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    with pytest.raises(BaseException) as caught:  # noqa: PT011 (what a script raises may be anything)
        runpy.run_path(str(script))

    assert ended_by(caught.value, str(script)).startswith(how)
    capsys.readouterr()

"""The training inside a batch script is found where its words are plain, and never guessed."""

from __future__ import annotations

import pytest

from advisor.rendering.python_inside import PythonCommand, python_inside


@pytest.mark.parametrize(
    ("body", "interpreter", "script", "arguments"),
    [
        ("python train.py\n", ("python",), "train.py", ()),
        ("module load x\nsrun -n1 python3 -u a/b.py --lr 1e-3 # go\n", ("python3", "-u"), "a/b.py", ("--lr", "1e-3")),
        ('/opt/bin/python3.11 train.py "$@"\n', ("/opt/bin/python3.11",), "train.py", ("a b", "c")),
        ("exec python train.py $@\n", ("python",), "train.py", ("a b", "c")),
        ("python \\\n  train.py \\\n  --x 'y z'\n", ("python",), "train.py", ("--x", "y z")),
        ("python train.py --x 1 > log 2>&1\n", ("python",), "train.py", ("--x", "1")),
        ("python train.py 2>&1 | tee log\n", ("python",), "train.py", ()),
    ],
)
def test_a_plain_command_is_found(
    body: str, interpreter: tuple[str, ...], script: str, arguments: tuple[str, ...]
) -> None:
    """Launchers, flags, continued lines, redirections and "$@" are read."""
    assert PythonCommand(interpreter, script, arguments) == python_inside(body, ("a b", "c"))


@pytest.mark.parametrize(
    "body",
    [
        "echo hello\n",
        "# python train.py\n",
        "python a.py\npython b.py\n",
        "python train.py --data $DATA\n",
        "python train.py $(cat arguments)\n",
        "python -m package.train\n",
        "python -c 'import x'\n",
        "echo python train.py\n",
        "python 'train.py\n",
        "python train_*.py\n",
        "python a.py\npython $SCRIPT b.py\npython b.py $X\n",
    ],
)
def test_what_only_a_shell_could_tell_is_left_alone(body: str) -> None:
    """No dry run is better than one of the wrong words."""
    assert python_inside(body, ()) is None

"""Whatever a user wrote is read within bounds, or is unknown: configurations, scripts, batch scripts."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.inspection.batch_script import script_of_batch
from advisor.inspection.bounded_call import OutOfBounds, bounded_call
from advisor.inspection.configuration import read_configuration
from advisor.inspection.inspect import ScriptToInspect
from advisor.inspection.source_code import SourceReading, read_source
from advisor.units import GIB, MIB

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=30,
)
# Pieces that mean something to a reader of configurations or of Python, in any order and number.
YAML_PIECES = st.sampled_from(
    ["a: ", "b:\n", "- ", "  ", "&x ", "*x", "[", "]", "{", "}", ", ", "!!python/object:os.system ", "!!int ",
     "<<: *x", "|\n", ">\n", "? ", "---\n", "...\n", "'", '"', "\n", "\t", "1e999", "0x1F", "2001-12-14", "\u2028",
     "\x00", "%TAG ! !\n"]
)  # fmt: skip
PYTHON_PIECES = st.sampled_from(
    ["import torch\n", "x = 10 ** 9 ** 3\n", "x = 'a' * 10**9\n", "x = x + x\n", "x = [x] * 1000000\n",
     "x = f'{x:>999999999}'\n", "x = '%999999999d' % 1\n", "for i in range(10**12):\n    x = i\n",
     "while True:\n    x = 1\n", "def f(n):\n    return f(n)\n", "f(1)\n", "x = (lambda: x)()\n", "import os\n",
     "from . import y\n", "x = {}\nx['a'] = x\n", "x.y.z = 1\n", "del x\n", "x = eval('1')\n", "x = 1 << 10**9\n",
     "x = tuple(range(10**8))\n", "x = list(x)\n", "x = str(x)\n", "x = int('9' * 10**6)\n",
     "loader = torch.utils.data.DataLoader(x, batch_size=x)\n",
     "for e in range(x):\n    for b in loader:\n        b.backward()\n", "class A(A):\n    pass\n",
     "try:\n    x\nexcept:\n    pass\n", "with open('/dev/zero') as f:\n    x = f.read()\n",
     "x = open('/dev/zero').read()\n", "x = sorted(x)\n", "x = x[::-1]\n", "x = x.format(x)\n", "\x00", "\ufeff",
     "\t", "(((((((((((((((((((("]
)  # fmt: skip
SHELL_PIECES = st.sampled_from(
    ["#!/bin/bash\n", "python train.py ", "\n", "$(", ")", "`", "${x", "}", "for i in {1..100000000}; do ",
     "; done\n", "while true; do ", "f() { f; }; f\n", "if ", "then ", "fi\n", "<<EOF\n", "EOF\n", "'", '"', "\\",
     "x=$x$x$x$x\n", "export x=1\n", "srun ", "torchrun --nproc_per_node=999999999 ", "exec ", "eval $x\n",
     "case x in ", "esac\n", "$((2**64))", "$((x=x+x))", "[[ ", " ]]", "&& ", "| ", "arr=(1 2)\n", "${arr[@]}",
     "${x:0:99999999}", "printf '%999999999d' 1\n", "\x00", "source x\n"]
)  # fmt: skip
a_few = settings(max_examples=60, deadline=None)


@a_few
@given(pieces=st.lists(YAML_PIECES, max_size=60), suffix=st.sampled_from(SUFFIXES))
def test_no_configuration_ends_its_reader(pieces: list[str], suffix: str) -> None:
    """What is not understood is None."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"c{suffix}"
        path.write_text("".join(pieces), encoding="utf-8")

        found = read_configuration(path)

    assert len(repr(found)) < 10_000


@a_few
@given(value=PLAIN)
def test_a_configuration_is_read_as_it_was_written(value: Any) -> None:
    """Bounds change nothing of what fits in them."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix, text in ((".json", json.dumps(value)), (".yaml", yaml.safe_dump(value))):
            path = Path(folder) / f"c{suffix}"
            path.write_text(text, encoding="utf-8")

            assert value == read_configuration(path)


def _billion_laughs() -> str:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    return "\n".join(rows + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)])


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "[" * 40_000 + "]" * 40_000),
        (".yaml", "a: " * 10_000),
        (".yaml", "- " * 40_000),
        (".yaml", "? " * 40_000),
        (".yaml", _billion_laughs()),
        (".yaml", "a: &a [*a]"),
        (".json", "[" * 100_000 + "]" * 100_000),
        (".json", '{"a":' * 30_000 + "1" + "}" * 30_000),
        (".toml", "a = " + "[" * 40_000 + "]" * 40_000),
        (".toml", "[" + "a." * 50_000 + "a]"),
        (".json", "x" * 10 * MIB),
    ],
)
def test_a_configuration_that_would_end_python_is_none(tmp_path: Path, suffix: str, text: str) -> None:
    """By its depth, by what its aliases repeat, or by its size: within this very process."""
    path = tmp_path / f"c{suffix}"
    path.write_text(text, encoding="utf-8")

    assert read_configuration(path) is None


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """A pipe without a writer would be waited for, and /dev/zero never ends."""
    path = tmp_path / "c.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    assert read_configuration(path) is None


@a_few
@given(pieces=st.lists(PYTHON_PIECES, max_size=12))
def test_no_script_ends_gsbatch_or_holds_it_up(pieces: list[str]) -> None:
    """Reading one in bounds says something or nothing; the process that asked goes on."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text("".join(pieces), encoding="utf-8")
        begun = time.monotonic()
        try:
            reading = bounded_call(
                lambda: read_source(script, (), environment={}, folder=Path(folder)), wall_s=5.0, memory_bytes=GIB // 2
            )
        except OutOfBounds:
            reading = None

    assert reading is None or isinstance(reading, SourceReading)
    assert time.monotonic() - begun < 30.0


@a_few
@given(pieces=st.lists(SHELL_PIECES, max_size=20))
def test_no_batch_script_ends_gsbatch_or_holds_it_up(pieces: list[str]) -> None:
    """Shell text of any form, which is read and never run."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.py").write_text("import torch\n", encoding="utf-8")
        try:
            found = bounded_call(
                lambda: script_of_batch(
                    "".join(pieces), arguments=(), environment={"PATH": "/usr/bin"}, slurm={}, folder=Path(folder)
                ),
                wall_s=5.0,
                memory_bytes=GIB // 2,
            )
        except OutOfBounds:
            found = "too much"

    assert isinstance(found, str | ScriptToInspect)


@pytest.mark.parametrize(
    "harm",
    [
        lambda: os.kill(os.getpid(), signal.SIGTRAP),
        lambda: len(bytearray(4 * GIB)),
        lambda: time.sleep(60),
        lambda: os._exit(3),
        lambda: 10 ** (10**10),
        lambda: lambda: None,
    ],
    ids=["crash", "memory", "time", "exit", "one long operation", "no plain answer"],
)
def test_a_call_that_ends_its_child_is_out_of_bounds(harm: Any) -> None:
    """However it ends; nothing of it is left."""
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(OutOfBounds):
        bounded_call(harm, wall_s=1.0)

    assert {child.pid for child in psutil.Process().children()} <= before


def test_a_call_within_bounds_hands_on_what_it_returns_and_raises() -> None:
    """As if it had been made here."""

    def fails() -> None:
        raise ValueError("mine")

    assert {"a": (1, 2)} == bounded_call(lambda: {"a": (1, 2)})
    with pytest.raises(ValueError, match="mine"):
        bounded_call(fails)

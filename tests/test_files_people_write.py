"""Whatever stands in a file that people write is read or refused with a clear error, and never a traceback."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.errors import ConfigurationError
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.described import read_described
from advisor.inventory.site_gpus import read_site_gpus
from advisor.settings import SETTINGS, load_settings

CATALOGUE = load_catalogue()
NAMES = {
    "settings": [setting.name for setting in SETTINGS],
    "described": [
        "name", "account", "default", "max_time", "default_time", "max_nodes", "min_nodes", "default_memory_per_cpu",
        "billing_weights", "unavailable", "count", "cpus", "memory", "gres", "features", "partitions", "nodes",
    ],
    "catalogue": [
        "name", "gres_types", "architecture", "cuda_cores", "memory", "bandwidth_gb_s", "tdp", "fp64_tflops",
        "fp32_tflops", "tf32_tflops", "fp16_tflops", "bf16_tflops", "year", "idle", "context_idle", "full_load_share",
    ],
}  # fmt: skip
HEADERS = ["[[partitions]]", "[[partitions.nodes]]", "[[gpus]]", "[[partitions.nodes", "[a.b]", "[[a]]", "[]"]
VALUES = st.sampled_from(
    ["1", "0", "-1", "1e400", "nan", "inf", "9" * 400, '""', '"1-00:00:00"', '"512G"', '"gpu:a100:4"', '"gpu:a100:-1"',
     '"gpu:a100:99999999999"', '"UNLIMITED"', '"\\u202e"', '"\\u0000"', '"../../etc"', "[]", '["x", 1]', "{a = 1}",
     "[[[[[[[[1]]]]]]]]", "true", "1979-05-27", '"""\nx"""', '"CPU=1.0,Mem=0.25G"', '"x=,=,"', "0x1F", '"on"', '"auto"',
     '"gpu:NVIDIA GeForce RTX 3090:1,gpu:a100:2(S:0-1)"', '"1,2,3"', '"energy"', '"/dev/zero"']
)  # fmt: skip
READERS: dict[str, Callable[[Path], Any]] = {
    "settings": lambda path: load_settings(environment={"HOME": "/none", "GSBATCH_SITE_CONFIG": str(path)}),
    "described": lambda path: read_described(path, CATALOGUE),
    "catalogue": lambda path: read_site_gpus(path, CATALOGUE),
}


# Files without a mistake, in which one value at a time is another.
SOUND = {
    "settings": 'objective = "time"\nrecord = true\npue = 1.2\n',
    "described": 'name = "d"\n[[partitions]]\nname = "p"\nmax_time = "1:00:00"\n[[partitions.nodes]]\ncount = 2\n'
    'cpus = 4\nmemory = "32G"\ngres = "gpu:a100:4"\nfeatures = ["x"]\n',
    "catalogue": '[[gpus]]\nname = "NVIDIA X1"\ngres_types = ["x1"]\ncuda_cores = 100\nmemory = "8G"\n'
    "bandwidth_gb_s = 100\ntdp = 100\nfp32_tflops = 1\n",
}


def _lines(kind: str) -> st.SearchStrategy[str]:
    names = st.sampled_from([*NAMES[kind], "x", '"a b"', ""])
    fields = st.tuples(names, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}")
    return fields | st.sampled_from(HEADERS) | st.text(max_size=20)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_text_is_read_or_refused_by_name(kind: str, data: st.DataObject) -> None:
    """The message names the file; nothing else than a ConfigurationError comes out."""
    lines = data.draw(st.lists(_lines(kind), max_size=15))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written.toml"
        path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
        try:
            READERS[kind](path)
        except ConfigurationError as exc:
            assert "written.toml" in str(exc)  # noqa: PT017 (most texts are refused, some are read)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_one_value_of_another_kind_is_refused_by_name_or_read(kind: str, data: st.DataObject) -> None:
    """What comes after the form has been checked is reached too."""
    lines = SOUND[kind].splitlines()
    place = data.draw(st.sampled_from([number for number, line in enumerate(lines) if " = " in line]))
    lines[place] = f"{lines[place].split(' = ')[0]} = {data.draw(VALUES)}"
    added = data.draw(st.lists(st.sampled_from(NAMES[kind]), max_size=2, unique=True))
    lines += [f"{name} = {data.draw(VALUES)}" for name in added]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written.toml"
        path.write_text(SOUND[kind], encoding="utf-8")
        READERS[kind](path)
        path.write_text("\n".join(lines), encoding="utf-8")
        try:
            READERS[kind](path)
        except ConfigurationError as exc:
            assert "written.toml" in str(exc)  # noqa: PT017 (many values are refused, some are read)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(kind: str, content: bytes) -> None:
    """A file of another kind in the place of a setting."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written.toml"
        path.write_bytes(content)
        try:
            READERS[kind](path)
        except ConfigurationError as exc:
            assert "written.toml" in str(exc)  # noqa: PT017 (most are refused, some are read)

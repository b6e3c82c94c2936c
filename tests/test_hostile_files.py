"""Settings, GPU catalogues and described clusters of any content: used, or refused with a clear error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
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

SETTINGS_FILE = """
spool_dir = "/shared/spool/$USER"
corpus = "/shared/corpus.db"
objective = "energy"
record = true
energy_budget = "2MJ"
min_gain = "0.001:val_accuracy:3"
carbon_intensity_g_per_kwh = 230
price_per_kwh = 0.22
pue = 1.2
slurm_timeout_s = 15.0
"""
CATALOGUE_FILE = """
[[gpus]]
name = "House GPU"
gres_types = ["house"]
cuda_cores = 4096
memory = "24G"
bandwidth_gb_s = 900
tdp = 300
fp32_tflops = 30.0
architecture = "ampere"
[[gpus]]
name = "NVIDIA A100-PCIE-40GB"
tdp = 220
"""
CLUSTER_FILE = """
name = "demo"
account = "ml"
[[partitions]]
name = "ampere"
default = true
max_time = "2-00:00:00"
default_time = "01:00:00"
max_nodes = 4
max_memory_per_node = "512G"
default_memory_per_gpu = "16G"
billing_weights = "CPU=1.0,GRES/gpu=16"
[[partitions.nodes]]
count = 4
cpus = 64
memory = "512G"
gres = "gpu:a100:4"
features = ["nvlink"]
[[partitions.nodes]]
name = "n[1-3]"
cpus = 8
memory = "32G"
gres = "gpu:NVIDIA GeForce RTX 3090:1"
"""
# A value, a name before an equals sign, or a table's name.
_SPOTS = re.compile(r'"[^"\n]*"|\[[^\[\]\n]*\]|(?<== )[^"\[\n]+|^\w+(?= =)|(?<=\[\[)[\w.]+', re.MULTILINE)
_WORDS = (
    '""', '"x"', '"\\u0000"', '"\\u202e"', '"../../etc"', "0", "-1", "1", "1e308", "-1e308", "nan", "inf", "-inf",
    "true", "[]", "{}", "[[]]",
    '["x"]', "1979-05-27", "9" * 30, "9" * 500, "9" * 5000, '"' + "9" * 500 + '"', '"n[1-999999999]"',
    '"gpu:a100:999999999"', '"gpu:"', '"gpu::1"', '"999999999G"', '"-1G"', '"1e400"', '"0-00:00:00"', '"9999999-00"',
    '"CPU=nan"', "a", "partitions", "gpus", "name", "x = 1\ny", '"' + "a" * 1000 + '"', "[" * 500, '"${"', '"$"',
    '"~nobody"', '"~no-such-user/x"', '"$$$"', "999999999",
)  # fmt: skip

FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def altered(data: st.DataObject, text: str) -> str:
    """The text with up to three of its values and names replaced, or with any characters put in."""
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        spots = [match.span() for match in _SPOTS.finditer(text)] or [(0, 0)]
        begin, end = data.draw(st.sampled_from(spots))
        put = data.draw(st.one_of(st.sampled_from(_WORDS), st.text(max_size=8)))
        text = text[:begin] + put + text[end:]
    return text


def tried(read: Callable[[Path], object], path: Path) -> tuple[object, str]:
    """What was read, or None and the error's message."""
    try:
        return read(path), ""
    except ConfigurationError as exc:
        return None, str(exc)


def _settings(path: Path) -> object:
    found = load_settings(environment={"HOME": "/home/alice", "GSBATCH_SITE_CONFIG": str(path)})
    return [getattr(found, item.name) for item in SETTINGS]


def _catalogue(path: Path) -> object:
    return [entry.gpu for entry in read_site_gpus(path, load_catalogue()).entries]


def _cluster(path: Path) -> object:
    return read_described(path, load_catalogue())


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "settings": (SETTINGS_FILE, _settings),
    "catalogue": (CATALOGUE_FILE, _catalogue),
    "cluster": (CLUSTER_FILE, _cluster),
}


@pytest.mark.parametrize("kind", READERS)
def test_the_file_that_is_altered_is_used(tmp_path: Path, kind: str) -> None:
    """Or nothing would be proved by what follows."""
    text, read = READERS[kind]
    (tmp_path / "file.toml").write_text(text, encoding="utf-8")

    assert read(tmp_path / "file.toml")


@pytest.mark.parametrize("kind", READERS)
@FUZZ
@given(data=st.data())
def test_any_value_is_used_or_refused_with_its_place(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    """No traceback, no number that is none, and the message names the file."""
    text, read = READERS[kind]
    path = tmp_path / "file.toml"
    path.write_text(altered(data, text), encoding="utf-8", errors="surrogatepass")
    found, said = tried(read, path)

    assert found is not None or str(path) in said
    assert all(math.isfinite(number) for number in _numbers(found))


@FUZZ
@given(content=st.binary(max_size=200))
@pytest.mark.parametrize("kind", READERS)
def test_any_bytes_are_used_or_refused(tmp_path: Path, kind: str, content: bytes) -> None:
    """What is no text, or no TOML."""
    path = tmp_path / "file.toml"
    path.write_bytes(content)
    found, said = tried(READERS[kind][1], path)

    assert found is not None or str(path) in said


def _numbers(value: Any) -> list[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [float(value)]
    if is_dataclass(value):
        return [number for item in fields(value) for number in _numbers(getattr(value, item.name))]
    if isinstance(value, tuple | list):
        return [number for item in value for number in _numbers(item)]
    return []

"""GRES texts become counts of GPUs by type."""

from __future__ import annotations

import pytest

from advisor.inventory.gres import parse_gres, slurm_type


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu:a100:4(S:0-1)", (("a100", 4),)),
        ("gpu:8", ((None, 8),)),
        ("gpu", ((None, 1),)),
        ("gpu:tesla", (("tesla", 1),)),
        ("gpu:a:4,gpu:b:7", (("a", 4), ("b", 7))),
        ("gpu:a100:2(S:0),gpu:a100:2(S:1)", (("a100", 4),)),
        ("gpu:h100:4(IDX:0-3)", (("h100", 4),)),
        ("gpu:h100:2(IDX:0,3)", (("h100", 2),)),
        ("gpu:(null):2(IDX:0-1)", ((None, 2),)),
        ("gpu:rtx_3070:0(IDX:N/A)", (("rtx_3070", 0),)),
        ("gpu:0", ((None, 0),)),
        ("gpu:1K", ((None, 1024),)),
        ("gpu:1g.10gb:7,shard:a100:16,mps:100", (("1g.10gb", 7),)),
        ("gpu:NVIDIA GeForce RTX 3090:1", (("NVIDIA GeForce RTX 3090", 1),)),
        ("gres/gpu:a100:1", (("a100", 1),)),
        ("gpu:7900xtx:2", (("7900xtx", 2),)),
        ("(null)", ()),
        ("", ()),
        ("craynetwork:4", ()),
    ],
)
def test_every_way_slurm_writes_gpus_is_read(text: str, expected: tuple[tuple[str | None, int], ...]) -> None:
    """Sockets and indexes are dropped, a missing count is 1, a missing type is None, other GRES are not GPUs."""
    assert expected == parse_gres(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Tesla V100-PCIE-32GB", "tesla_v100-pcie-32gb"),
        ("NVIDIA GeForce RTX 3090", "nvidia_geforce_rtx_3090"),
        ("A100", "A100"),
        ("nvidia_h100_80gb_hbm3", "nvidia_h100_80gb_hbm3"),
    ],
)
def test_a_full_name_is_spelled_as_slurm_detects_it(name: str, expected: str) -> None:
    """A type cannot have a space; one without is the site's own and stays as it is."""
    assert expected == slurm_type(name)

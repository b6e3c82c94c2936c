"""A board's numbers: rates by precision, and power at rest and at full load."""

from __future__ import annotations

import pytest

from advisor.inventory.model import GpuModel
from advisor.prediction.board import gpu_numbers
from advisor.prediction.features import setting_of, tabulate
from tests.prediction.workloads import RESNET50, gpu, placement, workload


def test_a_measured_idle_power_is_used_as_it_is() -> None:
    """What a board draws with a context stands in the catalogue, with its source."""
    board, _ = gpu_numbers(gpu("NVIDIA A40"))

    assert 78 == board.idle_w


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("NVIDIA GeForce RTX 2080 Ti", 45, 90), ("NVIDIA A30", 20, 45), ("NVIDIA H200", 130, 190), ("Tesla P4", 15, 30)],
)
def test_an_unmeasured_idle_power_is_that_of_its_kind(name: str, low: float, high: float) -> None:
    """Stacked memory idles at a sixth of the limit, GDDR at a quarter, small boards at a third, and all are unsure."""
    board, _ = gpu_numbers(gpu(name))

    assert low < board.idle_w < high
    assert board.idle_std > 0.05


def test_a_slice_idles_at_its_share() -> None:
    """A MIG slice is no board of small power: what its whole board idles at is divided."""
    whole, _ = gpu_numbers(gpu("a100"))
    piece, _ = gpu_numbers(gpu("nvidia_a100_1g.5gb"))

    assert pytest.approx(whole.idle_w / 7, rel=0.01) == piece.idle_w


@pytest.mark.parametrize(
    ("name", "precision", "over_float32"),
    [
        ("v100", "mixed_float16", 7.0),
        ("v100", "mixed_bfloat16", 0.5),
        ("NVIDIA A100-SXM4-80GB", "mixed_bfloat16", 16.0),
        ("NVIDIA A100-SXM4-80GB", "tf32", 8.0),
        ("v100", "tf32", 1.0),
    ],
)
def test_a_precision_is_fast_only_where_a_board_has_units_for_it(
    name: str, precision: str, over_float32: float
) -> None:
    """Bfloat16 and TF32 came with Ampere; before, they are computed as float32."""
    facts = {**RESNET50, "model_name": "bert-base", "input_shape": (128,), "framework": "torch", "precision": precision}

    table = tabulate([setting_of(workload(**facts), placement(gpu(name)))])

    assert table.peak[0] / table.fp32[0] == pytest.approx(over_float32, rel=0.2)


def test_a_board_without_any_number_is_still_a_board() -> None:
    """Every rate and power is filled in, and said to be."""
    board, unknown = gpu_numbers(GpuModel(name="?"))

    assert min(board.fp32, board.bandwidth, board.idle_w, board.tdp_w) > 0
    assert "gpu tdp_w" in unknown

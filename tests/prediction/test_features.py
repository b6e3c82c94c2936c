from __future__ import annotations

import pytest

from advisor.prediction.features import PAPER_FEATURES, paper_features, setting_of, tabulate
from tests.prediction.workloads import RESNET50, gpu, placement, workload


def test_the_papers_row_has_its_units_and_order() -> None:
    """Memory in GB, FLOPs in GFLOPs, the whole batch, the longest side: as its regressors were trained."""
    row = paper_features(setting_of(workload(**RESNET50), placement(gpu("NVIDIA GeForce RTX 3090"), memory_gib=16)))

    assert len(PAPER_FEATURES) == len(row)
    found = dict(zip(PAPER_FEATURES, row, strict=True))
    assert (10496, 350) == (found["gpu_cuda_cores"], found["gpu_tdp_w"])
    assert (7.7, 50_000, 64, 224) == tuple(
        found[name] for name in ("forward_gflops", "train_samples", "batch_size", "input_height")
    )


def test_the_batch_is_shared_by_the_gpus() -> None:
    """A workload's batch is global; a setting's is what one GPU sees."""
    assert 16 == setting_of(workload(**RESNET50), placement(gpu("a100"), gpus=4)).batch_size


@pytest.mark.parametrize(
    ("precision", "framework", "name", "peak"),
    [
        ("float32", "keras", "ResNet50", 156e12),
        ("float32", "torch", "ResNet50", 156e12),
        ("float32", "torch", "bert-base", 19.5e12),
        ("mixed_bfloat16", "torch", "bert-base", 312e12),
        ("float64", "torch", "ResNet50", 9.7e12),
    ],
)
def test_the_peak_is_the_one_the_framework_uses(precision: str, framework: str, name: str, peak: float) -> None:
    """On an A100, TF32 serves TensorFlow and PyTorch's convolutions, but not PyTorch's matrix products."""
    facts = {**RESNET50, "precision": precision, "framework": framework, "model_name": name}

    table = tabulate([setting_of(workload(**facts), placement(gpu("a100")))])

    assert pytest.approx(peak) == table.peak[0]


def test_slow_half_precision_is_computed_in_float32() -> None:
    """A Pascal board's published float16 rate, a 64th of float32's, is not what frameworks use."""
    board = gpu("NVIDIA TITAN Xp")
    table = tabulate([setting_of(workload(**{**RESNET50, "precision": "float16"}), placement(board))])

    assert board.peak_fp32_flops_per_s is not None
    assert pytest.approx(board.peak_fp32_flops_per_s / 2) == table.peak[0]


def test_a_frozen_backbone_is_mostly_forward() -> None:
    """With one percent to train, a step costs little more than a forward pass; whole, three of them."""
    frozen = setting_of(workload(**{**RESNET50, "trainable_parameters": 256_000}), placement(gpu("a100")))
    whole = setting_of(workload(**RESNET50), placement(gpu("a100")))

    assert pytest.approx(1.02 * 7.7e9) == frozen.training_flops
    assert 3 * 7.7e9 == whole.training_flops


@pytest.mark.parametrize(
    ("facts", "sequence"),
    [
        ({"model_name": "gpt2", "input_shape": (1024,)}, True),
        ({"model_name": "mlp", "input_shape": (30,), "parameters": 10_000, "forward_flops_per_sample": 2e4}, False),
        ({"model_name": "", "input_shape": (128,), "parameters": 10**8, "forward_flops_per_sample": 2.5e10}, True),
        ({"model_name": "dlrm", "input_shape": (39,)}, False),
        ({"model_name": "ResNet50", "input_shape": (224, 224, 3)}, False),
    ],
)
def test_token_sequences_are_told_from_feature_tables(facts: dict[str, object], sequence: bool) -> None:
    """By name, and else by whether a parameter is used once a token or once a sample."""
    assert sequence == setting_of(workload(**facts), placement(gpu("a100"))).sequence

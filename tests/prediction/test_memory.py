"""The rule of GPU memory: what is kept for the backward pass, counted where that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from advisor.prediction.features import Setting, setting_of, tabulate
from advisor.prediction.memory import MEMORY_PRIOR_MEAN, log_gpu_memory, memory_gap_variance
from tests.prediction.workloads import RESNET50, gpu, placement, workload


def _bytes(*settings: Setting) -> list[float]:
    return list(np.exp(log_gpu_memory(MEMORY_PRIOR_MEAN, tabulate(settings))))


def test_counted_bytes_come_before_outputs_of_layers() -> None:
    """Where it is known what a sample keeps, neither the layers' outputs nor the precision's width say anything."""
    setting = setting_of(workload(**RESNET50, saved_bytes_per_sample=90_000_000), placement(gpu("a100")))
    first, second = _bytes(setting, replace(setting, activation_elements=1.0, precision="mixed_float16"))

    assert 90_000_000 == setting.saved_bytes
    assert second == first


def test_an_allocator_counts_no_context() -> None:
    """What PyTorch counts itself is tensors alone; the driver shows the CUDA context and unused blocks as well."""
    setting = setting_of(workload(**RESNET50, saved_bytes_per_sample=90_000_000), placement(gpu("a100")))
    driver, allocator = _bytes(setting, replace(setting, allocator_memory=True))

    assert np.isclose(np.exp(MEMORY_PRIOR_MEAN[0]), driver - allocator)


def test_what_is_kept_grows_with_the_batch() -> None:
    """Twice the batch keeps twice as much, and weights and the framework's own stay."""
    setting = setting_of(workload(**RESNET50, saved_bytes_per_sample=90_000_000), placement(gpu("a100")))
    one, two, three = _bytes(*(replace(setting, batch_size=rows) for rows in (32.0, 64.0, 96.0)))

    assert np.isclose(three - two, two - one)
    assert 1.0 < (two - one) / (32 * 90_000_000) < 1.2


def test_not_knowing_what_is_kept_widens_memory() -> None:
    """A guess from the layers' outputs is surer of nothing than a count."""
    facts = {**RESNET50, "saved_bytes_per_sample": 90_000_000}
    known, unknown = (setting_of(workload(**one), placement(gpu("a100"))) for one in (facts, RESNET50))

    assert 0.0 == unknown.saved_bytes
    none, some = memory_gap_variance(tabulate([known, unknown]))
    assert 0.0 == none
    assert 0.1**2 < some

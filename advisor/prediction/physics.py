"""The physical mean: how long a training step takes and what power it draws, before anything is learned from residuals.

A step is bound by arithmetic, by memory traffic, by the latency of its kernels on the GPU, or by the host, which
launches kernels and feeds samples. The four times join in a soft maximum, since they overlap in part. Power is the idle
part plus what a busy board, its arithmetic units and its memory add, each for the share of the step in which it works,
below the limit.

Every constant is a parameter with a prior from data sheets and common experience; ``advisor/training/fit.py`` moves
them to where the measured runs are. All times in s for one optimizer step, powers in W for one GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from advisor.prediction.features import Array, Table

# name: (prior mean, prior standard deviation); of the logarithm where the name begins with log.
PARAMETERS: dict[str, tuple[float, float]] = {
    "log_efficiency_fp32": (np.log(0.60), 0.3),
    "log_efficiency_tf32": (np.log(0.40), 0.3),
    "log_efficiency_half": (np.log(0.35), 0.4),
    "log_efficiency_fp64": (np.log(0.75), 0.3),
    "log_accesses_per_activation": (np.log(8.0), 0.4),
    "log_accesses_per_parameter": (np.log(9.0), 0.3),
    "log_kernel_latency_s": (np.log(1.2e-5), 0.5),
    "log_launch_tensorflow_s": (np.log(2.5e-5), 0.7),
    "log_launch_pytorch_s": (np.log(6.0e-5), 0.7),
    "log_step_overhead_s": (np.log(2.0e-3), 0.7),
    "log_host_sample_s": (np.log(5.0e-5), 1.0),
    "log_host_element_s": (np.log(1.0e-9), 1.0),
    "log_parallel_launch_tensorflow": (np.log(0.15), 0.8),
    "log_parallel_launch_pytorch": (np.log(0.25), 0.8),
    "log_link_bytes_per_s": (np.log(8.0e9), 0.7),
    "log_validation_share": (np.log(0.40), 0.3),
    "log_idle_share": (np.log(0.15), 0.3),
    "log_busy_share": (np.log(0.20), 0.4),
    "log_compute_share": (np.log(0.55), 0.4),
    "log_memory_share": (np.log(0.45), 0.4),
}
NAMES = tuple(PARAMETERS)
PRIOR_MEAN = np.array([PARAMETERS[name][0] for name in NAMES])
PRIOR_STD = np.array([PARAMETERS[name][1] for name in NAMES])

_MEMORY_EFFICIENCY = 0.75  # of the data sheet's bandwidth, what streaming kernels reach
_GPU_SHARPNESS = 2.0  # exponents of the soft maximum: 1 is a sum, infinity a maximum
_HOST_SHARPNESS = 3.0
_POWER_CEILING = 1.05
_POWER_SHARPNESS = 6.0


@dataclass(frozen=True, slots=True)
class Physics:
    """What the physical mean says of each row of a table: logarithms, and the shares that explain them."""

    log_step_s: Array
    log_epoch_s: Array
    log_power_w: Array
    busy: Array
    compute: Array
    memory: Array
    latency: Array
    host: Array
    regime: Array


def evaluate(parameters: Array, table: Table) -> Physics:
    """Evaluate the physical mean on every row."""
    value = dict(zip(NAMES, np.exp(parameters), strict=True))
    efficiency = np.array([value[f"log_efficiency_{kind}"] for kind in ("fp32", "tf32", "half", "fp64")])
    train = _pass_times(value, table, efficiency, training=True)
    step = train.total
    epoch = step * np.maximum(table.train_samples / (table.batch_size * table.gpus), 1.0)
    epoch = epoch * (1.0 + value["log_validation_share"] * table.validation_samples / table.train_samples)
    busy = train.gpu / step
    compute = train.compute_ideal / step
    memory = train.memory / step
    drawn = (
        value["log_busy_share"] * busy + value["log_compute_share"] * compute + value["log_memory_share"] * memory
    ) * (1 - value["log_idle_share"]) + value["log_idle_share"]
    share = (drawn**-_POWER_SHARPNESS + _POWER_CEILING**-_POWER_SHARPNESS) ** (-1 / _POWER_SHARPNESS)
    regime = np.stack(
        [
            np.log(train.compute / train.gpu + 1e-3),
            np.log(train.memory / train.gpu + 1e-3),
            np.log(train.latency / train.gpu + 1e-3),
            np.log(train.host / train.gpu),
        ],
        axis=1,
    )
    return Physics(
        log_step_s=np.log(step),
        log_epoch_s=np.log(epoch),
        log_power_w=np.log(share * table.tdp_w),
        busy=busy,
        compute=compute,
        memory=memory,
        latency=train.latency / step,
        host=train.host / step,
        regime=regime,
    )


@dataclass(frozen=True, slots=True)
class _PassTimes:
    compute: Array
    compute_ideal: Array
    memory: Array
    latency: Array
    gpu: Array
    host: Array
    total: Array


def _pass_times(value: dict[str, float], table: Table, efficiency: Array, *, training: bool) -> _PassTimes:
    del training
    passes = table.training_flops / table.forward_flops
    compute = table.batch_size * table.training_flops / (table.peak * efficiency[table.peak_kind])
    activation_bytes = table.batch_size * table.activation_elements * table.element_bytes
    parameter_bytes = 4.0 * table.parameters * np.maximum(table.trainable_share, 0.1)
    memory = (
        value["log_accesses_per_activation"] * activation_bytes * passes / 3.0
        + value["log_accesses_per_parameter"] * parameter_bytes
    ) / (_MEMORY_EFFICIENCY * table.bandwidth)
    kernels = table.layers * passes
    latency = kernels * value["log_kernel_latency_s"]
    gpu = (compute**_GPU_SHARPNESS + memory**_GPU_SHARPNESS + latency**_GPU_SHARPNESS) ** (1 / _GPU_SHARPNESS)
    torch = table.torch
    launch = np.exp(
        torch * np.log(value["log_launch_pytorch_s"]) + (1 - torch) * np.log(value["log_launch_tensorflow_s"])
    )
    parallel = np.exp(
        torch * np.log(value["log_parallel_launch_pytorch"])
        + (1 - torch) * np.log(value["log_parallel_launch_tensorflow"])
    )
    per_node = table.gpus / np.maximum(table.nodes, 1.0)
    others = per_node - 1.0
    feed = (
        table.batch_size
        * per_node
        * (value["log_host_sample_s"] + value["log_host_element_s"] * table.input_elements)
        * (1 - table.synthetic)
    )
    host = launch * kernels / 3.0 * (1 + parallel * others) + value["log_step_overhead_s"] + feed
    exchange = np.where(table.gpus > 1, 8.0 * table.parameters / value["log_link_bytes_per_s"], 0.0)
    gpu = gpu + exchange
    total = (gpu**_HOST_SHARPNESS + host**_HOST_SHARPNESS) ** (1 / _HOST_SHARPNESS)
    ideal = table.batch_size * table.training_flops / table.peak
    return _PassTimes(compute, ideal, memory, latency, gpu, host, total)

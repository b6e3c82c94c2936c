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

from advisor.prediction.features import PEAK_KINDS, Array, Table

# name: (prior mean, prior standard deviation); of the logarithm where the name begins with log. The exponents say how
# much of a faster board's rate a training does not reach: larger boards are harder to fill. Operand reuse is in FLOPs
# times bytes of an element, for each byte of the memory's rate: tiles of 128 x 128 from a cache three times as fast.
PARAMETERS: dict[str, tuple[float, float]] = {
    "log_efficiency_fp32": (np.log(0.60), 0.3),
    "log_efficiency_tf32": (np.log(0.65), 0.3),
    "log_efficiency_half": (np.log(0.65), 0.4),
    "log_efficiency_fp64": (np.log(0.75), 0.3),
    "log_operand_reuse": (np.log(380.0), 0.5),
    "log_accesses_per_activation": (np.log(8.0), 0.4),
    "log_accesses_per_parameter": (np.log(9.0), 0.3),
    "log_sequence_accesses": (np.log(1.0), 0.4),
    "log_depthwise_tensorflow_s": (np.log(6.0e-11), 0.7),
    "log_depthwise_pytorch_s": (np.log(1.5e-11), 0.7),
    "exponent_compute": (0.10, 0.10),
    "exponent_bandwidth": (0.10, 0.10),
    "forward_excess": (0.25, 0.15),
    "log_kernel_latency_s": (np.log(1.2e-5), 0.5),
    "log_launch_tensorflow_s": (np.log(2.5e-5), 0.7),
    "log_launch_pytorch_s": (np.log(6.0e-5), 0.7),
    "log_step_overhead_s": (np.log(2.0e-3), 0.7),
    "log_host_sample_s": (np.log(5.0e-5), 1.0),
    "log_host_element_s": (np.log(1.0e-9), 1.0),
    "log_parallel_launch_tensorflow": (np.log(0.15), 0.8),
    "log_parallel_launch_pytorch": (np.log(0.25), 0.8),
    "log_link_bytes_per_s": (np.log(8.0e9), 0.7),
    "log_validation_factor": (np.log(1.0), 0.2),
    "log_idle_share": (np.log(0.15), 0.3),
    "log_busy_share": (np.log(0.20), 0.4),
    "log_compute_share": (np.log(0.55), 0.4),
    "log_memory_share": (np.log(0.45), 0.4),
}
NAMES = tuple(PARAMETERS)
_IS_LOG = np.array([name.startswith("log_") for name in NAMES])
PRIOR_MEAN = np.array([PARAMETERS[name][0] for name in NAMES])
PRIOR_STD = np.array([PARAMETERS[name][1] for name in NAMES])

_TENSOR_KINDS = [PEAK_KINDS.index("tf32"), PEAK_KINDS.index("half")]
_FP32 = PEAK_KINDS.index("fp32")
# Float32's efficiency is that of convolutions, which do less than their FLOPs count (Winograd's transform saves up to
# 2.25 times for 3x3 kernels); matrix products do not. A fit that may part the two gives 1.41.
_CONVOLUTION_GAIN = 1.4
_MEMORY_EFFICIENCY = 0.75  # of the data sheet's bandwidth, what streaming kernels reach
_TYPICAL_FP32 = 1.5e13
_TYPICAL_BANDWIDTH = 6.0e11
_NVLINK_OVER_PCIE = 5.0
_GPU_SHARPNESS = 2.0  # exponents of the soft maximum: 1 is a sum, infinity a maximum
_HOST_SHARPNESS = 3.0
_POWER_CEILING = 1.0
_POWER_SHARPNESS = 14.0
_NUDGE = 1e-5  # for slopes by differences


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
    sensitivity: Array


def evaluate(parameters: Array, table: Table) -> Physics:
    """Evaluate the physical mean on every row; parameters of shape (trials, names) give (trials, rows)."""
    columns = np.moveaxis(np.where(_IS_LOG, np.exp(np.where(_IS_LOG, parameters, 0.0)), parameters), -1, 0)
    value = dict(zip(NAMES, columns[..., None] if parameters.ndim > 1 else columns, strict=True))
    efficiency = np.select(
        [table.peak_kind == place for place in range(len(PEAK_KINDS))],
        [value[f"log_efficiency_{kind}"] for kind in PEAK_KINDS],
    )
    train = _pass_times(value, table, efficiency, passes=table.training_flops / table.forward_flops, learning=1.0)
    check = _pass_times(value, table, efficiency, passes=np.ones(len(table)), learning=0.0)
    step = train.total
    samples = table.batch_size * table.gpus
    epoch = step * np.maximum(table.train_samples / samples, 1.0)
    epoch = epoch + value["log_validation_factor"] * check.total * table.validation_samples / samples
    busy = train.gpu / step
    compute = train.compute / step
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
            np.log(train.depthwise / train.gpu + 1e-2),
            np.log(train.host / train.gpu),
        ],
        axis=-1,
    )
    bound_by_gpu = 1.0 - (train.host / step) ** _HOST_SHARPNESS
    sensitivity = np.stack(
        [
            1.0 - bound_by_gpu,
            bound_by_gpu * (train.compute / train.gpu) ** _GPU_SHARPNESS,
            bound_by_gpu * (train.memory / train.gpu) ** _GPU_SHARPNESS,
            bound_by_gpu * (train.latency / train.gpu) ** _GPU_SHARPNESS,
            bound_by_gpu * (train.depthwise / train.gpu) ** _GPU_SHARPNESS,
        ],
        axis=-1,
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
        sensitivity=sensitivity,
    )


def jacobian(parameters: Array, table: Table) -> tuple[Physics, Array, Array, Array]:
    """The mean, and how log step, log epoch and log power move with each constant, each (rows x constants)."""
    nudged = parameters + _NUDGE * np.vstack([np.zeros(len(NAMES)), np.eye(len(NAMES))])
    all_of = evaluate(nudged, table)
    slopes = [((of[1:] - of[0]) / _NUDGE).T for of in (all_of.log_step_s, all_of.log_epoch_s, all_of.log_power_w)]
    return Physics(*(getattr(all_of, name)[0] for name in Physics.__slots__)), *slopes


@dataclass(frozen=True, slots=True)
class _PassTimes:
    compute: Array
    memory: Array
    latency: Array
    depthwise: Array
    gpu: Array
    host: Array
    total: Array


def _pass_times(
    value: dict[str, Array], table: Table, efficiency: Array, *, passes: Array, learning: float
) -> _PassTimes:
    """One step of so many forward-sized passes: three when it learns (``learning`` = 1), one when it validates."""
    # A forward pass takes more than a third of forward and backward together: it fills the board less well.
    passes = passes * (1.0 + value["forward_excess"] * np.clip(3.0 - passes, 0.0, 2.0) / 2.0)
    flops = table.batch_size * table.forward_flops * passes
    compute = flops / (table.peak * efficiency)
    compute = compute * np.where((table.peak_kind == _FP32) & (table.sequence > 0), _CONVOLUTION_GAIN, 1.0)
    compute = compute * (table.fp32 / _TYPICAL_FP32) ** value["exponent_compute"]
    # Tensor cores wait for operands: a tile uses what it loads so many times, caches included.
    on_tensor_cores = np.isin(table.peak_kind, _TENSOR_KINDS)
    compute = compute + on_tensor_cores * flops * table.element_bytes / (value["log_operand_reuse"] * table.bandwidth)
    activation_bytes = table.batch_size * table.activation_elements * table.element_bytes
    # Softmax, GELU, layer norms and dropout read what they keep another number of times than convolutions do.
    unlike_convolutions = value["log_sequence_accesses"] ** table.sequence
    parameter_bytes = 4.0 * table.parameters * np.maximum(table.trainable_share, 0.1)
    memory = (
        value["log_accesses_per_activation"] * unlike_convolutions * activation_bytes * passes / 3.0
        + (learning * value["log_accesses_per_parameter"] + 1.0) * parameter_bytes
    ) / (_MEMORY_EFFICIENCY * table.bandwidth)
    memory = memory * (table.bandwidth / _TYPICAL_BANDWIDTH) ** value["exponent_bandwidth"]
    kernels = table.layers * passes
    torch = table.torch
    depthwise = np.exp(
        torch * np.log(value["log_depthwise_pytorch_s"]) + (1 - torch) * np.log(value["log_depthwise_tensorflow_s"])
    )
    slow = (
        table.depthwise * depthwise * table.batch_size * table.activation_elements * np.sqrt(_TYPICAL_FP32 / table.fp32)
    )
    slow = slow * passes / 3.0
    latency = kernels * value["log_kernel_latency_s"]
    bounds = (compute, memory, latency, slow)
    gpu = np.sum([bound**_GPU_SHARPNESS for bound in bounds], axis=0) ** (1 / _GPU_SHARPNESS)
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
    link = value["log_link_bytes_per_s"] * (1.0 + (_NVLINK_OVER_PCIE - 1.0) * table.fast_link)
    exchange = learning * np.where(table.gpus > 1, 8.0 * table.parameters / link, 0.0)
    gpu = gpu + exchange
    total = (gpu**_HOST_SHARPNESS + host**_HOST_SHARPNESS) ** (1 / _HOST_SHARPNESS)
    return _PassTimes(compute, memory, latency, slow, gpu, host, total)

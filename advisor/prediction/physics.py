"""The physical mean: how long a training step takes and what power it draws, before anything is learned from residuals.

A step is bound by arithmetic, by memory traffic, by the latency of its kernels on the GPU, by what GPUs exchange, or by
the host, which launches kernels and feeds samples. They join in soft maxima, since they overlap in part. Power is what
the board draws with a context and no work, plus what a busy board, its arithmetic units and its memory add, each for
the share of the step in which it works, up to what the board draws at full load.

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
    "log_efficiency_tf32": (np.log(0.60), 0.12),
    "log_efficiency_half": (np.log(0.60), 0.12),
    "log_efficiency_fp64": (np.log(0.75), 0.3),
    "log_pointwise": (np.log(0.8), 0.3),
    "log_grouped": (np.log(0.5), 0.4),
    "log_matrix_tf32": (np.log(1.25), 0.1),
    "log_matrix_half": (np.log(1.3), 0.1),
    "log_accesses_per_activation": (np.log(5.0), 0.4),
    "log_accesses_elementwise": (np.log(5.0), 0.4),
    "log_accesses_per_parameter": (np.log(9.0), 0.3),
    "log_sequence_accesses": (np.log(1.0), 0.4),
    "log_tensor_accesses": (np.log(1.3), 0.3),
    "log_half_accesses": (np.log(1.0), 0.2),
    "log_depthwise_tensorflow_s": (np.log(4.0e-10), 0.7),
    "log_depthwise_pytorch_s": (np.log(1.0e-10), 0.7),
    "exponent_compute": (0.10, 0.10),
    "exponent_tensor": (0.1, 0.08),
    "exponent_bandwidth": (0.10, 0.10),
    "forward_excess": (0.25, 0.15),
    "log_gpu_sharpness": (np.log(1.25), 0.1),
    "log_kernel_latency_s": (np.log(8.0e-6), 0.5),
    "log_launch_tensorflow_s": (np.log(2.5e-5), 0.7),
    "log_launch_pytorch_s": (np.log(5.0e-5), 0.7),
    "log_step_overhead_s": (np.log(2.0e-3), 0.7),
    "log_host_sample_s": (np.log(5.0e-5), 1.0),
    "log_host_element_s": (np.log(1.0e-9), 1.0),
    "log_host_text_s": (np.log(5.0e-6), 1.0),
    "log_host_row_s": (np.log(1.0e-6), 1.0),
    "log_host_row_element_s": (np.log(1.0e-9), 0.7),
    "log_parallel_launch_tensorflow": (np.log(0.15), 0.8),
    "log_parallel_launch_pytorch": (np.log(0.25), 0.8),
    "log_link_efficiency": (np.log(0.6), 0.5),
    "log_replicated_link_s": (np.log(1.5e-10), 0.7),
    "log_validation_factor": (np.log(1.0), 0.2),
    "log_idle_factor": (np.log(1.0), 0.1),
    "log_full_stacked": (np.log(0.88), 0.1),
    "log_full_gddr": (np.log(0.95), 0.1),
    "log_busy_share": (np.log(0.20), 0.4),
    "log_compute_share": (np.log(0.65), 0.3),
    "log_memory_share": (np.log(0.50), 0.3),
}
NAMES = tuple(PARAMETERS)
_IS_LOG = np.array([name.startswith("log_") for name in NAMES])
PRIOR_MEAN = np.array([PARAMETERS[name][0] for name in NAMES])
PRIOR_STD = np.array([PARAMETERS[name][1] for name in NAMES])

_FP32, _TF32, _HALF = (PEAK_KINDS.index(kind) for kind in ("fp32", "tf32", "half"))
# In float32 3x3 convolutions do less than their FLOPs count: Winograd's transform saves up to 2.25 times.
_CONVOLUTION_GAIN = 1.4
_MEMORY_EFFICIENCY = 0.75  # of the data sheet's bandwidth, what streaming kernels reach
_TYPICAL_FP32 = 1.5e13
_TYPICAL_TENSOR = 1.5e14
_TYPICAL_BANDWIDTH = 6.0e11
_HOST_SHARPNESS = 3.0  # exponents of soft maxima: 1 is a sum, infinity a maximum
_EXCHANGE_SHARPNESS = 1.5
_POWER_SHARPNESS = 8.0
_NODES_LINK_BYTES_PER_S = {False: 1.2e10, True: 8.0e10}  # of each GPU to other nodes: one adapter a node, one a GPU
_HALF_BYTES = 2.0
_SLOW_LINK = 2.0e10  # bytes/s; PCIe has less, NVLink more
_GRADIENT_BYTES, _GATHERED_BYTES = 4.0, 6.0  # a parameter: averaged once; gathered twice and scattered in halves
_WHOLE_TABLES = 5.0e7  # parameters; larger tables of embeddings are updated where they were read, not whole
_ROWS_BY_ONE = 2.0e4  # a loader that takes rows one by one makes no larger batches; those are cut from arrays
_RECURRENT_LAYERS = 5.0
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
    train = _pass_times(value, table, passes=table.training_flops / table.forward_flops, learning=1.0)
    check = _pass_times(value, table, passes=np.ones(len(table)), learning=0.0)
    step = train.total
    samples = table.batch_size * table.gpus
    epoch = step * np.maximum(table.train_samples / samples, 1.0)
    epoch = epoch + value["log_validation_factor"] * check.total * table.validation_samples / samples
    busy = train.gpu / step
    compute = train.compute / step
    memory = train.memory / step
    idle_w = table.idle_w * value["log_idle_factor"]
    full_share = np.where(table.stacked > 0, value["log_full_stacked"], value["log_full_gddr"])
    full_w = np.where(np.isfinite(table.full_w), table.full_w, full_share * table.tdp_w)
    load = value["log_busy_share"] * busy + value["log_compute_share"] * compute + value["log_memory_share"] * memory
    load = (load**-_POWER_SHARPNESS + 1.0) ** (-1 / _POWER_SHARPNESS)
    power_w = idle_w + np.maximum(full_w - idle_w, 0.1 * full_w) * load
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
    sharpness = value["log_gpu_sharpness"]
    bound_by_gpu = 1.0 - (train.host / step) ** _HOST_SHARPNESS
    sensitivity = np.stack(
        [
            1.0 - bound_by_gpu,
            bound_by_gpu * (train.compute / train.gpu) ** sharpness,
            bound_by_gpu * (train.memory / train.gpu) ** sharpness,
            bound_by_gpu * (train.latency / train.gpu) ** sharpness,
            bound_by_gpu * (train.depthwise / train.gpu) ** sharpness,
        ],
        axis=-1,
    )
    return Physics(
        log_step_s=np.log(step),
        log_epoch_s=np.log(epoch),
        log_power_w=np.log(power_w),
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


def _pass_times(value: dict[str, Array], table: Table, *, passes: Array, learning: float) -> _PassTimes:
    """One step of so many forward-sized passes: three when it learns (``learning`` = 1), one when it validates."""
    # A forward pass takes more than a third of forward and backward together: it fills the board less well.
    passes = passes * (1.0 + value["forward_excess"] * np.clip(3.0 - passes, 0.0, 2.0) / 2.0)
    compute = _compute(value, table, passes)
    activation_bytes = table.batch_size * table.activation_elements * table.element_bytes
    # Softmax, GELU, layer norms and dropout read what they keep another number of times than convolutions do.
    accesses = value["log_accesses_per_activation"] + value["log_accesses_elementwise"] * table.elementwise
    unlike_convolutions = accesses * value["log_sequence_accesses"] ** table.matrix
    # Matrix units load what they multiply more often than it fits their caches.
    on_tensor_cores = np.isin(table.peak_kind, (_TF32, _HALF))
    unlike_convolutions = unlike_convolutions * np.where(on_tensor_cores, value["log_tensor_accesses"], 1.0)
    # Mixed precision converts what it passes on, and normalises and sums in float32.
    unlike_convolutions = unlike_convolutions * value["log_half_accesses"] ** (table.element_bytes == _HALF_BYTES)
    embedded = np.minimum(table.parameters - table.dense_parameters, _WHOLE_TABLES)
    parameter_bytes = 4.0 * (table.dense_parameters + embedded)
    memory = (
        unlike_convolutions * activation_bytes * passes / 3.0
        + (learning * value["log_accesses_per_parameter"] * table.trainable_share + 1.0) * parameter_bytes
    ) / (_MEMORY_EFFICIENCY * table.bandwidth)
    memory = memory * (table.bandwidth / _TYPICAL_BANDWIDTH) ** value["exponent_bandwidth"]
    torch = table.torch
    slow = _mixed(value, "depthwise", "_s", torch) * np.sqrt(_TYPICAL_FP32 / table.fp32) * passes / 3.0
    slow = slow * table.depthwise * table.batch_size * table.activation_elements * table.element_bytes / 4.0
    kernels = table.layers + np.minimum(table.layers, _RECURRENT_LAYERS) * table.recurrent_steps
    latency = kernels * table.kernels * passes * value["log_kernel_latency_s"]
    sharpness = value["log_gpu_sharpness"]
    bounds = (compute, memory, latency, slow)
    gpu = np.sum([bound**sharpness for bound in bounds], axis=0) ** (1 / sharpness)
    exchange = learning * _exchange(value, table)
    gpu = (gpu**_EXCHANGE_SHARPNESS + exchange**_EXCHANGE_SHARPNESS) ** (1 / _EXCHANGE_SHARPNESS)
    gpu = gpu + table.replicated * (table.gpus > 1) * table.parameters * value["log_replicated_link_s"]
    per_node = table.gpus / np.maximum(table.nodes, 1.0)
    # One process launches for all its GPUs; PyTorch has a process for each but where it replicates.
    others = _mixed(value, "parallel_launch", "", torch) * (per_node - 1.0) * np.where(torch > 0, table.replicated, 1.0)
    launches = _mixed(value, "launch", "_s", torch) * table.layers * table.kernels * passes / 3.0
    host = launches * (1 + others) + value["log_step_overhead_s"] + per_node * _feed(value, table)
    total = (gpu**_HOST_SHARPNESS + host**_HOST_SHARPNESS) ** (1 / _HOST_SHARPNESS)
    return _PassTimes(compute, memory, latency, slow, gpu, host, total)


def _mixed(value: dict[str, Array], name: str, unit: str, torch: Array) -> Array:
    """A constant that PyTorch and TensorFlow each have; their geometric mean where the framework is not known."""
    of_torch, of_tensorflow = value[f"log_{name}_pytorch{unit}"], value[f"log_{name}_tensorflow{unit}"]
    return np.asarray(np.exp(torch * np.log(of_torch) + (1 - torch) * np.log(of_tensorflow)))


def _compute(value: dict[str, Array], table: Table, passes: Array) -> Array:
    """Arithmetic of so many forward-sized passes."""
    efficiency = np.select(
        [table.peak_kind == place for place in range(len(PEAK_KINDS))],
        [value[f"log_efficiency_{kind}"] for kind in PEAK_KINDS],
    )
    winograd = np.where(table.peak_kind == _FP32, _CONVOLUTION_GAIN, 1.0)
    matrix = np.select(
        [table.peak_kind == _TF32, table.peak_kind == _HALF], [value["log_matrix_tf32"], value["log_matrix_half"]], 1.0
    )
    rest = np.maximum(1.0 - table.convolution - table.pointwise - table.grouped - table.matrix, 0.0)
    slowness = (
        (table.convolution + rest) / winograd
        + table.pointwise / value["log_pointwise"]
        + table.grouped / value["log_grouped"]
        + table.matrix / matrix
    )
    flops = table.batch_size * table.forward_flops * passes
    on_tensor_cores = np.isin(table.peak_kind, (_TF32, _HALF))
    large = np.where(
        on_tensor_cores,
        (table.peak / _TYPICAL_TENSOR) ** value["exponent_tensor"],
        (table.fp32 / _TYPICAL_FP32) ** value["exponent_compute"],
    )
    compute = flops * slowness / (table.peak * efficiency) * large
    return np.asarray(compute)


def _exchange(value: dict[str, Array], table: Table) -> Array:
    """What GPUs send each other in a step: gradients of whole arrays, or parameters where these are divided up."""
    moved = np.where(
        table.sharded > 0,
        _GATHERED_BYTES * table.parameters,
        2.0 * _GRADIENT_BYTES * table.dense_parameters * table.trainable_share * (1.0 - table.replicated),
    ) * (table.gpus - 1.0) / np.maximum(table.gpus, 1.0)  # fmt: skip
    across = np.where(table.link > _SLOW_LINK, _NODES_LINK_BYTES_PER_S[True], _NODES_LINK_BYTES_PER_S[False])
    link = np.where(table.nodes > 1, np.minimum(table.link, across), table.link)
    return np.asarray(moved / (value["log_link_efficiency"] * link))


def _feed(value: dict[str, Array], table: Table) -> Array:
    """What the host takes to feed one GPU's batch: images are decoded or cut, texts and rows are cut from arrays."""
    image = value["log_host_sample_s"] + value["log_host_element_s"] * table.input_elements
    one_by_one = value["log_host_row_s"] / (1.0 + table.batch_size / _ROWS_BY_ONE)
    row = one_by_one + value["log_host_row_element_s"] * table.input_elements
    sample = table.image * image + table.sequence * value["log_host_text_s"] + table.rows * row
    return np.asarray(table.batch_size * table.feed * sample)

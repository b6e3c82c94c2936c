"""The only definition of a feature row: what the model sees of a workload on a placement.

Training and prediction both come through here, so that a model never meets a feature made in another way. A ``Setting``
is one (workload, GPU, how it is run) in plain numbers, with everything unknown filled in and named; ``tabulate`` turns
settings into columns for arithmetic over many placements at once; ``paper_features`` is the row of arXiv 2307.05520.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.errors import ImplausibleWorkload
from advisor.inspection.workload import Workload
from advisor.placement.placement import Placement
from advisor.prediction.board import GpuNumbers, gpu_numbers
from advisor.prediction.filled import filled_facts
from advisor.prediction.mix import Mix, mix_of

FEATURES_VERSION = 2

Array = NDArray[np.float64]

PAPER_FEATURES = (
    "gpu_cuda_cores",
    "gpu_memory_gb",
    "gpu_tdp_w",
    "allocated_ram_gb",
    "forward_gflops",
    "train_samples",
    "validation_samples",
    "batch_size",
    "input_height",
)

# The largest and smallest values a fact may have before we call it a mistake rather than a big job.
_PLAUSIBLE = {
    "parameters": (0.0, 1e14),
    "trainable_parameters": (0.0, 1e14),
    "forward_flops_per_sample": (0.0, 1e18),
    "training_flops_per_sample": (0.0, 1e19),
    "layers": (0.0, 1e6),
    "activation_elements": (0.0, 1e14),
    "saved_bytes_per_sample": (0.0, 1e15),
    "batch_size": (1.0, 1e10),
    "gradient_accumulation": (1.0, 1e6),
    "train_samples": (1.0, 1e13),
    "validation_samples": (0.0, 1e13),
    "epochs": (1.0, 1e7),
    "devices": (1.0, 1e5),
    "steps": (1.0, 1e13),
}
_ORDERS_OF_A_SLIP = "Correct it with --set {name}=VALUE."

_FLOAT16, _BFLOAT16 = ("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16")
_SHARDED = frozenset({"fsdp", "deepspeed", "zero", "zero3", "sharded"})
_RECURRENT = re.compile(r"lstm|gru(?![a-z])|rnn|deepspeech|tacotron|gnmt|seq2seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One workload on one placement, in numbers.

    ``kind`` is what a sample is: ``image``, ``sequence`` (of tokens or of time steps), ``table`` (a row of features) or
    ``recommender`` (a row that looks embeddings up). ``mix`` says which operators the network is made of;
    ``recurrent_steps`` is how many steps its recurrent layers go through, 0 where it has none.
    ``dense_parameters`` are those whose gradients are whole arrays; the others are rows of embeddings.
    ``loader_workers`` is None where it is not known. ``sharded`` says that parameters and optimizer are divided over
    the GPUs and gathered in every pass; ``replicated`` that one process sends the network to every GPU in every step.

    ``batch_size`` is per GPU. ``input_elements`` is one sample. ``site`` names the machine kind whose host and driver
    the run shares with others (a partition, or a study's machine), "" where nothing is known of it. ``saved_bytes`` is
    what one sample's forward pass keeps for its backward pass, 0 where that is not known. ``allocator_memory`` says
    that its GPU memory is what the framework's allocator counts, and not the driver. ``unknown`` names the facts that
    were filled in.
    """

    framework: str
    network: str
    parameters: float
    trainable_share: float
    forward_flops: float
    training_flops: float
    layers: float
    activation_elements: float
    input_elements: float
    kind: str
    mix: Mix
    precision: str
    batch_size: float
    gpus: int
    nodes: int
    train_samples: float
    validation_samples: float
    gpu: GpuNumbers
    recurrent_steps: float = 0.0
    dense_parameters: float = 0.0
    loader_workers: int | None = None
    data_in_memory: bool | None = None
    sharded: bool = False
    replicated: bool = False
    allocated_memory_bytes: float = 0.0
    optimizer: str = ""
    input_side: float = 0.0
    site: str = ""
    study: str = ""
    synthetic_input: bool = False
    saved_bytes: float = 0.0
    allocator_memory: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def sequence(self) -> bool:
        """Whether a sample is a sequence."""
        return self.kind == "sequence"

    @property
    def matrix(self) -> bool:
        """Whether it is mostly matrix products, as transformers are, of images too."""
        return self.mix.matrix > 0.5  # noqa: PLR2004


def check_plausible(workload: Workload) -> None:
    """Refuse facts that no training can have.

    Raises:
        ImplausibleWorkload: a value is not finite, negative, or beyond anything that is trained.
    """
    for name, fact in workload.facts():
        if fact.value is None or name not in _PLAUSIBLE or not isinstance(fact.value, (int, float)):
            continue
        low, high = _PLAUSIBLE[name]
        if not math.isfinite(fact.value) or not low <= fact.value <= high:
            raise ImplausibleWorkload(
                f"{name} = {fact.value:g} (from {fact.source.value}) cannot be: expected {low:g} to {high:g}.",
                hint=_ORDERS_OF_A_SLIP.format(name=name),
            )
    shape = workload.input_shape.value
    if shape is not None and any(size <= 0 for size in shape):
        raise ImplausibleWorkload(
            f"input_shape = {shape} cannot be: every size must be positive.",
            hint=_ORDERS_OF_A_SLIP.format(name="input_shape"),
        )


def setting_of(workload: Workload, placement: Placement, site: str = "") -> Setting:
    """The numbers of one workload on one placement.

    Raises:
        ImplausibleWorkload: a fact is absurd.
    """
    check_plausible(workload)
    gpu, unknown_gpu = gpu_numbers(placement.gpu)
    filled = filled_facts(workload)
    unknown = [*filled.unknown, *unknown_gpu]
    # No step sees more samples than there are.
    batch_size = filled.batch_size if "train_samples" in unknown else min(filled.batch_size, filled.train_samples)
    per_gpu = max(batch_size / max(placement.gpus, 1), 1.0)
    shape = workload.input_shape.value or ()
    network = network_key(workload.model_name.value or "")
    loading = workload.data_loading.value
    return Setting(
        framework=_framework(workload.framework.value),
        network=network,
        parameters=filled.parameters,
        trainable_share=filled.trainable_share,
        forward_flops=filled.forward_flops,
        training_flops=filled.training_flops,
        layers=filled.layers,
        activation_elements=filled.activation_elements,
        input_elements=filled.input_elements,
        kind=filled.kind,
        mix=mix_of(filled.kind, network, filled.activation_elements / filled.forward_flops),
        recurrent_steps=float(shape[0]) if shape and filled.kind == "sequence" and is_recurrent(network) else 0.0,
        dense_parameters=dense_parameters(filled.kind, filled.parameters, filled.forward_flops),
        precision=workload.precision.value or "float32",
        batch_size=per_gpu,
        gpus=placement.gpus,
        nodes=placement.nodes,
        train_samples=filled.train_samples,
        validation_samples=float(workload.validation_samples.value or 0),
        gpu=gpu,
        loader_workers=workload.loader_workers.value,
        data_in_memory=None if loading is None else loading == "memory",
        sharded=(workload.strategy.value or "").lower() in _SHARDED,
        replicated=(workload.strategy.value or "").lower() == "dp",
        allocated_memory_bytes=float(placement.memory_bytes),
        optimizer=(workload.optimizer.value or "").lower(),
        input_side=float(max(shape)) if shape else 0.0,
        site=site,
        saved_bytes=float(workload.saved_bytes_per_sample.value or 0),
        unknown=tuple(unknown),
    )


def is_recurrent(network: str) -> bool:
    """Whether the name is of a network that goes through its samples step by step."""
    return _RECURRENT.search(network) is not None


def dense_parameters(kind: str, parameters: float, forward_flops: float) -> float:
    """The parameters whose gradients are whole arrays: in rows of features, those that a sample multiplies."""
    return parameters if kind in {"image", "sequence"} else min(parameters, forward_flops / 2.0)


def network_key(name: str) -> str:
    """A network's name without case and punctuation, so that ``MobileNet_v2`` and ``MobileNetV2`` are one network."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _framework(name: str | None) -> str:
    lowered = (name or "").lower()
    if "torch" in lowered or "lightning" in lowered or "huggingface" in lowered or "transformers" in lowered:
        return "pytorch"
    if "tensorflow" in lowered or "keras" in lowered or lowered in {"tf", "jax", "flax"}:
        return "tensorflow"
    return "unknown"


@dataclass(frozen=True, slots=True)
class Table:
    """Settings as columns, one float64 array each; ``settings`` keeps the names that are not numbers."""

    settings: tuple[Setting, ...]
    batch_size: Array
    gpus: Array
    nodes: Array
    parameters: Array
    dense_parameters: Array
    trainable_share: Array
    forward_flops: Array
    training_flops: Array
    layers: Array
    recurrent_steps: Array
    activation_elements: Array
    saved_bytes: Array
    allocator_memory: Array
    input_elements: Array
    train_samples: Array
    validation_samples: Array
    torch: Array
    image: Array
    sequence: Array
    rows: Array
    convolution: Array
    pointwise: Array
    grouped: Array
    matrix: Array
    depthwise: Array
    elementwise: Array
    kernels: Array
    feed: Array
    sharded: Array
    replicated: Array
    link: Array
    peak: Array
    peak_kind: NDArray[np.int64]
    element_bytes: Array
    bandwidth: Array
    tdp_w: Array
    idle_w: Array
    idle_std: Array
    full_w: Array
    stacked: Array
    fp32: Array

    def __len__(self) -> int:
        return len(self.settings)


PEAK_KINDS = ("fp32", "tf32", "half", "fp64")
_TENSOR_OVER_FP32 = 1.5  # a rate that much above float32's is of matrix units
# Data loading of images: processes that a loader is taken to have where nothing is known, and what one that runs in the
# training process costs beside them; arrays in memory need no decoding.
_TYPICAL_WORKERS, _IN_PROCESS, _IN_MEMORY = 6.0, 4.0, 0.3
# Bytes/s of an all-reduce between the GPUs of a node, by what links them: NVLink of 2016 to 2018, of Ampere, of Hopper
# and newer (NCCL's own bus bandwidths), PCIe.
_NVLINK_BYTES_PER_S = {"pascal": 5.0e10, "volta": 1.2e11, "ampere": 2.2e11}
_NEWEST_NVLINK_BYTES_PER_S = 3.5e11
_PCIE_BYTES_PER_S = 1.2e10


def _peak(setting: Setting) -> tuple[float, int, float]:
    """The peak rate that the precision can use on this GPU, its kind, and bytes per stored element."""
    gpu, fp32 = setting.gpu, setting.gpu.fp32
    if setting.precision == "float64":
        return gpu.fp64, 3, 8.0
    if setting.precision in _FLOAT16 or setting.precision in _BFLOAT16:
        half = gpu.fp16 if setting.precision in _FLOAT16 else gpu.bf16
        return half, 2 if half > _TENSOR_OVER_FP32 * fp32 else 0, 2.0
    # PyTorch lets convolutions use TF32 and keeps matrix products in float32 unless told; TensorFlow uses it for both.
    by_default = not (setting.framework == "pytorch" and setting.matrix)
    if gpu.tf32 and (setting.precision == "tf32" or by_default):
        return gpu.tf32, 1 if gpu.tf32 > _TENSOR_OVER_FP32 * fp32 else 0, 4.0
    return fp32, 0, 4.0


def _feed(setting: Setting) -> float:
    """What feeding a sample costs, in units of what it costs a loader of the usual kind; 0 where nothing is fed."""
    if setting.synthetic_input:
        return 0.0
    if setting.data_in_memory:
        return _IN_MEMORY
    if setting.loader_workers is None or setting.kind != "image":
        return 1.0
    return _IN_PROCESS if setting.loader_workers == 0 else max(_TYPICAL_WORKERS / setting.loader_workers, 0.3)


def _link(gpu: GpuNumbers) -> float:
    name = gpu.name.upper()
    if not any(word in name for word in ("SXM", "HGX", "HBM3", "GH200", "GB200", "GB300", "H200", "B200", "B300")):
        return _PCIE_BYTES_PER_S
    return _NVLINK_BYTES_PER_S.get(gpu.architecture, _NEWEST_NVLINK_BYTES_PER_S)


def tabulate(settings: Sequence[Setting]) -> Table:
    """Turn settings into columns."""
    peaks = [_peak(s) for s in settings]

    def column(values: Sequence[float]) -> Array:
        return np.asarray(values, dtype=np.float64)

    return Table(
        settings=tuple(settings),
        batch_size=column([s.batch_size for s in settings]),
        gpus=column([s.gpus for s in settings]),
        nodes=column([s.nodes for s in settings]),
        parameters=column([s.parameters for s in settings]),
        dense_parameters=column([s.dense_parameters or s.parameters for s in settings]),
        trainable_share=column([s.trainable_share for s in settings]),
        forward_flops=column([s.forward_flops for s in settings]),
        training_flops=column([s.training_flops for s in settings]),
        layers=column([s.layers for s in settings]),
        recurrent_steps=column([s.recurrent_steps for s in settings]),
        activation_elements=column([s.activation_elements for s in settings]),
        saved_bytes=column([s.saved_bytes for s in settings]),
        allocator_memory=column([float(s.allocator_memory) for s in settings]),
        input_elements=column([s.input_elements for s in settings]),
        train_samples=column([s.train_samples for s in settings]),
        validation_samples=column([s.validation_samples for s in settings]),
        torch=column([{"pytorch": 1.0, "tensorflow": 0.0}.get(s.framework, 0.5) for s in settings]),
        image=column([float(s.kind == "image") for s in settings]),
        sequence=column([float(s.sequence) for s in settings]),
        rows=column([float(s.kind in {"table", "recommender"}) for s in settings]),
        **{name: column([getattr(s.mix, name) for s in settings]) for name in Mix.__slots__},
        feed=column([_feed(s) for s in settings]),
        sharded=column([float(s.sharded) for s in settings]),
        replicated=column([float(s.replicated) for s in settings]),
        link=column([_link(s.gpu) for s in settings]),
        peak=column([p[0] for p in peaks]),
        peak_kind=np.asarray([p[1] for p in peaks], dtype=np.int64),
        element_bytes=column([p[2] for p in peaks]),
        bandwidth=column([s.gpu.bandwidth for s in settings]),
        tdp_w=column([s.gpu.tdp_w for s in settings]),
        idle_w=column([s.gpu.idle_w for s in settings]),
        idle_std=column([s.gpu.idle_std for s in settings]),
        full_w=column([s.gpu.full_w or np.nan for s in settings]),
        stacked=column([float(s.gpu.stacked) for s in settings]),
        fp32=column([s.gpu.fp32 for s in settings]),
    )


def paper_features(setting: Setting) -> list[float]:
    """The row of arXiv 2307.05520, in the order of ``PAPER_FEATURES``."""
    return [
        setting.gpu.cuda_cores,
        setting.gpu.memory_bytes / 1e9,
        setting.gpu.tdp_w,
        setting.allocated_memory_bytes / 1e9,
        setting.forward_flops / 1e9,
        setting.train_samples,
        setting.validation_samples,
        setting.batch_size * setting.gpus,
        setting.input_side,
    ]

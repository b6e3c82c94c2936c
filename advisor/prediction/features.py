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
from advisor.inventory.model import GpuModel
from advisor.placement.placement import Placement
from advisor.prediction.filled import filled_facts

FEATURES_VERSION = 1

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
    "batch_size": (1.0, 1e8),
    "gradient_accumulation": (1.0, 1e6),
    "train_samples": (1.0, 1e13),
    "validation_samples": (0.0, 1e13),
    "epochs": (1.0, 1e7),
    "devices": (1.0, 1e5),
    "steps": (1.0, 1e13),
}
_ORDERS_OF_A_SLIP = "Correct it with --set {name}=VALUE."

HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
_TENSOR_ARCHITECTURES = ("ampere", "ada", "hopper", "blackwell", "rubin")
_DEPTHWISE = re.compile(
    r"mobilenet|efficientnet|xception|nasnet|ghostnet|convnext|mobilevit|edgenext|shufflenet|fbnet|tinynet"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuNumbers:
    """A GPU as the model sees it; rates in FLOP/s and bytes/s, every gap filled and named in ``Setting.unknown``."""

    name: str
    architecture: str
    fp64: float
    fp32: float
    tf32: float
    half: float
    bandwidth: float
    tdp_w: float
    memory_bytes: float
    cuda_cores: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One workload on one placement, in numbers.

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
    sequence: bool
    depthwise: bool
    precision: str
    batch_size: float
    gpus: int
    nodes: int
    train_samples: float
    validation_samples: float
    gpu: GpuNumbers
    allocated_memory_bytes: float = 0.0
    optimizer: str = ""
    input_side: float = 0.0
    site: str = ""
    study: str = ""
    synthetic_input: bool = False
    saved_bytes: float = 0.0
    allocator_memory: bool = False
    unknown: tuple[str, ...] = ()


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


def gpu_numbers(gpu: GpuModel) -> tuple[GpuNumbers, tuple[str, ...]]:
    """A GPU's rates with the gaps filled from what is known, and the names of the gaps."""
    unknown: list[str] = []
    cores = float(gpu.cuda_cores or 0)
    fp32 = gpu.peak_fp32_flops_per_s
    if not fp32:
        unknown.append("gpu peak_fp32")
        # Two operations a core and clock, at the 1.6 GHz that boards of the last ten years boost to.
        fp32 = cores * 2 * 1.6e9 if cores else 1.5e13
    architecture = (gpu.architecture or "").lower().split()[0] if gpu.architecture else ""
    tdp_w = gpu.tdp_w
    if not tdp_w:
        unknown.append("gpu tdp_w")
        tdp_w = 250.0
    bandwidth = gpu.memory_bandwidth_bytes_per_s
    if not bandwidth:
        unknown.append("gpu memory_bandwidth")
        bandwidth = fp32 / 25.0
    if not gpu.memory_bytes:
        unknown.append("gpu memory_bytes")
    tensor = any(word in architecture for word in _TENSOR_ARCHITECTURES)
    tf32 = gpu.peak_tf32_flops_per_s or (fp32 if tensor else 0.0)
    half = gpu.peak_bf16_flops_per_s or gpu.peak_fp16_flops_per_s or 0.0
    # Where half-precision units are slow (Pascal), frameworks store halves and compute in float32, converting twice.
    half = half if half > fp32 else 0.5 * fp32
    numbers = GpuNumbers(
        name=gpu.name,
        architecture=architecture,
        fp64=gpu.peak_fp64_flops_per_s or fp32 / 32,
        fp32=fp32,
        tf32=tf32,
        half=half,
        bandwidth=bandwidth,
        tdp_w=tdp_w,
        memory_bytes=float(gpu.memory_bytes or 0),
        cuda_cores=cores or fp32 / 3.2e9,
    )
    return numbers, tuple(unknown)


def setting_of(workload: Workload, placement: Placement, site: str = "") -> Setting:
    """The numbers of one workload on one placement.

    Raises:
        ImplausibleWorkload: a fact is absurd.
    """
    check_plausible(workload)
    gpu, unknown_gpu = gpu_numbers(placement.gpu)
    filled = filled_facts(workload)
    unknown = [*filled.unknown, *unknown_gpu]
    per_gpu = max(filled.batch_size / max(placement.gpus, 1), 1.0)
    shape = workload.input_shape.value or ()
    return Setting(
        framework=_framework(workload.framework.value),
        network=network_key(workload.model_name.value or ""),
        parameters=filled.parameters,
        trainable_share=filled.trainable_share,
        forward_flops=filled.forward_flops,
        training_flops=filled.training_flops,
        layers=filled.layers,
        activation_elements=filled.activation_elements,
        input_elements=filled.input_elements,
        sequence=filled.sequence,
        depthwise=is_depthwise(network_key(workload.model_name.value or "")),
        precision=workload.precision.value or "float32",
        batch_size=per_gpu,
        gpus=placement.gpus,
        nodes=placement.nodes,
        train_samples=filled.train_samples,
        validation_samples=float(workload.validation_samples.value or 0),
        gpu=gpu,
        allocated_memory_bytes=float(placement.memory_bytes),
        optimizer=(workload.optimizer.value or "").lower(),
        input_side=float(max(shape)) if shape else 0.0,
        site=site,
        saved_bytes=float(workload.saved_bytes_per_sample.value or 0),
        unknown=tuple(unknown),
    )


def is_depthwise(network: str) -> bool:
    """Whether the name is of a family built on depthwise convolutions, which GPUs run far below their rates."""
    return _DEPTHWISE.search(network) is not None


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
    trainable_share: Array
    forward_flops: Array
    training_flops: Array
    layers: Array
    activation_elements: Array
    saved_bytes: Array
    allocator_memory: Array
    input_elements: Array
    train_samples: Array
    validation_samples: Array
    torch: Array
    synthetic: Array
    depthwise: Array
    sequence: Array
    fast_link: Array
    peak: Array
    peak_kind: NDArray[np.int64]
    element_bytes: Array
    bandwidth: Array
    tdp_w: Array
    fp32: Array

    def __len__(self) -> int:
        return len(self.settings)


PEAK_KINDS = ("fp32", "tf32", "half", "fp64")


def _peak(setting: Setting) -> tuple[float, int, float]:
    """The peak rate that the precision can use on this GPU, its kind, and bytes per stored element."""
    gpu = setting.gpu
    if setting.precision == "float64":
        return gpu.fp64, 3, 8.0
    if setting.precision in HALF:
        on_tensor_cores = gpu.half > 1.5 * gpu.fp32
        return gpu.half, 2 if on_tensor_cores else 0, 2.0
    # PyTorch lets convolutions use TF32 and keeps matrix products in float32; TensorFlow uses TF32 for both.
    if gpu.tf32 and not (setting.framework == "pytorch" and setting.sequence):
        return gpu.tf32, 1 if gpu.tf32 > 1.5 * gpu.fp32 else 0, 4.0
    return gpu.fp32, 0, 4.0


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
        trainable_share=column([s.trainable_share for s in settings]),
        forward_flops=column([s.forward_flops for s in settings]),
        training_flops=column([s.training_flops for s in settings]),
        layers=column([s.layers for s in settings]),
        activation_elements=column([s.activation_elements for s in settings]),
        saved_bytes=column([s.saved_bytes for s in settings]),
        allocator_memory=column([float(s.allocator_memory) for s in settings]),
        input_elements=column([s.input_elements for s in settings]),
        train_samples=column([s.train_samples for s in settings]),
        validation_samples=column([s.validation_samples for s in settings]),
        torch=column([{"pytorch": 1.0, "tensorflow": 0.0}.get(s.framework, 0.5) for s in settings]),
        synthetic=column([float(s.synthetic_input) for s in settings]),
        depthwise=column([float(s.depthwise) for s in settings]),
        sequence=column([float(s.sequence) for s in settings]),
        fast_link=column([float("SXM" in s.gpu.name.upper() or "HGX" in s.gpu.name.upper()) for s in settings]),
        peak=column([p[0] for p in peaks]),
        peak_kind=np.asarray([p[1] for p in peaks], dtype=np.int64),
        element_bytes=column([p[2] for p in peaks]),
        bandwidth=column([s.gpu.bandwidth for s in settings]),
        tdp_w=column([s.gpu.tdp_w for s in settings]),
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

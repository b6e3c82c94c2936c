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

# Typical values, for facts that nobody gave: medians over the networks of the prior data. Each widens the interval.
_TYPICAL_PARAMETERS = 2.3e7
_TYPICAL_LAYERS = 150.0
_TYPICAL_INPUT_ELEMENTS = 150528.0
_TYPICAL_BATCH_SIZE = 32.0
_TYPICAL_TRAIN_SAMPLES = 50000.0
_FLOPS_PER_ACTIVATION = 280.0
_SEQUENCE_ACTIVATIONS = 6.0  # elements for each token and root of (parameters x layers), which goes as width x layers
_RECOMMENDER_FLOPS = 6.0e6
_RECOMMENDER_LAYERS = 30.0

HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
_TENSOR_ARCHITECTURES = ("ampere", "ada", "hopper", "blackwell", "rubin")
# Short names only as words of their own: "t5" is also in "resnet50".
_SEQUENCE_NAMES = re.compile(
    r"bert|gpt|llama|transformer|mistral|lstm|bloom|qwen|mamba|falcon|gemma|seq2seq"
    r"|(?<![a-z0-9])(?:m?t5|flan|gru|opt|phi|rnn)(?![a-z0-9])"
)
_DEPTHWISE = re.compile(
    r"mobilenet|efficientnet|xception|nasnet|ghostnet|convnext|mobilevit|edgenext|shufflenet|fbnet|tinynet"
)
_RECOMMENDERS = re.compile(r"dlrm|ncf|wide_?deep|deepfm|recommend|matrix_?factor|two_?tower|dcn")


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
    what one sample's forward pass keeps for its backward pass, 0 where that is not known. ``unknown`` names the facts
    that were filled in.
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
    filled = _filled_facts(workload)
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


@dataclass(frozen=True, slots=True)
class Work:
    """How much a run trains on: samples in an epoch and epochs, None where not known; ``from_steps`` where counted so.

    Epochs are a fraction where the steps end within one.
    """

    epoch_samples: float | None
    epochs: float | None
    from_steps: bool


def work_of(workload: Workload) -> Work:
    """The work of a run: epochs and samples where both are known, else what its steps make up for.

    A run of steps alone, such as over a stream, is one epoch. Each step sees a batch as often as gradients are
    accumulated.
    """
    samples, epochs = workload.train_samples.value, workload.epochs.value
    steps, batch_size = workload.steps.value, workload.batch_size.value
    if (samples and epochs) or not steps or not batch_size:
        return Work(samples, epochs, from_steps=False)
    seen = float(steps) * batch_size * (workload.gradient_accumulation.value or 1)
    if samples:
        return Work(samples, seen / samples, from_steps=True)
    return Work(seen / (epochs or 1), epochs or 1, from_steps=True)


@dataclass(slots=True)
class _Filled:
    """The workload's numbers, each known or filled in, and the names of those filled in."""

    batch_size: float
    train_samples: float
    parameters: float
    trainable_share: float
    forward_flops: float
    training_flops: float
    layers: float
    activation_elements: float
    input_elements: float
    sequence: bool
    unknown: list[str]


def _filled_facts(workload: Workload) -> _Filled:
    unknown: list[str] = []

    def known(name: str, value: float | None, otherwise: float) -> float:
        if value:
            return float(value)
        unknown.append(name)
        return otherwise

    shape = workload.input_shape.value
    name = (workload.model_name.value or "").lower()
    recommender = _RECOMMENDERS.search(name) is not None
    sequence = not recommender and _is_sequence(workload, name)
    input_elements = known("input_shape", math.prod(shape) if shape else None, _TYPICAL_INPUT_ELEMENTS)
    flops = workload.forward_flops_per_sample.value
    layers = float(workload.layers.value or 0)
    parameters = known("parameters", workload.parameters.value, _TYPICAL_PARAMETERS)
    tokens = float(shape[0]) if shape and sequence else 512.0
    flops_guess = 2.0 * parameters * tokens if sequence else max(2.0 * parameters, 120.0 * input_elements)
    if recommender:
        # Its parameters are embeddings that are looked up, not multiplied.
        flops_guess = min(2.0 * parameters, _RECOMMENDER_FLOPS)
    forward = known("forward_flops_per_sample", flops, flops_guess)
    if not layers:
        unknown.append("layers")
        layers = _TYPICAL_LAYERS
        if recommender:
            layers = _RECOMMENDER_LAYERS
        elif sequence:
            layers = 150.0 * (parameters / 1e8) ** 0.35
    activations = workload.activation_elements.value
    if not activations:
        unknown.append("activation_elements")
        # A sequence model keeps some dozen vectors of its width for each layer and token; a convolutional network's
        # activations follow its FLOPs.
        activations = (
            int(_SEQUENCE_ACTIVATIONS * math.sqrt(parameters * layers) * tokens)
            if sequence
            else int(max(forward / _FLOPS_PER_ACTIVATION, input_elements))
        )
    trainable = workload.trainable_parameters.value
    share = 1.0 if trainable is None or not workload.parameters.value else min(trainable / workload.parameters.value, 1)
    training = workload.training_flops_per_sample.value
    # Forward once, backward twice (inputs and weights); a frozen backbone needs no backward pass below its top.
    training_flops = training or forward * (3.0 if share > 0.5 else 1.0 + 2.0 * share)  # noqa: PLR2004
    return _Filled(
        batch_size=known("batch_size", workload.batch_size.value, _TYPICAL_BATCH_SIZE),
        train_samples=known("train_samples", work_of(workload).epoch_samples, _TYPICAL_TRAIN_SAMPLES),
        parameters=parameters,
        trainable_share=share,
        forward_flops=forward,
        training_flops=training_flops,
        layers=layers,
        activation_elements=float(activations),
        input_elements=input_elements,
        sequence=sequence,
        unknown=unknown,
    )


def is_depthwise(network: str) -> bool:
    """Whether the name is of a family built on depthwise convolutions, which GPUs run far below their rates."""
    return _DEPTHWISE.search(network) is not None


def _is_sequence(workload: Workload, name: str) -> bool:
    """Whether samples are token sequences: by the model's name, else by what a parameter is used for."""
    shape = workload.input_shape.value
    if _SEQUENCE_NAMES.search(name):
        return True
    if shape is None or len(shape) > 2:  # noqa: PLR2004 (tokens, or tokens x features)
        return False
    flops, parameters = workload.forward_flops_per_sample.value, workload.parameters.value
    if flops and parameters:
        # In a sequence each parameter multiplies once a token; in a table of features once a sample.
        return flops > 6 * parameters
    return len(shape) == 2  # noqa: PLR2004


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
    input_elements: Array
    train_samples: Array
    validation_samples: Array
    torch: Array
    synthetic: Array
    depthwise: Array
    fast_link: Array
    peak: Array
    peak_kind: NDArray[np.int64]
    element_bytes: Array
    bandwidth: Array
    tdp_w: Array
    fp32: Array
    unknown_facts: Array

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
        input_elements=column([s.input_elements for s in settings]),
        train_samples=column([s.train_samples for s in settings]),
        validation_samples=column([s.validation_samples for s in settings]),
        torch=column([{"pytorch": 1.0, "tensorflow": 0.0}.get(s.framework, 0.5) for s in settings]),
        synthetic=column([float(s.synthetic_input) for s in settings]),
        depthwise=column([float(s.depthwise) for s in settings]),
        fast_link=column([float("SXM" in s.gpu.name.upper() or "HGX" in s.gpu.name.upper()) for s in settings]),
        peak=column([p[0] for p in peaks]),
        peak_kind=np.asarray([p[1] for p in peaks], dtype=np.int64),
        element_bytes=column([p[2] for p in peaks]),
        bandwidth=column([s.gpu.bandwidth for s in settings]),
        tdp_w=column([s.gpu.tdp_w for s in settings]),
        fp32=column([s.gpu.fp32 for s in settings]),
        unknown_facts=column([float(len(s.unknown)) for s in settings]),
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

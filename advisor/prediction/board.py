"""A GPU as the model sees it: rates by precision and power at both ends, every gap filled and named."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.inventory.model import GpuModel

# Two operations a core and clock, at the 1.6 GHz that boards of the last ten years boost to.
_FLOPS_OF_A_CORE = 3.2e9
_TYPICAL_FP32 = 1.5e13
_TYPICAL_TDP_W = 250.0
_FLOPS_OF_A_BYTE = 25.0  # float32 rate over memory rate
_TENSOR_ARCHITECTURES = ("ampere", "ada", "hopper", "blackwell", "rubin")

# What a board draws with a context and no work, as a share of its limit, by the kind of its memory: readings of 16
# boards (shared with the catalogue: nvidia-smi tables) lie at 0.12 to 0.23 with stacked memory, at 0.21 to 0.32 with
# GDDR, at 0.31 to 0.40 where the limit is below 80 W. Stacked memory is told by its
# rate and by that over the float32 rate.
_STACKED = ((7.0e11, 0.036), (5.0e11, 0.046))
_SMALL_W = 80.0
_IDLE_SHARE_STACKED, _IDLE_SHARE_GDDR, _IDLE_SHARE_SMALL = 0.18, 0.26, 0.37
# A context on boards that idle at full clocks (stacked memory) adds a fifth to two thirds to what they idle at.
_CONTEXT_OVER_IDLE = 1.38
# Standard deviations of the logarithm: measured; measured without a context; guessed.
_IDLE_STD = (0.06, 0.12, 0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuNumbers:
    """A GPU's rates in FLOP/s and bytes/s and its powers in W.

    ``fp16`` and ``bf16`` are what frameworks reach for: where a board has no fast units for one, halves are stored and
    computed in float32. ``idle_w`` is drawn with a context and no work, ``idle_std`` is how uncertain its logarithm is;
    ``full_w`` is what training at full load draws, None where nothing is known of it. ``stacked`` says that its memory
    is stacked (HBM), as on data-centre boards.
    """

    name: str
    architecture: str
    fp64: float
    fp32: float
    tf32: float
    fp16: float
    bf16: float
    bandwidth: float
    tdp_w: float
    idle_w: float
    idle_std: float
    full_w: float | None
    memory_bytes: float
    cuda_cores: float
    stacked: bool


def gpu_numbers(gpu: GpuModel) -> tuple[GpuNumbers, tuple[str, ...]]:
    """A GPU's numbers with the gaps filled from what is known, and the names of the gaps."""
    unknown: list[str] = []
    cores = float(gpu.cuda_cores or 0)
    fp32 = gpu.peak_fp32_flops_per_s
    if not fp32:
        unknown.append("gpu peak_fp32")
        fp32 = cores * _FLOPS_OF_A_CORE if cores else _TYPICAL_FP32
    architecture = (gpu.architecture or "").lower().split()[0] if gpu.architecture else ""
    tdp_w = gpu.tdp_w
    if not tdp_w:
        unknown.append("gpu tdp_w")
        tdp_w = _TYPICAL_TDP_W
    bandwidth = gpu.memory_bandwidth_bytes_per_s
    if not bandwidth:
        unknown.append("gpu memory_bandwidth")
        bandwidth = fp32 / _FLOPS_OF_A_BYTE
    if not gpu.memory_bytes:
        unknown.append("gpu memory_bytes")
    tensor = any(word in architecture for word in _TENSOR_ARCHITECTURES)
    stacked = any(bandwidth > least * gpu.slice_share and bandwidth > ratio * fp32 for least, ratio in _STACKED)
    idle_w, idle_std = _idle(gpu, tdp_w, stacked=stacked)
    return GpuNumbers(
        name=gpu.name,
        architecture=architecture,
        fp64=gpu.peak_fp64_flops_per_s or fp32 / 32,
        fp32=fp32,
        tf32=gpu.peak_tf32_flops_per_s or (fp32 if tensor else 0.0),
        fp16=_half(gpu.peak_fp16_flops_per_s, fp32),
        bf16=_half(gpu.peak_bf16_flops_per_s, fp32),
        bandwidth=bandwidth,
        tdp_w=tdp_w,
        idle_w=idle_w,
        idle_std=idle_std,
        full_w=gpu.full_load_share * tdp_w if gpu.full_load_share else None,
        memory_bytes=float(gpu.memory_bytes or 0),
        cuda_cores=cores or fp32 / _FLOPS_OF_A_CORE,
        stacked=stacked,
    ), tuple(unknown)


def _half(published: float | None, fp32: float) -> float:
    """The rate of a 16-bit format: where its units are slow or absent, float32's, less for converting twice."""
    return published if published and published > fp32 else 0.5 * fp32


def _idle(gpu: GpuModel, tdp_w: float, *, stacked: bool) -> tuple[float, float]:
    """Power with a context and no work in W, and the standard deviation of its logarithm."""
    if gpu.context_idle_w:
        return gpu.context_idle_w, _IDLE_STD[0]
    if stacked and gpu.idle_w:
        return gpu.idle_w * _CONTEXT_OVER_IDLE, _IDLE_STD[1]
    if stacked:
        return _IDLE_SHARE_STACKED * tdp_w, _IDLE_STD[2]
    share = _IDLE_SHARE_SMALL if tdp_w <= _SMALL_W * gpu.slice_share else _IDLE_SHARE_GDDR
    return share * tdp_w, _IDLE_STD[2]

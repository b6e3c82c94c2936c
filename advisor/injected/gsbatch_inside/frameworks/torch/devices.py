"""Pretend the GPUs of the job, and replace what only a GPU, a compiler or other processes could do."""

import contextlib
import types
from typing import Any, Callable, List

import torch

from .tensors import elsewhere

_TENSOR_TYPES = ("FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "IntTensor", "ByteTensor", "BoolTensor")
_MEMORY_BYTES = 80 * 1024**3


def without_effect() -> Callable[..., None]:
    """A function that does nothing; each time another, since torch._dynamo keeps a register of torch's functions."""
    return lambda *_args, **_kwargs: None


class _Anything:
    """A stream, an event or a context that does nothing."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        return

    def __enter__(self) -> "_Anything":
        return self

    def __exit__(self, *_exc: Any) -> None:
        return

    def elapsed_time(self, _other: Any) -> float:
        return 1.0

    def query(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return without_effect()


def pretend(gpus: int) -> None:
    """Put the stand-ins in place."""
    _pretend_cuda(gpus)
    _pretend_accelerator(gpus)
    torch.compile = lambda model=None, **_options: model if model is not None else (lambda function: function)
    torch.nn.Module.compile = without_effect()
    torch.jit.script = lambda what, *args, **kwargs: what
    torch.jit.trace = lambda what, *args, **kwargs: what
    torch.set_num_threads = without_effect()
    torch.set_num_interop_threads = without_effect()
    torch.set_default_device = without_effect()
    default_type = torch.set_default_tensor_type
    torch.set_default_tensor_type = lambda kind: None if "cuda" in str(kind) else default_type(kind)
    _pretend_scaler()
    _pretend_generator()


def _pretend_cuda(gpus: int) -> None:
    properties = types.SimpleNamespace(
        name="NVIDIA A100-SXM4-80GB", total_memory=_MEMORY_BYTES, major=8, minor=0, multi_processor_count=108,
        is_integrated=False, is_multi_gpu_board=False,
    )  # fmt: skip
    answers = {
        "is_available": True, "device_count": gpus, "current_device": 0, "get_device_name": properties.name,
        "get_device_properties": properties, "get_device_capability": (8, 0), "is_bf16_supported": True,
        "is_initialized": True, "memory_allocated": 0, "max_memory_allocated": 0, "memory_reserved": 0,
        "max_memory_reserved": 0, "mem_get_info": (_MEMORY_BYTES, _MEMORY_BYTES), "memory_summary": "",
        "memory_stats": {}, "utilization": 0, "get_arch_list": ["sm_80"],
    }  # fmt: skip
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *_args, _answer=answer, **_kwargs: _answer)
    for name in ("set_device", "synchronize", "empty_cache", "reset_peak_memory_stats", "reset_max_memory_allocated",
                 "manual_seed", "manual_seed_all", "init", "_lazy_init", "ipc_collect", "seed", "seed_all",
                 "set_per_process_memory_fraction", "set_rng_state", "set_rng_state_all"):  # fmt: skip
        setattr(torch.cuda, name, without_effect())
    torch.cuda.get_rng_state = lambda *_args: torch.get_rng_state()
    torch.cuda.get_rng_state_all = lambda: [torch.get_rng_state()]
    for name in ("Stream", "Event", "stream", "device", "CUDAGraph", "graph", "device_of"):
        setattr(torch.cuda, name, _Anything)
    torch.cuda.current_stream = torch.cuda.default_stream = _Anything
    torch.cuda.nvtx = _Anything()
    for name in _TENSOR_TYPES:
        setattr(torch.cuda, name, getattr(torch, name))
    torch.version.cuda = torch.version.cuda or "12.4"


def _pretend_accelerator(gpus: int) -> None:
    """What newer scripts ask in place of ``torch.cuda``."""
    accelerator: Any = getattr(torch, "accelerator", None)
    if accelerator is None:
        return
    answers = {"is_available": True, "device_count": gpus, "current_device_index": 0, "current_device_idx": 0,
               "current_accelerator": torch.device("cuda"), "memory_allocated": 0, "max_memory_allocated": 0,
               "memory_reserved": 0, "max_memory_reserved": 0, "memory_stats": {}}  # fmt: skip
    for name, answer in answers.items():
        setattr(accelerator, name, lambda *_args, _answer=answer, **_kwargs: _answer)
    for name in ("set_device_index", "set_device_idx", "synchronize", "empty_cache", "set_stream",
                 "reset_peak_memory_stats", "reset_accumulated_memory_stats"):  # fmt: skip
        setattr(accelerator, name, without_effect())
    accelerator.current_stream = accelerator.device_index = _Anything


def _pretend_scaler() -> None:
    """Loss scaling changes no fact, and asks for values that are not there."""

    class Scaler:
        def __init__(self, *_args: Any, **kwargs: Any) -> None:
            self._enabled = bool(kwargs.get("enabled", True))

        def scale(self, outputs: Any) -> Any:
            return outputs

        def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            return optimizer.step(*args, **kwargs)

        def get_scale(self) -> float:
            return 65536.0

        def is_enabled(self) -> bool:
            return self._enabled

        def state_dict(self) -> Any:
            return {}

        update = unscale_ = load_state_dict = without_effect()

    owners: List[Any] = [torch.cuda.amp, getattr(torch, "amp", None)]
    for owner in owners:
        if hasattr(owner, "GradScaler"):
            owner.GradScaler = Scaler


def _pretend_generator() -> None:
    class Generator(torch._C.Generator):
        def __new__(cls, device: Any = None) -> Any:
            return super().__new__(cls, "cpu" if device is None or elsewhere(device) else device)

    torch.Generator = Generator


class DistributedModel(torch.nn.Module):
    """Stands for DistributedDataParallel, DataParallel and the like: the module itself, under ``module``."""

    def __init__(self, module: Any, *_args: Any, **_kwargs: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def no_sync(self) -> Any:
        return contextlib.nullcontext()

    def join(self, *_args: Any, **_kwargs: Any) -> Any:
        return contextlib.nullcontext()

    def clip_grad_norm_(self, *_args: Any, **_kwargs: Any) -> Any:
        return torch.zeros(())

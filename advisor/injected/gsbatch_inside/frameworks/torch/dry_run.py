"""Stop PyTorch short of training: networks without weights, steps without effect, loops in a few iterations."""

from typing import Any, List

import torch

from ...post_import import when_imported
from . import data as torch_data
from . import devices as torch_devices
from . import downloads as torch_downloads
from . import flops as torch_flops
from . import model as torch_model
from . import recurrent as torch_recurrent
from . import saved as torch_saved
from . import tensors as torch_tensors
from . import training as torch_training

_modes: List[Any] = []


def attach(gpus: int) -> None:
    """Put everything in place, once torch has been imported."""
    saved = torch_saved.SavedTensors()
    operations, functions = torch_flops.Operations(saved), torch_tensors.Functions()
    torch_devices.pretend(gpus)
    torch_recurrent.attach()
    torch_model.attach(operations)
    torch_data.attach()
    torch_training.attach(operations)
    _pretend_parallel(gpus)
    torch_downloads.attach()
    torch_saved.as_on_a_gpu()
    saved.watch()
    operations.__enter__()
    functions.__enter__()
    _modes[:] = [operations, functions]


def _pretend_parallel(gpus: int) -> None:
    model: Any = torch_devices.DistributedModel

    class DistributedDataParallel(model):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            torch_training.setting(strategy="ddp")

    class DataParallel(model):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            torch_training.setting(strategy="dp", devices=gpus)

    class FullyShardedDataParallel(model):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            torch_training.setting(strategy="fsdp")

    torch.nn.parallel.DistributedDataParallel = DistributedDataParallel
    torch.nn.DataParallel = torch.nn.parallel.DataParallel = DataParallel

    def distributed(module: Any) -> None:
        answers = {"get_rank": 0, "get_world_size": 1, "is_available": True, "get_backend": "nccl",
                   "get_node_local_rank": 0}  # fmt: skip
        started: List[bool] = []
        for name, answer in answers.items():
            setattr(module, name, lambda *_args, _answer=answer, **_kwargs: _answer)
        module.init_process_group = lambda *_args, **_kwargs: started.append(True)
        module.is_initialized = lambda: bool(started)
        for name in ("barrier", "destroy_process_group", "all_reduce", "broadcast", "reduce", "broadcast_object_list",
                     "new_group", "monitored_barrier"):  # fmt: skip
            setattr(module, name, torch_devices.without_effect())

    when_imported("torch.distributed", distributed)

    def sharded(module: Any) -> None:
        module.FullyShardedDataParallel = FullyShardedDataParallel
        if hasattr(module, "fully_shard"):
            module.fully_shard = lambda module, *_args, **_kwargs: module

    when_imported("torch.distributed.fsdp", sharded)
    when_imported("torch.distributed.fsdp.fully_sharded_data_parallel", sharded)

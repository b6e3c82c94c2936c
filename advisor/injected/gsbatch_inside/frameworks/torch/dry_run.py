"""Stop PyTorch short of training: networks without weights, steps without effect, loops in a few iterations."""

import os
import sys
from types import ModuleType
from typing import Any, List

from ...dry_run.session import DryRun
from ...post_import import when_imported
from ..keras.backends import BackEnds


def attach(module: ModuleType, session: DryRun) -> None:
    """``torch``.

    Where Keras runs its own loops on PyTorch, PyTorch is left as it is, because Keras needs the values of its weights.
    A script with its own loop around Keras's layers is handled like any script of PyTorch.
    """
    on_torch = os.environ.get("KERAS_BACKEND") == "torch"
    loops_itself = on_torch and _calls_backward(session.script)
    if loops_itself:
        os.environ["KERAS_TORCH_DEVICE"] = "meta"
    session.the(BackEnds).add_pass("torch", _keras_pass)
    if loops_itself or not (on_torch or "keras" in sys.modules):
        parts = session.keep(Torch(session))
        parts.attach()
        if loops_itself:
            when_imported("keras", parts.attach_keras)


def _keras_pass(*arguments: Any) -> Any:
    from .keras_pass import one_pass

    return one_pass(*arguments)


def _calls_backward(script: str) -> bool:
    try:
        with open(script, "rb") as file:
            return b".backward(" in file.read()
    except OSError:
        return False


class Torch:
    """What stands in for PyTorch's own; trainers that build on it use its parts."""

    def __init__(self, session: DryRun) -> None:
        from .data import Loaders
        from .flops import Operations
        from .model import Networks
        from .saved import SavedTensors
        from .tensors import Functions, Values
        from .training import Training

        self._session = session
        self.values = Values()
        self.saved = SavedTensors()
        self.operations = Operations(self.saved, self.values)
        self.functions = Functions(self.values, session.ledger.doubt)
        self.networks = Networks(session, self.operations, self.values)
        self.training = Training(session, self.networks, self.operations)
        self.loaders = Loaders(session, self.training.next_batch)

    def attach_keras(self, keras: Any) -> None:
        """Watch a script's own loop around Keras's layers."""
        from . import keras_loops

        keras_loops.attach(keras, self._session, self.networks, self.training)

    def attach(self) -> None:
        """Put everything in place."""
        from . import devices, downloads, recurrent, saved

        devices.pretend(self._session.gpus)
        recurrent.attach()
        self.networks.attach()
        self.loaders.attach()
        self.training.attach()
        _pretend_parallel(self._session)
        downloads.attach()
        saved.as_on_a_gpu()
        self.saved.watch()
        self.operations.__enter__()
        self.functions.__enter__()


def _pretend_parallel(session: DryRun) -> None:
    import torch

    from . import devices

    model: Any = devices.DistributedModel
    setting = session.ledger.setting

    def parallel(name: str, **facts: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            model.__init__(self, *args, **kwargs)
            setting(**facts)

        return type(name, (model,), {"__init__": __init__})

    torch.nn.parallel.DistributedDataParallel = parallel("DistributedDataParallel", strategy="ddp")
    torch.nn.DataParallel = torch.nn.parallel.DataParallel = parallel(
        "DataParallel", strategy="dp", devices=session.gpus
    )
    fully_sharded = parallel("FullyShardedDataParallel", strategy="fsdp")

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
            setattr(module, name, devices.without_effect())

    when_imported("torch.distributed", distributed)

    def sharded(module: Any) -> None:
        module.FullyShardedDataParallel = fully_sharded
        if hasattr(module, "fully_shard"):
            module.fully_shard = lambda module, *_args, **_kwargs: module

    when_imported("torch.distributed.fsdp", sharded)
    when_imported("torch.distributed.fsdp.fully_sharded_data_parallel", sharded)

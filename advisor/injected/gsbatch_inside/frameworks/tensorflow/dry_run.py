"""Make TensorFlow look as it will in the job, with the GPUs that were asked for. All computation stays on the CPU."""

import collections
import sys
from typing import Any, List

from ...dry_run.session import DryRun
from ...post_import import when_imported
from ..keras.backends import BackEnds

_Device = collections.namedtuple("_Device", ["name", "device_type"])
_SETTINGS = ("set_memory_growth", "set_virtual_device_configuration", "set_logical_device_configuration")


def attach(tensorflow: Any, session: DryRun) -> None:
    """``tensorflow``: pretend the GPUs where a script asks whether there are any; computation stays on the CPU."""
    from .keras_pass import GraphTracer
    from .loops import TapeLoops

    _pretend_devices(tensorflow, session.gpus)
    tensorflow.device = _any_device(tensorflow.device)
    _pretend_strategies(tensorflow, session)
    _keep_checkpoints(tensorflow)
    loops = session.keep(TapeLoops(tensorflow, session))
    loops.attach()
    for name in ("keras", "tf_keras"):  # which TensorFlow itself may have begun to import
        when_imported(name, session.guard(loops.attach_keras))
    session.the(BackEnds).add("tensorflow", GraphTracer(session.report.note, loops.cost_of_train_step).traced)


def _pretend_devices(tensorflow: Any, gpus: int) -> None:
    config = tensorflow.config
    real = config.list_physical_devices
    real_logical = config.list_logical_devices
    pretended = [_Device("/physical_device:GPU:%d" % index, "GPU") for index in range(gpus)]

    def list_physical_devices(device_type: Any = None) -> List[Any]:
        if device_type == "GPU":
            return list(pretended)
        found = list(real(device_type))
        return found + pretended if device_type is None else found

    def list_logical_devices(device_type: Any = None) -> List[Any]:
        # If Keras saw a GPU, it would trace cuDNN's fused LSTM, whose FLOPs cannot be read from the graph.
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.split(".")[0] in ("keras", "tf_keras", "tensorflow"):
            return list(real_logical(device_type))
        return list_physical_devices(device_type)

    for module in (config, config.experimental):
        module.list_physical_devices = list_physical_devices
        for name in _SETTINGS:
            if hasattr(module, name):
                setattr(module, name, _nothing)
        module.set_visible_devices = _nothing
    config.list_logical_devices = list_logical_devices
    tensorflow.test.is_gpu_available = lambda *args, **kwargs: True
    tensorflow.test.is_built_with_cuda = lambda: True
    tensorflow.test.gpu_device_name = lambda: ""


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _any_device(original: Any) -> Any:
    def device(name: Any) -> Any:
        return original("/CPU:0" if isinstance(name, str) and "gpu" in name.lower() else name)

    return device


def _keep_checkpoints(tensorflow: Any) -> None:
    """Checkpoints are neither written nor read: compiled code would write files, which a dry run may not."""

    class Status:
        """What a restored checkpoint answers."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return lambda *_args, **_kwargs: self

    train = tensorflow.train
    for kind in (train.Checkpoint, getattr(tensorflow.compat.v1.train, "Checkpoint", train.Checkpoint)):
        kind.save = kind.write = lambda self, file_prefix="checkpoint", *_args, **_kwargs: "%s-1" % file_prefix
        kind.restore = kind.read = lambda self, *_args, **_kwargs: Status()
    train.CheckpointManager.save = lambda self, *_args, **_kwargs: "checkpoint-1"
    train.CheckpointManager.latest_checkpoint = property(lambda self: None)
    train.latest_checkpoint = _nothing


def _pretend_strategies(tensorflow: Any, session: DryRun) -> None:
    # In place of a strategy over several GPUs: one over the CPU that reports the number of GPUs asked for.
    base = tensorflow.distribute.OneDeviceStrategy

    class PretendedStrategy(base):  # type: ignore[misc,valid-type]
        def __init__(self, devices: Any = None, *_args: Any, **_kwargs: Any) -> None:
            super().__init__("/cpu:0")
            self._gsbatch_replicas = len(devices) if isinstance(devices, (list, tuple)) and devices else session.gpus
            session.ledger.setting(strategy="mirrored", devices=self._gsbatch_replicas)

        def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
            return dataset

        def distribute_datasets_from_function(self, dataset_fn: Any, options: Any = None) -> Any:
            return dataset_fn(tensorflow.distribute.InputContext(1, 0, self._gsbatch_replicas))

        experimental_distribute_datasets_from_function = distribute_datasets_from_function

        @property
        def num_replicas_in_sync(self) -> int:
            return int(self._gsbatch_replicas)

    for module in (tensorflow.distribute, tensorflow.distribute.experimental):
        for name in ("MirroredStrategy", "MultiWorkerMirroredStrategy"):
            if hasattr(module, name):
                setattr(module, name, PretendedStrategy)

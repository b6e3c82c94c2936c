"""Let TensorFlow look as it will in the job: with the GPUs that were asked for, and one thread here."""

import collections
import sys
from typing import Any, Dict, List

from . import loops as tensorflow_loops

_Device = collections.namedtuple("_Device", ["name", "device_type"])


_replicas: List[int] = []


def strategy() -> Dict[str, Any]:
    """The strategy that the script made, as facts."""
    return {"strategy": "mirrored", "devices": _replicas[0]} if _replicas else {}


def attach(tensorflow: Any, gpus: int) -> None:
    """Pretend the GPUs where a script asks whether there are any; computation stays on the CPU."""
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
        # Keras asks too, and would trace cuDNN's fused LSTM, whose FLOPs cannot be read from the graph.
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.split(".")[0] in ("keras", "tf_keras", "tensorflow"):
            return list(real_logical(device_type))
        return list_physical_devices(device_type)

    def nothing(*_args: Any, **_kwargs: Any) -> None:
        return None

    for module in (config, config.experimental):
        module.list_physical_devices = list_physical_devices
        for name in ("set_memory_growth", "set_virtual_device_configuration", "set_logical_device_configuration"):
            if hasattr(module, name):
                setattr(module, name, nothing)
        module.set_visible_devices = nothing
    config.list_logical_devices = list_logical_devices
    tensorflow.test.is_gpu_available = lambda *args, **kwargs: True
    tensorflow.test.is_built_with_cuda = lambda: True
    tensorflow.test.gpu_device_name = lambda: ""
    tensorflow.device = _any_device(tensorflow.device)
    _pretend_strategies(tensorflow, gpus)
    tensorflow_loops.attach(tensorflow)


def _any_device(original: Any) -> Any:
    def device(name: Any) -> Any:
        return original("/CPU:0" if isinstance(name, str) and "gpu" in name.lower() else name)

    return device


def _pretend_strategies(tensorflow: Any, gpus: int) -> None:
    # Strategies over GPUs that are not here: one device that says it is as many as were asked for.
    base = tensorflow.distribute.OneDeviceStrategy

    class PretendedStrategy(base):  # type: ignore[misc,valid-type]
        def __init__(self, devices: Any = None, *_args: Any, **_kwargs: Any) -> None:
            super().__init__("/cpu:0")
            self._gsbatch_replicas = len(devices) if isinstance(devices, (list, tuple)) and devices else gpus
            _replicas[:] = [self._gsbatch_replicas]

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

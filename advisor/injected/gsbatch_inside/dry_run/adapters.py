"""Hooks that wait for a framework to be imported by the script; none is imported for its own sake."""

import functools
import importlib
import os
import sys
from typing import Any, Dict

from ..frameworks.jax import dry_run as jax_hooks
from ..frameworks.keras import dry_run as keras_hooks
from ..frameworks.tensorflow import dry_run as tensorflow_hooks
from ..post_import import when_imported
from . import report


def hook(spec: Dict[str, Any]) -> None:
    """Watch for the frameworks we know."""
    gpus = int(spec.get("gpus") or 1)
    for name in ("keras", "tf_keras"):
        when_imported(name, keras_hooks.attach)
    when_imported("tensorflow", lambda module: tensorflow_hooks.attach(module, gpus))
    when_imported("jax", jax_hooks.attach)
    when_imported("torch._compile", _never_compile)
    when_imported("torch", lambda module: _torch(gpus, spec["script"]))
    for name, (part, function) in _ON_TORCH.items():
        when_imported(name, functools.partial(_on_torch, part, function))


# Packages that train with PyTorch: the module here that knows them, and its function.
_ON_TORCH = {
    "lightning.pytorch": ("trainers.dry_run", "attach_lightning"),
    "pytorch_lightning": ("trainers.dry_run", "attach_lightning"),
    "torchvision.datasets": ("torch.torchvision_data", "attach"),
    "transformers.trainer": ("trainers.dry_run", "attach_transformers"),
    "transformers.modeling_utils": ("torch.downloads", "attach_transformers"),
    "transformers.models.auto.auto_factory": ("torch.downloads", "attach_auto"),
}


def _on_torch(part: str, function: str, module: Any) -> None:
    getattr(importlib.import_module("gsbatch_inside.frameworks." + part), function)(module)


def _never_compile(module: Any) -> None:
    # torch's own functions ask its compiler to leave them alone, and that question takes seconds of imports.
    def leave_alone(function: Any = None, recursive: bool = True) -> Any:
        return leave_alone if function is None else function

    module._disable_dynamo = leave_alone


def _torch(gpus: int, script: str) -> None:
    # Keras on PyTorch runs its own loops and needs its weights' values: keras_hooks describes those models. A script
    # with a loop of its own around them trains as any of PyTorch.
    on_torch = os.environ.get("KERAS_BACKEND") == "torch"
    loops_itself = on_torch and _calls_backward(script)
    if loops_itself:
        os.environ["KERAS_TORCH_DEVICE"] = "meta"
        when_imported("keras", functools.partial(_on_torch, "torch.keras_loops", "attach"))
    if loops_itself or not (on_torch or "keras" in sys.modules):
        try:
            importlib.import_module("gsbatch_inside.frameworks.torch.dry_run").attach(gpus)
        except Exception as exc:
            report.note("this release of PyTorch is not understood: %s: %s" % (type(exc).__name__, exc))


def _calls_backward(script: str) -> bool:
    try:
        with open(script, "rb") as file:
            return b".backward(" in file.read()
    except OSError:
        return False

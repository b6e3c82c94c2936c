"""Hooks that wait for a framework to be imported by the script; none is imported for its own sake."""

from typing import Any, Dict

from gsbatch_inside.post_import import when_imported

from . import keras_hooks, tensorflow_hooks


def hook(spec: Dict[str, Any]) -> None:
    """Watch for the frameworks we know."""
    gpus = int(spec.get("gpus") or 1)
    for name in ("keras", "tf_keras"):
        when_imported(name, keras_hooks.attach)
    when_imported("tensorflow", lambda module: tensorflow_hooks.attach(module, gpus))

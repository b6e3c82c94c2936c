"""Checkpoints and pretrained weights: only sizes matter, so what is saved is kept in memory and nothing is loaded."""

import os
from typing import Any, Dict

import torch


def attach() -> None:
    """Keep what is saved, load nothing."""
    load = torch.load
    kept: Dict[str, Any] = {}

    def save(what: Any, path: Any, *_args: Any, **_kwargs: Any) -> None:
        kept[str(path)] = what
        if isinstance(path, (str, os.PathLike)):
            with open(path, "wb"):
                pass  # scripts copy, link and rename what they saved

    def loaded(path: Any, *args: Any, **kwargs: Any) -> Any:
        if str(path) in kept:
            return kept[str(path)]
        kwargs.pop("map_location", None)
        return load(path, *args, map_location="cpu", **kwargs)

    torch.save = save
    torch.load = loaded
    torch.hub.load_state_dict_from_url = lambda *_args, **_kwargs: {}
    torch.hub.load = _load_from_hub(torch.hub.load)
    keys = torch.nn.modules.module._IncompatibleKeys
    torch.nn.Module.load_state_dict = lambda self, *_args, **_kwargs: keys([], [])
    torch.optim.Optimizer.load_state_dict = lambda self, *_args, **_kwargs: None


def _load_from_hub(original: Any) -> Any:
    """A network of ``torch.hub``; those of torchvision are made by torchvision where it is installed."""

    def load(repository: Any, model: str, *args: Any, **kwargs: Any) -> Any:
        if not str(repository).startswith("pytorch/vision"):
            return original(repository, model, *args, **kwargs)
        import torchvision

        for name in ("force_reload", "trust_repo", "verbose", "skip_validation", "source"):
            kwargs.pop(name, None)
        return getattr(torchvision.models, model)(*args, **kwargs)

    return load

"""Checkpoints and pretrained weights, where they are not on this machine: values do not matter, sizes do.

A Hugging Face model is built from its configuration where that is cached or known here; any other is an error of the
script's, as it will be in a job without network.
"""

import os
from typing import Any, Dict, Tuple

import torch

from ...dry_run import report

_saved: Dict[str, Any] = {}
# name: (class of its configuration, what differs from the class's defaults)
_CONFIGURATIONS: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "bert-base-uncased": ("BertConfig", {}),
    "bert-base-cased": ("BertConfig", {"vocab_size": 28996}),
    "bert-large-uncased": ("BertConfig", {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                                          "intermediate_size": 4096}),
    "distilbert-base-uncased": ("DistilBertConfig", {}),
    "roberta-base": ("RobertaConfig", {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}),
    "gpt2": ("GPT2Config", {}),
    "distilgpt2": ("GPT2Config", {"n_layer": 6}),
    "gpt2-medium": ("GPT2Config", {"n_embd": 1024, "n_layer": 24, "n_head": 16}),
    "gpt2-large": ("GPT2Config", {"n_embd": 1280, "n_layer": 36, "n_head": 20}),
    "gpt2-xl": ("GPT2Config", {"n_embd": 1600, "n_layer": 48, "n_head": 25}),
    "t5-small": ("T5Config", {}),
    "vit-base-patch16-224": ("ViTConfig", {}),
    "vit-base-patch16-224-in21k": ("ViTConfig", {}),
}  # fmt: skip


def attach() -> None:
    """Keep what is saved, load nothing."""
    load = torch.load

    def save(what: Any, path: Any, *_args: Any, **_kwargs: Any) -> None:
        _saved[str(path)] = what
        if isinstance(path, (str, os.PathLike)):
            with open(path, "wb"):
                pass  # scripts copy, link and rename what they saved

    def loaded(path: Any, *args: Any, **kwargs: Any) -> Any:
        if str(path) in _saved:
            return _saved[str(path)]
        kwargs.pop("map_location", None)
        return load(path, *args, map_location="cpu", **kwargs)

    torch.save = save
    torch.load = loaded
    torch.hub.load_state_dict_from_url = lambda *_args, **_kwargs: {}
    keys = torch.nn.modules.module._IncompatibleKeys
    torch.nn.Module.load_state_dict = lambda self, *_args, **_kwargs: keys([], [])
    torch.optim.Optimizer.load_state_dict = lambda self, *_args, **_kwargs: None


def attach_transformers(module: Any) -> None:
    """``transformers.modeling_utils``: models from their configuration, without weights."""
    base = module.PreTrainedModel

    def from_pretrained(cls: Any, name: Any, *_args: Any, config: Any = None, **kwargs: Any) -> Any:
        return _typed(cls(_configuration(cls.config_class, name, config, kwargs)), kwargs)

    base.from_pretrained = classmethod(from_pretrained)  # type: ignore[arg-type]
    base.save_pretrained = lambda self, *_args, **_kwargs: None


def attach_auto(module: Any) -> None:
    """``transformers.models.auto.auto_factory``: the class is the configuration's."""

    def from_pretrained(cls: Any, name: Any, *_args: Any, config: Any = None, **kwargs: Any) -> Any:
        from transformers import AutoConfig

        return _typed(cls.from_config(_configuration(AutoConfig, name, config, kwargs)), kwargs)

    module._BaseAutoModelClass.from_pretrained = classmethod(from_pretrained)  # type: ignore[arg-type]


def _configuration(kind: Any, name: Any, given: Any, kwargs: Dict[str, Any]) -> Any:
    if given is not None:
        return given
    changes = {key: value for key, value in kwargs.items() if key in ("num_labels", "id2label", "label2id")}
    try:
        return kind.from_pretrained(name, **changes)
    except (OSError, ValueError):
        known = _CONFIGURATIONS.get(str(name).split("/")[-1])
        if known is None:
            raise
    import transformers

    report.note("the weights of %s are not on this machine; its known configuration is used" % name)
    configuration = getattr(transformers, known[0])(**known[1], **changes)
    configuration._name_or_path = str(name)
    return configuration


def _typed(model: Any, kwargs: Dict[str, Any]) -> Any:
    dtype = kwargs.get("dtype", kwargs.get("torch_dtype"))
    dtype = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    model.eval()
    return model.to(dtype) if isinstance(dtype, torch.dtype) else model

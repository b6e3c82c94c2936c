"""Hugging Face models whose weights are not on this machine: built from their configuration, without weights.

The configuration is taken from the cache or from the table below. For any other model the script gets the error that it
will get in a job without network.
"""

from typing import Any, Dict, Tuple

import torch

from ...dry_run.session import DryRun

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


def attach(module: Any, session: DryRun) -> None:
    """``transformers.modeling_utils``, and ``transformers.models.auto.auto_factory``, whose class the configuration
    names."""
    if hasattr(module, "PreTrainedModel"):
        base = module.PreTrainedModel

        def from_pretrained(cls: Any, name: Any, *_args: Any, config: Any = None, **kwargs: Any) -> Any:
            return _typed(cls(_configuration(session, cls.config_class, name, config, kwargs)), kwargs)

        base.from_pretrained = classmethod(from_pretrained)  # type: ignore[arg-type]
        base.save_pretrained = lambda self, *_args, **_kwargs: None
    if hasattr(module, "_BaseAutoModelClass"):

        def auto_from_pretrained(cls: Any, name: Any, *_args: Any, config: Any = None, **kwargs: Any) -> Any:
            from transformers import AutoConfig

            return _typed(cls.from_config(_configuration(session, AutoConfig, name, config, kwargs)), kwargs)

        module._BaseAutoModelClass.from_pretrained = classmethod(auto_from_pretrained)  # type: ignore[arg-type]


def _configuration(session: DryRun, kind: Any, name: Any, given: Any, kwargs: Dict[str, Any]) -> Any:
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

    session.report.note("the weights of %s are not on this machine; its known configuration is used" % name)
    configuration = getattr(transformers, known[0])(**known[1], **changes)
    configuration._name_or_path = str(name)
    return configuration


def _typed(model: Any, kwargs: Dict[str, Any]) -> Any:
    dtype = kwargs.get("dtype", kwargs.get("torch_dtype"))
    dtype = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    model.eval()
    return model.to(dtype) if isinstance(dtype, torch.dtype) else model

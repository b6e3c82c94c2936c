"""Stand-ins for tokenizers of the Hugging Face hub that are not on this machine: they have the right vocabulary size.

Texts are made up here, so their number of tokens says nothing about real texts. Only a batch that is padded or cut to
a length that the script asks for has the shape that it will have in the job.
"""

from typing import Any, Dict, Tuple

from ...dry_run.session import DryRun
from .datasets import TEXT_WORDS

# By the beginning of a name: number of tokens, and the most that a model takes.
_SIZES: Tuple[Tuple[str, int, int], ...] = (
    ("bert-base-cased", 28996, 512), ("bert-large-cased", 28996, 512), ("bert-base-multilingual-cased", 119547, 512),
    ("bert-", 30522, 512), ("distilbert-base-cased", 28996, 512), ("distilbert", 30522, 512),
    ("roberta", 50265, 512), ("distilroberta", 50265, 512), ("xlm-roberta", 250002, 512), ("albert", 30000, 512),
    ("electra", 30522, 512), ("deberta-v3", 128100, 512), ("distilgpt2", 50257, 1024), ("gpt2", 50257, 1024),
    ("t5-", 32100, 512), ("flan-t5", 32100, 512), ("mt5", 250100, 512), ("bart", 50265, 1024), ("opt-", 50265, 2048),
    ("pythia", 50277, 2048), ("gpt-neo", 50257, 2048), ("llama-2", 32000, 4096), ("llama-3", 128256, 8192),
    ("tinyllama", 32000, 2048), ("mistral", 32000, 8192), ("qwen2", 151665, 32768), ("clip-vit", 49408, 77),
)  # fmt: skip
_SPECIAL = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]",
            "mask_token": "[MASK]", "bos_token": "[BOS]", "eos_token": "[EOS]"}  # fmt: skip


def attach(module: Any, session: DryRun) -> None:
    """``transformers.models.auto.tokenization_auto`` and ``transformers.tokenization_utils_base``."""
    for name in ("AutoTokenizer", "PreTrainedTokenizerBase"):
        kind = getattr(module, name, None)
        if kind is not None:
            original = vars(kind)["from_pretrained"].__func__
            kind.from_pretrained = classmethod(_here_or_known(original, session))


def _here_or_known(original: Any, session: DryRun) -> Any:
    def from_pretrained(cls: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(cls, name, *args, **kwargs)
        except Exception:
            short = str(name).split("/")[-1].lower()
            known = next((known for known in _SIZES if short.startswith(known[0])), None)
            if known is None:
                raise
        # Tokens of one text and of a pair of texts, with the special tokens that begin and end a text.
        lengths = (TEXT_WORDS + 2, 2 * TEXT_WORDS + 3)
        session.ledger.make_up_lengths(*[-(-one // many) * many for one in lengths for many in (1, 8, 16)])
        session.report.note("the tokenizer of %s is not on this machine; one of its size is used" % name)
        return _made_up(known[1], known[2])

    return from_pretrained


def _made_up(size: int, longest: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words: Dict[str, int] = {token: number for number, token in enumerate([*_SPECIAL.values(), "word"])}
    words.update({"[unused%d]" % number: number for number in range(len(words), size)})
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=_SPECIAL["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [("[CLS]", words["[CLS]"]), ("[SEP]", words["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, **_SPECIAL)

"""Readers of the studies of language models, and of those that mix them with other networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from advisor.prediction.features import Setting
from advisor.training.runs import TrainingRun
from advisor.training.studies.rows import Row, image_setting, number, other_setting, rows_of
from advisor.training.transformers import Transformer, decoder, encoder

_CHECKPOINTED = 4.0  # passes: activations are computed once more


def mayaki(path: Path) -> Iterator[TrainingRun]:
    """BERT of many depths and widths in mixed precision."""
    for row in rows_of(path):
        repeats = int(row["num_repeats"])
        if row["family"] != "bert" or repeats == 1:
            # Single steps are of a transformer that was not published, in a precision that is not said.
            continue
        tokens = int(row["seq_length"])
        counted = encoder(int(row["num_layers"]), int(row["d_model"]), tokens)
        # Networks that differ in the number of heads alone are one to every feature, and nearly one to the clock.
        setting = other_setting(
            "mayaki", "pytorch", row["network"].rpartition("_h")[0], counted, "sequence", tokens, row["gpu"],
            float(row["batch_size"]), "mixed_float16",
        )  # fmt: skip
        yield TrainingRun(setting=setting, step_duration_s=float(row["duration_s"]) / repeats)


_MPT = {  # depth, width (mosaicml/llm-foundry, scripts/train/yamls)
    "125m": (12, 768), "350m": (24, 1024), "760m": (24, 1536), "1b": (24, 2048), "3b": (32, 2560), "7b": (32, 4096),
    "13b": (40, 5120), "30b": (48, 7168), "70b": (80, 8192),
}  # fmt: skip
_MPT_WORDS = 50368


def llm_foundry(path: Path) -> Iterator[TrainingRun]:
    """MPT models in bfloat16, sharded over a node; a step is one micro-batch of those that make up a batch."""
    for row in rows_of(path):
        size = row["network"].lower().removeprefix("mpt-")
        if row["precision"] != "mixed_bfloat16" or size not in _MPT:
            continue
        depth, width = _MPT[size]
        tokens = int(row["input_size"].split()[0])
        counted = decoder(depth, width, tokens, _MPT_WORDS, 4 * width)
        setting = other_setting(
            "llm_foundry", "pytorch", row["network"], counted, "sequence", tokens, row["gpu"],
            float(row["micro_batch_size"]), "mixed_bfloat16", gpus=int(row["gpu_count"]), sharded=True,
            passes=_CHECKPOINTED if row["activation_checkpointing"] == "True" else 3.0,
        )  # fmt: skip
        yield TrainingRun(
            setting=setting, step_duration_s=float(row["step_time_s"]) / float(row["gradient_accumulation"])
        )


_DECODERS = {  # depth, width, words, width between, width of keys, gated (the models' own configurations)
    "aquila2_7b": (32, 4096, 100008, 11008, 4096, True),
    "llama2_7b": (32, 4096, 32000, 11008, 4096, True),
    "llama3_8b": (32, 4096, 128256, 14336, 1024, True),
    "chatglm3_6b": (28, 4096, 65024, 13696, 256, True),
    "baichuan2_13b": (40, 5120, 125696, 13696, 5120, True),
    "megatron-gpt2-345m": (24, 1024, 50304, 4096, 1024, False),
}
_FLAGPERF_IMAGES = {"resnet50": ("nvidia_dle", "resnet50"), "MobilenetV2": ("flagperf", "mobilenet_v2")}
_MOST_NODES = 2


def flagperf(path: Path) -> Iterator[TrainingRun]:
    """Language and vision networks on 1, 8 and 16 GPUs, those that share data and not layers among their GPUs."""
    for row in rows_of(path):
        setting = _flagperf_setting(row) if int(row["nodes"]) <= _MOST_NODES and row["batch_size"] else None
        if setting is not None and row["step_time_s"]:
            yield TrainingRun(setting=setting, step_duration_s=float(row["step_time_s"]))


def _flagperf_setting(row: Row) -> Setting | None:
    name, gpus = row["network"], int(row["gpu_count"])
    batch_size = float(row["batch_size"]) / gpus
    precision = {"float32": "tf32"}.get(row["precision"], row["precision"])
    if name in _FLAGPERF_IMAGES and row["framework"] == "pytorch":
        study, network = _FLAGPERF_IMAGES[name]
        found = image_setting(study, "pytorch", network, 224, row["gpu"], batch_size, gpus=gpus, precision=precision)
        return found and replace(found, study="flagperf", site=f"flagperf/{row['gpu']}", nodes=int(row["nodes"]))
    divided = row["parallel"] and (
        ("PP1" not in row["parallel"] and row["parallel"] != "DP8") or "TP8" in row["parallel"]
    )
    if divided or precision not in {"tf32", "mixed_float16", "bfloat16", "mixed_bfloat16", "float16"}:
        return None
    tokens = int(row["input_size"].split()[0]) if row["input_size"] else 0
    if name == "bert-large-uncased":
        counted = encoder(24, 1024, tokens, 4096)
    elif name in _DECODERS:
        depth, width, words, between, keys, gated = _DECODERS[name]
        counted = decoder(depth, width, tokens, words, between, keys, gated=gated)
    else:
        return None
    if "fp16" in row["fix_hp"]:
        return None  # of another batch and precision than its columns say
    return other_setting(
        "flagperf", "pytorch", name, counted, "sequence", tokens, row["gpu"], batch_size,
        "mixed_bfloat16" if precision == "bfloat16" else precision, gpus=gpus, nodes=int(row["nodes"]),
        sharded=gpus > 1 and counted.parameters > _SHARDED_ABOVE, synthetic=False,
    )  # fmt: skip


_SHARDED_ABOVE = 3e9  # parameters; with 16 bytes each these no longer fit a board
# The Keras examples "Using pre-trained word embeddings" and "Timeseries classification with a Transformer model",
# counted as docs/data/operator_mixes.py counts; the attention of the latter has four heads of 256 over 500 steps.
_GLOVE = Transformer(2_247_316, 31_351_808, 86_324, 14)
_TIME_SERIES = Transformer(93_130, 4_112_544_512, 14_176_386, 52)


def miso(path: Path) -> Iterator[TrainingRun]:
    """Networks on a whole A100 and on its MIG slices. Steps are timed from the host; power is of the whole board."""
    for row in rows_of(path):
        name, batch_size = row["network"], float(row["batch_size"])
        mig = "" if row["mig_slice"] == "7g.40gb" else row["mig_slice"]
        site = "A100" if not mig else f"A100 {mig}"
        setting: Setting | None = None
        if name in {"ResNet50", "MobileNetV2"}:
            setting = image_setting("miso", "tensorflow", name, 32, row["gpu"], batch_size, site=site, mig=mig)
            setting = setting and replace(setting, data_in_memory=True)
        elif name == "bert-base-cased":
            setting = _miso_setting(row, encoder(12, 768, 512), "bert-base", 512, site, mig)
        elif name.startswith("GloVe"):
            setting = replace(_miso_setting(row, _GLOVE, "glove_conv1d", 200, site, mig), trainable_share=0.11)
        elif name == "time series transformer":
            setting = _miso_setting(row, _TIME_SERIES, "timeseries_transformer", 500, site, mig)
        if setting is not None and row["step_time_s"]:
            yield TrainingRun(
                setting=setting, step_duration_s=float(row["step_time_s"]), mean_power_w=number(row["mean_power_w"])
            )


def _miso_setting(row: Row, counted: Transformer, name: str, elements: int, site: str, mig: str) -> Setting:  # noqa: PLR0917
    return other_setting(
        "miso", "tensorflow", name, counted, "sequence", elements, row["gpu"], float(row["batch_size"]), "float32",
        site=site, mig=mig, synthetic=False,
    )  # fmt: skip


_SHORTEST_LAYER_S = 3e-3
_LAYERS = {  # width, width between, decoder with attention to an encoder
    "bert-large-layer": (1024, 4096), "gpt2-medium-block": (1024, 4096), "t5-large-encoder-block": (1024, 2816),
    "t5-large-decoder-block": (1024, 2816), "bert-large": (1024, 4096),
}  # fmt: skip


def transformer_layers(path: Path) -> Iterator[TrainingRun]:
    """Forward and backward passes of single layers in float16, without an optimizer."""
    for row in rows_of(path):
        # Shorter steps are the framework's overhead; "rounded" ones were read from another program's table.
        told = "backward" in row["kind"] and row["network"] in _LAYERS and "rounded" not in row["notes"]
        if not told or float(row["step_time_s"]) < _SHORTEST_LAYER_S:
            continue
        width, between = _LAYERS[row["network"]]
        tokens = int(row["input_size"].split()[0])
        outputs = 2 * between + (12 if "decoder" in row["network"] else 7) * width
        counted = Transformer(
            parameters=int(float(row["parameters"])), forward_flops=int(float(row["forward_flops_per_sample"])),
            activation_elements=tokens * outputs, layers=16 if "decoder" in row["network"] else 10,
        )  # fmt: skip
        setting = other_setting(
            "transformer_layers", "pytorch", row["network"], counted, "sequence", tokens, row["gpu"],
            float(row["batch_size"]), row["precision"],
        )  # fmt: skip
        yield TrainingRun(setting=setting, step_duration_s=float(row["step_time_s"]))

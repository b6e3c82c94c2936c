"""Reads the rates of NVIDIA's DeepLearningExamples: tuned programs on one GPU, of networks whose sizes are stated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from advisor.prediction.features import Setting
from advisor.training.runs import TrainingRun
from advisor.training.studies.rows import Row, image_setting, number, other_setting, rows_of
from advisor.training.transformers import Transformer, encoder

_PASSAGE = 384  # tokens of a question and its passage (SQuAD)
# Larger batches of texts are made up of several, by length.
_MOST_TEXTS, _MOST_LONG_TEXTS = 256.0, 32.0
# Batches of image networks are not stated everywhere; the pages' own commands use these in float32 and in halves.
_IMAGES, _IMAGES_IN_HALVES = 128.0, 256.0
_IMAGE_NETWORKS = {
    "ConvNets/resnet50v1.5/": ("resnet50", 224),
    "ConvNets/resnext101-32x4d/": ("resnext101_32x4d", 224),
    "ConvNets/se-resnext101-32x4d/": ("seresnext101_32x4d", 224),
}
# The page of EfficientNet states rates of B0 and B4 without their names; B4 is five times slower.
_SLOWEST_B0 = {True: 500.0, False: 300.0}  # images/s on an A100, and on a V100
# Embeddings, multiplied weights and outputs of the pages' own configurations. NeuMF of MovieLens-20M: 64 factors,
# layers of 256, 256, 128, 64. DLRM of Criteo 1TB: 26 embeddings of 128, layers 13-512-256-128 below and
# 479-1024-1024-512-256-1 above, batches in thousands. Wide & Deep: five layers of 1,024 on 1,328 inputs.
_RECOMMENDERS = {
    "PyTorch/Recommendation/NCF/": ("neumf", Transformer(31_800_000, 213_000, 1_100, 10), 2, 1.0),
    "TensorFlow/Recommendation/NCF/": ("neumf", Transformer(31_800_000, 213_000, 1_100, 10), 2, 1.0),
    "PyTorch/Recommendation/DLRM/": ("dlrm", Transformer(540_000_000, 4_900_000, 8_600, 20), 39, 1024.0),
    "TensorFlow2/Recommendation/WideAndDeep/": (
        "wide_and_deep", Transformer(85_000_000, 11_100_000, 12_000, 25), 40, 1.0,
    ),
}  # fmt: skip
_MILLIONS_BELOW = 1e3  # samples/s; such rates are in millions
# The original U-Net (arXiv 1505.04597) on 572 x 572 pixels, counted as docs/data/operator_mixes.py counts.
_UNET = Transformer(31_030_658, 300_856_848_896, 258_455_584, 45)


def nvidia_dle(path: Path) -> Iterator[TrainingRun]:
    """Rates of single GPUs; pages of other frameworks are left out."""
    for row in rows_of(path):
        if row["kind"] != "training" or not row["file"].startswith(("PyTorch", "TensorFlow")):
            continue
        setting = _image_network(row) or _text_network(row) or _other_network(row)
        if setting is not None:
            rate = float(row["throughput"])
            rate *= 1e6 if setting.kind == "recommender" and rate < _MILLIONS_BELOW else 1.0
            yield TrainingRun(setting=setting, step_duration_s=setting.batch_size / rate)


def _precision(row: Row) -> str:
    if "TF32" in row["notes"]:
        return "tf32"
    return "float32" if "FP32" in row["notes"] else "mixed_float16"


def _framework(row: Row) -> str:
    return "pytorch" if row["file"].startswith("PyTorch") else "tensorflow"


def _image_network(row: Row) -> Setting | None:
    file, precision = row["file"], _precision(row)
    found = next((known for part, known in _IMAGE_NETWORKS.items() if part in file), None)
    if "ConvNets/efficientnet_v1/" in file:
        large = float(row["throughput"]) < _SLOWEST_B0["A100" in row["gpu"]]
        found = ("efficientnet_b4", 380) if large else ("efficientnet_b0", 224)
    if found is None:
        return None
    usual = _IMAGES_IN_HALVES if precision == "mixed_float16" else _IMAGES
    return image_setting(
        "nvidia_dle", _framework(row), *found, row["gpu"], number(row["batch_size_per_gpu"]) or usual,
        precision=precision, synthetic=True, site=f"{row['gpu']}/{_framework(row)}",
    )  # fmt: skip


def _text_network(row: Row) -> Setting | None:
    file = row["file"]
    tokens = int(row["input_size"].split()[0]) if "tokens" in row["input_size"] else _PASSAGE
    if "LanguageModeling/BERT/README" in file:
        name, counted = "bert-large", encoder(24, 1024, tokens, 4096)
    elif "LanguageModeling/ELECTRA/" in file and "Fine-tuning" in row["notes"]:
        name, counted = "electra-base", encoder(12, 768, tokens)
    else:
        return None
    most = _MOST_TEXTS if tokens < _PASSAGE else _MOST_LONG_TEXTS
    stated = number(row["batch_size_per_gpu"]) or most
    return _setting(row, name, counted, "sequence", tokens, stated if stated <= most else most / 4)


def _other_network(row: Row) -> Setting | None:
    batch_size = number(row["batch_size_per_gpu"]) or 0.0
    if "UNet_Medical" in row["file"]:
        return _setting(row, "unet", _UNET, "image", 572.0**2, batch_size)
    for part, (name, counted, elements, unit) in _RECOMMENDERS.items():
        if part in row["file"]:
            return _setting(row, name, counted, "recommender", elements, batch_size * unit)
    return None


def _setting(row: Row, name: str, counted: Transformer, kind: str, elements: float, batch_size: float) -> Setting:  # noqa: PLR0917
    return other_setting(
        "nvidia_dle", _framework(row), name, counted, kind, elements, row["gpu"], batch_size, _precision(row)
    )

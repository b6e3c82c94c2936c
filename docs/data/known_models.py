"""Write advisor/inspection/known_models.csv: parameters and FLOPs of networks that scripts take by name.

    python docs/data/known_models.py FRAMEWORKS_PYTHON > advisor/inspection/known_models.csv

Needs TensorFlow here, and an interpreter with PyTorch and transformers (tests/frameworks.sh makes one). Keras's
applications and Hugging Face's models are built from their published configurations, without weights, and counted by
the dry run's own walk of the graph and by PyTorch's counter: one multiply-accumulate is two FLOPs, matrix and
convolution work only. torchvision's are from its documentation (docs.pytorch.org/vision/stable/models.html, columns
"Params" and "GFLOPS", which count a multiply-accumulate once: doubled here); torchvision 0.28.0's own metadata of its
weights say the same of every one. Layers and activations are of one sample at that size: calls of layers that hold no
others, and the elements of their outputs, as inspection counts them; torchvision's need torchvision beside PyTorch.
"""

# ruff: noqa: INP001, SLF001 (a script, not a package; Keras keeps the calls of layers to itself)

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parents[2] / "advisor" / "injected"))
from gsbatch_inside.frameworks.tensorflow.graph_flops import cost_of

COLUMNS = (
    "family", "name", "parameters", "forward_flops", "size", "attention_flops", "width", "layers",
    "activation_elements", "source",
)  # fmt: skip

KERAS = """\
ResNet50 224, MobileNetV2 224, EfficientNetB0 224, VGG16 224, InceptionV3 299, Xception 299, DenseNet121 224,
MobileNet 224, ResNet50V2 224, ResNet101 224, ResNet101V2 224, VGG19 224, MobileNetV3Small 224, MobileNetV3Large 224,
ResNet152 224, EfficientNetB3 300, DenseNet201 224, EfficientNetV2B0 224, ConvNeXtTiny 224, NASNetMobile 224,
InceptionResNetV2 299
"""
# name, parameters, GFLOPS as documented, input side, features that its classifier reads
TORCHVISION = """\
alexnet 61100840 0.71 224 4096, convnext_base 88591464 15.36 224 1024, convnext_large 197767336 34.36 224 1536,
convnext_small 50223688 8.68 224 768, convnext_tiny 28589128 4.46 224 768, densenet121 7978856 2.83 224 1024,
densenet161 28681000 7.73 224 2208, densenet169 14149480 3.36 224 1664, densenet201 20013928 4.29 224 1920,
efficientnet_b0 5288548 0.39 224 1280, efficientnet_b1 7794184 0.69 240 1280, efficientnet_b2 9109994 1.09 288 1408,
efficientnet_b3 12233232 1.83 300 1536, efficientnet_b4 19341616 4.39 380 1792, efficientnet_b5 30389784 10.27 456 2048,
efficientnet_b6 43040704 19.07 528 2304, efficientnet_b7 66347960 37.75 600 2560, googlenet 6624904 1.5 224 1024,
inception_v3 27161264 5.71 299 2048, mnasnet1_0 4383312 0.31 224 1280, mobilenet_v2 3504872 0.3 224 1280,
mobilenet_v3_large 5483032 0.22 224 1280, mobilenet_v3_small 2542856 0.06 224 1024, resnet101 44549160 7.8 224 2048,
resnet152 60192808 11.51 224 2048, resnet18 11689512 1.81 224 512, resnet34 21797672 3.66 224 512,
resnet50 25557032 4.09 224 2048, resnext101_32x8d 88791336 16.41 224 2048, resnext50_32x4d 25028904 4.23 224 2048,
swin_b 87768224 15.43 224 1024, swin_s 49606258 8.74 224 768, swin_t 28288354 4.49 224 768,
vgg11 132863336 7.61 224 4096, vgg13 133047848 11.31 224 4096, vgg16 138357544 15.47 224 4096,
vgg19 143667240 19.63 224 4096, vit_b_16 86567656 17.56 224 768, vit_b_32 88224232 4.41 224 768,
vit_l_16 304326632 61.55 224 1024, wide_resnet101_2 126886696 22.75 224 2048, wide_resnet50_2 68883240 11.4 224 2048
"""
# Hugging Face names, and what their published config.json says beyond the class's defaults. The length is the one that
# FLOPs are given for; layers x width make the part that grows with its square.
HUGGINGFACE = [
    ("gpt2", "GPT2LMHeadModel", {}, 1024),
    ("gpt2-medium", "GPT2LMHeadModel", {"n_layer": 24, "n_embd": 1024, "n_head": 16}, 1024),
    ("gpt2-large", "GPT2LMHeadModel", {"n_layer": 36, "n_embd": 1280, "n_head": 20}, 1024),
    ("gpt2-xl", "GPT2LMHeadModel", {"n_layer": 48, "n_embd": 1600, "n_head": 25}, 1024),
    ("distilgpt2", "GPT2LMHeadModel", {"n_layer": 6}, 1024),
    ("bert-base-uncased", "BertModel", {}, 512),
    ("bert-base-cased", "BertModel", {"vocab_size": 28996}, 512),
    ("bert-base-multilingual-cased", "BertModel", {"vocab_size": 119547}, 512),
    ("bert-large-uncased", "BertModel",
     {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}, 512),
    ("distilbert-base-uncased", "DistilBertModel", {}, 512),
    ("roberta-base", "RobertaModel",
     {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1}, 512),
    ("roberta-large", "RobertaModel",
     {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1, "hidden_size": 1024,
      "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}, 512),
    ("google/vit-base-patch16-224", "ViTModel", {}, 224),
    ("google/vit-large-patch16-224", "ViTModel",
     {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}, 224),
    ("microsoft/resnet-50", "ResNetModel", {}, 224),
    ("t5-small", "T5ForConditionalGeneration", {}, 512),
    ("t5-base", "T5ForConditionalGeneration",
     {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}, 512),
    ("t5-large", "T5ForConditionalGeneration",
     {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16}, 512),
    ("facebook/opt-125m", "OPTForCausalLM", {}, 1024),
    ("meta-llama/Llama-2-7b-hf", "LlamaForCausalLM", {"max_position_embeddings": 4096}, 1024),
    ("meta-llama/Llama-2-13b-hf", "LlamaForCausalLM",
     {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40}, 1024),
]  # fmt: skip

COUNT_LAYERS = """\
import json, sys, torch
def count(model):
    outputs = []
    def note(_module, _inputs, output):
        outputs.append(elements(output))
    for leaf in model.modules():
        if not list(leaf.children()) and not isinstance(leaf, (torch.nn.Identity, torch.nn.Flatten)):
            leaf.register_forward_hook(note)
    return outputs
def elements(output):
    return output.numel() if isinstance(output, torch.Tensor) else sum(map(elements, output))
"""
TORCHVISION_SCRIPT = (
    COUNT_LAYERS
    + """
import torchvision
for name, size in json.load(sys.stdin):
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None).eval()
        outputs = count(model)
        model(torch.empty(1, 3, size, size))
    print(json.dumps([len(outputs), sum(outputs)]), flush=True)
"""
)
TORCH_SCRIPT = (
    COUNT_LAYERS
    + """
import transformers
from torch.utils.flop_counter import FlopCounterMode
for name, kind, changes, size in json.load(sys.stdin):
    model_class = getattr(transformers, kind)
    with torch.device("meta"):
        model = model_class(model_class.config_class(attn_implementation="eager", **changes)).train()
        config = model.config
        images = hasattr(config, "image_size") or "ResNet" in kind
        tokens = torch.zeros(1, size).long()
        given = {"pixel_values": torch.zeros(1, 3, size, size)} if images else {"input_ids": tokens}
        if "T5" in kind:
            given["decoder_input_ids"] = given["input_ids"]
        counter, outputs = FlopCounterMode(display=False), count(model)
        with counter:
            model(**given)
    layers = getattr(config, "num_hidden_layers", 0)
    width = config.hidden_sizes[-1] if "ResNet" in kind else config.hidden_size
    attention = 0 if images else 4 * layers * width * (3 if "T5" in kind else 1)
    flops = counter.get_total_flops()
    figures = [name, model.num_parameters(), flops, size, attention, width, len(outputs), sum(outputs)]
    print(json.dumps(figures), flush=True)
"""
)


def keras_figures(name: str, side: int) -> tuple[int, int, int, int]:
    """Parameters, forward FLOPs, layers and activations of one of Keras's applications."""
    keras.backend.clear_session()
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3))
    image = tf.TensorSpec((1, side, side, 3), tf.float32)
    concrete = tf.function(lambda x: model(x, training=False)).get_concrete_function(image)
    calls = [call for level in model._nodes_by_depth.values() for call in level if not call.is_input]
    outputs = [math.prod(output.shape[1:]) for call in calls for output in call.output_tensors]
    return model.count_params(), round(cost_of(concrete, set()).forward), len(outputs), sum(outputs)


def torch_answers(frameworks_python: str, script: str, questions: object) -> list[list[object]]:
    """What the interpreter with PyTorch answers, a line of JSON for each question."""
    asked = json.dumps(questions)
    done = subprocess.run([frameworks_python, "-c", script], input=asked, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows(frameworks_python: str) -> Iterator[tuple[object, ...]]:
    """All lines of the table."""
    documented = [entry.split() for entry in TORCHVISION.replace("\n", " ").split(",")]
    counted = torch_answers(frameworks_python, TORCHVISION_SCRIPT, [(entry[0], int(entry[3])) for entry in documented])
    for (name, parameters, gigaflops, side, width), layers in zip(documented, counted, strict=True):
        flops = round(float(gigaflops) * 2e9)
        yield ("torchvision", name, parameters, flops, side, 0, width, *layers, "documentation")
    for answer in torch_answers(frameworks_python, TORCH_SCRIPT, HUGGINGFACE):
        yield ("huggingface", *answer, "counted")
    for entry in KERAS.replace("\n", " ").split(","):
        name, side = entry.split()
        parameters, flops, *layers = keras_figures(name, int(side))
        yield ("keras", name, parameters, flops, side, 0, "", *layers, "counted")


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows(sys.argv[1]):
        writer.writerow(row)
        sys.stdout.flush()

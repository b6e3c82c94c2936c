"""The set of scripts: its truth agrees with itself, and inspection finds it.

All of it is scored by ``python -m tests.bench.inspection``; here a part that meets every way of training once.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bench.inspection import inspected_alone, is_right
from tests.inspection.truth import HERE, declared, samples_seen, script_set

SCRIPTS = {script.name: script for script in script_set()}
MEASURED = json.loads((HERE / "truth" / "measured.json").read_text(encoding="utf-8"))
TRAINING = [name for name, said in declared().items() if said.get("trains", True)]
# Several networks, several calls a sample, no network or traced ones: their calls do not see what the training sees.
SEES_OTHERWISE = {"dcgan_keras", "torch_gan", "gnn_by_hand", "tf_function_epoch_loop", "lightning_autoencoder",
                  "keras_jax_mlp", "nmt_attention_tf", "pinn_heat", "simclr_lightning", "wgan_gp_keras"}  # fmt: skip
IN_CI = (
    "mnist_sequential",
    "gradient_tape_loop",
    "unet_keras/train",
    "torch_grad_accum",
    "torch_hand_sliced",
    "torch_lstm_packed",
    "lightning_autoencoder",
    "gpt2_hf_trainer",
    "ddp_torchrun",
    "plot_results",
)
RIGHT_AT_LEAST = 0.9  # a fact or two may be unknown on a machine that has no time to reach the end of a loop


def test_every_script_is_described() -> None:
    """A script that nobody scores protects nothing; helper modules lie in a folder beside the script that starts."""
    scripts = HERE / "scripts"
    started = {path.stem for path in scripts.glob("*.py")} | {
        name for name in SCRIPTS if "/" in name and (scripts / f"{name}.py").is_file()
    }

    assert set(SCRIPTS) == started
    assert 40 <= len(SCRIPTS)
    assert set(MEASURED) == set(TRAINING)


@pytest.mark.parametrize("name", sorted(set(TRAINING) - SEES_OTHERWISE))
def test_what_was_read_agrees_with_what_was_seen(name: str) -> None:
    """Samples a pass times passes, as read by hand in the script, are the samples that the network really met."""
    said, seen = declared()[name], MEASURED[name]
    met = sum(network["samples"] for network in seen["networks"])

    assert pytest.approx(samples_seen(said), rel=0.01) == met


@pytest.mark.parametrize(
    ("name", "forward_flops"),
    [
        # 3 x 3 kernels over 26 x 26 and 11 x 11 places, then 1600 x 10
        ("mnist_sequential", 2 * (26 * 26 * 32 * 9 + 11 * 11 * 64 * 32 * 9 + 1600 * 10)),
        ("gradient_tape_loop", 2 * (784 * 64 + 64 * 64 + 64 * 10)),
        ("torch_amp_resnet50", 8.178e9),  # 4.089 GMACs at 224 x 224, as published for this network
        ("torch_vae", 2 * (784 * 400 + 2 * 400 * 20 + 20 * 400 + 400 * 784)),
        # two directions of 40 steps: inputs of 64 and states of 48 into four gates of 48
        ("sentiment_bilstm", 2 * (2 * 40 * (64 + 48) * 4 * 48 + 96)),
    ],
)
def test_counts_of_the_witness_are_those_by_hand(name: str, forward_flops: float) -> None:
    """The program that says what is true is held against pencil and paper."""
    (known,) = SCRIPTS[name].facts["forward_flops_per_sample"]

    assert pytest.approx(forward_flops, rel=0.001) == known


def test_an_answer_is_right_within_its_tolerance() -> None:
    """FLOPs within 3%, names in any case; whole numbers exactly."""
    judged: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("forward_flops_per_sample", 102.9, (100.0,)),
        ("forward_flops_per_sample", 103.5, (100.0,)),
        ("optimizer", "AdamW", ("adamw",)),
        ("train_samples", 101, (100,)),
    ]

    assert [True, False, True, False] == [is_right(*each) for each in judged]


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", IN_CI)
def test_inspection_finds_what_a_real_run_did(name: str) -> None:
    """Most facts right, and none wrong: unknown is an answer, a wrong value is not."""
    script = SCRIPTS[name]
    if script.interpreter() is None:
        pytest.skip("no interpreter with PyTorch: tests/frameworks.sh makes it")
    facts = inspected_alone(script, HERE, static=False, patient=True)["facts"]
    right = sum(fact["verdict"] == "right" for fact in facts.values())

    assert {} == {fact: said for fact, said in facts.items() if said["verdict"] == "wrong"}
    assert RIGHT_AT_LEAST * len(facts) <= right

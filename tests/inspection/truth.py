"""What is true of every script of the set, and the program that finds it out by running them whole.

    python -m tests.inspection.truth [--only NAME ...] [--folder FOLDER]    writes truth/measured.json

Every script runs in a copy of its folder, so that what it writes goes with the copy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.capabilities import frameworks_python

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
OBSERVE = HERE / "observe.py"
_NO_ANSWER = "no one answer"
_DECLARED = ("batch_size", "gradient_accumulation", "train_samples", "validation_samples", "epochs", "precision",
             "loader_workers", "devices")  # fmt: skip
_DEFAULTS = {"gradient_accumulation": 1, "precision": "float32", "devices": 1}
_FRAMEWORKS: Mapping[str, tuple[str, ...]] = {
    "tensorflow": ("tensorflow", "keras"),
    "frameworks": ("pytorch", "torch", "lightning"),
    "keras on torch": ("pytorch", "torch", "keras"),
    "jax": ("jax", "keras"),
}
_TIMEOUT_S = 600
# torchvision's wheel lies in a folder of its own and holds operators for CUDA: see tests/frameworks.sh.
_ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "torchvision": {"PYTHONPATH": f"{HERE / 'without_cuda'}:{HERE.parents[1] / '.venv-frameworks' / 'torchvision'}"}
}


@dataclass(frozen=True, slots=True)
class Script:
    """One script of the set; ``facts`` maps each fact to the answers that are right, empty where nothing trains."""

    name: str
    path: Path
    where: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    facts: Mapping[str, tuple[Any, ...]]
    trains: bool

    def interpreter(self) -> str | None:
        """The Python that has its framework; None where this machine has none."""
        return sys.executable if self.where == "tensorflow" else frameworks_python("torch", "keras", "transformers")


def script_set(folder: Path = HERE) -> list[Script]:
    """Every script under ``folder/scripts`` with what is true of it."""
    file = folder / "truth" / "measured.json"
    measured = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return [
        Script(
            name=name,
            path=folder / "scripts" / f"{name}.py",
            where=said["where"],
            arguments=tuple(said.get("arguments", ())),
            environment={**_ENVIRONMENTS.get(said["where"], {}), **said.get("environment", {})},
            facts=_all_facts(said, measured.get(name)),
            trains=said.get("trains", True),
        )
        for name, said in declared(folder).items()
    ]


def declared(folder: Path = HERE) -> dict[str, dict[str, Any]]:
    """What was written down by hand, script by script."""
    said: dict[str, dict[str, Any]] = tomllib.loads((folder / "truth" / "declared.toml").read_text(encoding="utf-8"))
    return said


def samples_seen(said: Mapping[str, Any]) -> int:
    """Samples that the whole training sees, from what was written down by hand."""
    return int(said.get("samples_seen") or said["train_samples"] * said["epochs"])


def _all_facts(said: Mapping[str, Any], seen: Mapping[str, Any] | None) -> dict[str, tuple[Any, ...]]:
    """What is right of a script: all counted by hand, or what was seen with what was written down."""
    if "facts" in said:
        return {name: _answers(value) for name, value in said["facts"].items()}
    return _facts(said, seen) if said.get("trains", True) and seen is not None else {}


def _facts(said: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    facts: dict[str, Any] = {name: said.get(name, _DEFAULTS.get(name)) for name in _DECLARED}
    facts = {name: value for name, value in facts.items() if value is not None}
    measured = {**_measured_sizes(said, seen), **_measured_flops(said, seen)}
    if seen["optimizers"]:
        measured["optimizer"] = seen["optimizers"][0]["name"]
        measured["steps"] = sum(optimizer["steps"] for optimizer in seen["optimizers"])
    facts |= {name: said.get(name, value) for name, value in measured.items()}
    facts |= {name: said[name] for name in ("parameters", "trainable_parameters", "input_shape") if name in said}
    framework = said.get("framework", said["where"])
    facts["framework"] = {"any": _FRAMEWORKS[framework]}
    return {name: _answers(value) for name, value in facts.items() if value != _NO_ANSWER}


def _answers(value: Any) -> tuple[Any, ...]:
    answers = value["any"] if isinstance(value, dict) else [value]
    return tuple(tuple(answer) if isinstance(answer, list) else answer for answer in answers)


def _measured_sizes(said: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    networks = seen["networks"]
    if not networks:
        return {}
    combine = max if said.get("folds") else sum  # every fold builds the same network anew
    return {
        "parameters": combine(network["parameters"] for network in networks),
        "trainable_parameters": combine(network["most_trainable"] for network in networks),
        "input_shape": networks[0]["input_shape"],
    }


def _measured_flops(said: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    flops, samples = seen["flops"], samples_seen(said)
    training = flops["forward"] + flops["backward"] + (flops["inference"] if said.get("without_gradients_too") else 0)
    per_sample = training / samples
    return {
        "forward_flops_per_sample": flops["forward"] / samples,
        "training_flops_per_sample": (
            {"any": [seen["dearest_training_flops_per_sample"], per_sample]} if said.get("phases") else per_sample
        ),
    }


def measure(name: str, said: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Run one script whole in a copy of the folder and return what ``observe.py`` saw."""
    python = sys.executable if said["where"] == "tensorflow" else frameworks_python()
    if python is None:
        raise SystemExit("no interpreter with PyTorch: run tests/frameworks.sh")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "scripts"
        shutil.copytree(folder / "scripts", copy)
        script, out = copy / f"{name}.py", Path(scratch) / "seen.json"
        arguments = [*said.get("arguments", ()), *said.get("truth_arguments", ())]
        done = subprocess.run(
            [python, OBSERVE, out, script.name, *arguments],
            cwd=script.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", **said.get("environment", {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        if done.returncode:
            raise SystemExit(f"{name} failed with {done.returncode}:\n{done.stderr[-3000:]}")
        seen: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return seen


def main() -> None:
    """Measure and write after each script, so that an interruption loses one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--folder", type=Path, default=HERE)
    asked = parser.parse_args()
    file = asked.folder / "truth" / "measured.json"
    for name, said in declared(asked.folder).items():
        if not said.get("trains", True) or (asked.only and name not in asked.only):
            continue
        seen = measure(name, said, asked.folder)
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        known[name] = seen
        file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        steps = [optimizer["steps"] for optimizer in seen["optimizers"]]
        samples = [network["samples"] for network in seen["networks"]]
        sys.stdout.write(f"{name}: {steps} steps, {samples} samples\n")


if __name__ == "__main__":
    main()

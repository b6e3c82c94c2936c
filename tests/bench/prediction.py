"""Prints every figure of the prediction benchmark: ``python tests/bench/prediction.py [DATA] [--only NAME ...]``.

Each split withholds first and fits then: constants, hyper-parameters and interval widths never see what is tested.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from advisor.inspection.workload import Fact, Source, Workload
from advisor.prediction.filled import filled_facts
from advisor.prediction.methods import green_algorithms_energy_j, mlco2_energy_j
from advisor.prediction.prediction import ModelIdentity
from advisor.registry import Registry
from advisor.training.calibration import calibrated
from advisor.training.evaluation import Judged, judge, pooled
from advisor.training.fit import fit
from advisor.training.paper_tables import tables
from advisor.training.prior_data import read_prior
from advisor.training.retrain import retrain
from advisor.training.runs import TrainingRun, aggregate, setting_key, workload_key

IDENTITY = ModelIdentity(name="benchmark", version="0", trained_on_runs=0, promoted_at="")
REPOSITORY = Path(__file__).resolve().parents[2]
FOLDS = 5
Group = Callable[[TrainingRun], object]


def show(split: str, parts: Sequence[dict[str, Judged]], measures: Iterable[str] = ("power", "time", "energy")) -> None:
    """Print one row for each measure."""
    scores = pooled(parts)
    for measure in measures:
        if measure in scores:
            s = scores[measure]
            print(
                f"| {split} | {measure} | MAPE {s['mape']:.1%} | median {s['median']:.1%} | RMSE {s['rmse']:.4g} "
                f"| covers {s['coverage']:.0%} | within {s['half_width']:.0%} either way | {s['rows']} rows |",
                flush=True,
            )


def folds_of(groups: Iterable[object], seed: int = 0) -> list[set[object]]:
    """Groups dealt into five folds."""
    names = sorted(set(groups), key=str)
    random.Random(seed).shuffle(names)  # noqa: S311 (folds, not secrets)
    return [set(names[i::FOLDS]) for i in range(FOLDS)]


def withheld(runs: Sequence[TrainingRun], group: Group, test: Sequence[TrainingRun]) -> list[dict[str, Judged]]:
    """One fit without each group of the tested runs, judged on them."""
    parts = []
    for name in sorted({str(group(run)) for run in test}):
        model = fit([run for run in runs if str(group(run)) != name], IDENTITY)
        parts.append(judge(model, [run for run in test if str(group(run)) == name]))
    return parts


def random_folds(runs: Sequence[TrainingRun], tested: Sequence[TrainingRun]) -> None:
    """Random 5-fold over delrey's runs: memory of settings."""
    order = list(range(len(tested)))
    random.Random(0).shuffle(order)  # noqa: S311
    others = [run for run in runs if run.setting.study != "delrey2024"]
    parts = []
    for i in range(FOLDS):
        test = {order[k] for k in range(i, len(order), FOLDS)}
        model = fit([*others, *(run for k, run in enumerate(tested) if k not in test)], IDENTITY)
        parts.append(judge(model, [tested[k] for k in sorted(test)]))
    show("random 5-fold", parts)
    floor = defaultdict(list)
    for run in tested:
        floor[setting_key(run.setting)].append((run.mean_power_w, run.epoch_energy_j))
    for place, name in enumerate(("power W", "energy J")):
        squares = [(np.array([v[place] for v in g]) - np.mean([v[place] for v in g])) ** 2 for g in floor.values()]
        print(f"noise floor (spread of repeats around their own setting's mean), {name}: "
              f"{np.sqrt(np.mean(np.concatenate(squares))):.4g}")  # fmt: skip


def one_setting(runs: Sequence[TrainingRun], tested: Sequence[TrainingRun]) -> None:
    """Each setting withheld; constants are fitted without its whole fold, then the fold's other settings are added.

    Once as the paper counts settings, where runs with another RAM allocation stay, and once with these withheld too.
    """
    keys = (("one setting withheld", setting_key), ("one setting withheld on every RAM allocation", workload_key))
    parts: dict[str, list[dict[str, Judged]]] = defaultdict(list)
    for fold in folds_of(workload_key(run.setting) for run in tested):
        model = fit([run for run in runs if workload_key(run.setting) not in fold], IDENTITY)
        mine = [run for run in tested if workload_key(run.setting) in fold]
        for name, key in keys:
            for withheld_key in sorted({key(run.setting) for run in mine}, key=str):
                known = calibrated(model, [run for run in mine if key(run.setting) != withheld_key])
                parts[name].append(judge(known, [run for run in mine if key(run.setting) == withheld_key]))
    for name, found in parts.items():
        show(name, found)


def after_runs(runs: Sequence[TrainingRun], tested: Sequence[TrainingRun]) -> None:
    """A GPU withheld, then one and three of its runs (of different settings) added without a refit; five draws."""
    parts: dict[int, list[dict[str, Judged]]] = {0: [], 1: [], 3: []}
    for gpu in sorted({run.setting.gpu.name for run in tested}):
        model = fit([run for run in runs if run.setting.gpu.name != gpu], IDENTITY)
        mine = [run for run in tested if run.setting.gpu.name == gpu]
        keys = sorted({workload_key(run.setting) for run in mine}, key=str)
        for count, found in parts.items():
            for draw in range(FOLDS if count else 1):
                chosen = random.Random(draw).sample(keys, min(count, len(keys)))  # noqa: S311
                added = [next(run for run in mine if workload_key(run.setting) == key) for key in chosen]
                rest = [run for run in mine if workload_key(run.setting) not in chosen]
                if rest:
                    found.append(judge(calibrated(model, added), rest))
    for count, found in parts.items():
        show(f"one GPU withheld, after {count} of its runs", found)


def studies(light: Sequence[TrainingRun], runs: Sequence[TrainingRun]) -> None:
    """Whole studies withheld."""
    for name in ("raphischer", "ecnas", "deepgreen", "mayaki"):
        mine = [run for run in runs if run.setting.study == name]
        show(f"{name} withheld", withheld(light, lambda run: run.setting.study, mine))


def memory(runs: Sequence[TrainingRun]) -> None:
    """Networks of pepr withheld: GPU memory, and "fits" said of a job that does not, at every usual board size."""
    tested = [run for run in runs if run.setting.study == "pepr"]
    parts, wrong, said = [], 0, 0
    for fold in folds_of(run.setting.network for run in tested):
        model = fit([run for run in runs if run.setting.network not in fold], IDENTITY)
        part = judge(model, [run for run in tested if run.setting.network in fold])
        parts.append(part)
        judged = part["memory"]
        for board_gib in (2, 4, 6, 8, 11, 12, 16, 24):
            fits = judged.high <= board_gib * 2**30
            said += int(fits.sum())
            wrong += int((fits & (judged.measured > board_gib * 2**30)).sum())
    show("pepr, networks withheld", parts, ["memory"])
    print(f'"fits" (upper end of the interval) said of a job that does not: {wrong} of {said} = {wrong / said:.2%}')


def steps(runs: Sequence[TrainingRun]) -> None:
    """ryujaehun: a GPU withheld, and networks withheld in folds."""
    tested = [run for run in runs if run.setting.study == "ryujaehun"]
    for count, name in ((4, "1 to 4 GPUs"), (1, "single GPU")):
        mine = [run for run in tested if run.setting.gpus <= count]
        show(f"ryujaehun, one GPU model withheld, {name}", withheld(runs, lambda run: run.setting.gpu.name, mine))
    parts = []
    for fold in folds_of(run.setting.network for run in tested):
        model = fit([run for run in runs if run.setting.network not in fold], IDENTITY)
        parts.append(judge(model, [run for run in tested if run.setting.network in fold]))
    show("ryujaehun, networks withheld", parts)


NETWORK_FACTS = ("forward_flops_per_sample", "activation_elements", "layers")
PARAMETERS = ("parameters", "trainable_parameters")


def gaps(runs: Sequence[TrainingRun]) -> None:
    """Networks withheld, and facts of them unknown: errors, and whether intervals widen as much as they must."""
    hidden: dict[str, tuple[str, ...]] = {
        "all facts known": (),
        "FLOPs, activations and layers unknown": NETWORK_FACTS,
        "parameters unknown too": (*NETWORK_FACTS, *PARAMETERS),
        "name unknown too": (*NETWORK_FACTS, *PARAMETERS, "model_name"),
    }
    studied = {"raphischer", "deepgreen", "mayaki", "pepr", "ryujaehun"}
    tested = [run for run in runs if run.setting.study in studied and (run.setting.gpus == 1 or run.mean_power_w)]
    parts: dict[str, list[dict[str, Judged]]] = defaultdict(list)
    for fold in folds_of(run.setting.network for run in tested):
        model = fit([run for run in runs if run.setting.network not in fold], IDENTITY)
        mine = [run for run in tested if run.setting.network in fold]
        for name, facts in hidden.items():
            parts[name].append(judge(model, [without(run, facts) for run in mine]))
    for name, found in parts.items():
        show(name, found, ("power", "time", "energy", "memory"))


def without(run: TrainingRun, facts: tuple[str, ...]) -> TrainingRun:
    """The run as if these facts of its network had not been found."""
    s = run.setting
    side = int(s.input_side)
    known = {
        "model_name": s.network, "framework": s.framework, "batch_size": s.batch_size, "train_samples": s.train_samples,
        "input_shape": (side,) if s.sequence else (side, side, 3), "parameters": int(s.parameters),
        "trainable_parameters": int(s.parameters * s.trainable_share), "layers": int(s.layers),
        "forward_flops_per_sample": s.forward_flops, "activation_elements": int(s.activation_elements),
    }  # fmt: skip
    left: dict[str, Any] = {name: Fact(value, Source.OPTION) for name, value in known.items() if name not in facts}
    filled = filled_facts(Workload(**left))
    seen = {name: getattr(filled, name) for name in ("parameters", "forward_flops", "training_flops", "layers")}
    setting = replace(
        s, **seen, network="" if "model_name" in facts else s.network, activation_elements=filled.activation_elements,
        kind=filled.kind, unknown=filled.unknown, saved_bytes=0.0 if facts else s.saved_bytes,
    )  # fmt: skip
    return replace(run, setting=setting)


def baselines(tested: Sequence[TrainingRun]) -> None:
    """TDP, Green Algorithms and MLCO2, given the measured duration, which favours them."""
    power = np.array([run.mean_power_w for run in tested])
    tdp = np.array([run.setting.gpu.tdp_w for run in tested])
    energy = np.array([run.epoch_energy_j for run in tested])
    duration = [run.epoch_duration_s or 0.0 for run in tested]
    print(
        f"TDP as power: MAPE {np.mean(np.abs(tdp / power - 1)):.1%}, RMSE {np.sqrt(np.mean((tdp - power) ** 2)):.0f} W"
    )
    green = [
        green_algorithms_energy_j(w, t, memory_gb=r.setting.allocated_memory_bytes / 1e9)
        for w, t, r in zip(tdp, duration, tested, strict=True)
    ]
    lacoste = [mlco2_energy_j(w, t) for w, t in zip(tdp, duration, strict=True)]
    for name, values in (("Green Algorithms", green), ("MLCO2", lacoste)):
        print(f"{name}: epoch energy MAPE {np.mean(np.abs(np.array(values) / energy - 1)):.1%}")


_FRESH = """
import resource, sys, time
started = time.perf_counter()
sys.path.insert(0, {root!r})
from pathlib import Path
from advisor.inspection.workload import Fact, Source, Workload
from advisor.inventory.model import GpuModel
from advisor.placement.placement import Placement
from advisor.prediction.model import load_model
from advisor.prediction.predictor import predict
from advisor.recommendation.choice import TIE_BREAK
from advisor.registry import Registry
model = load_model(Registry(Path("nowhere"), Path({root!r}) / "models" / "prior").promoted())
def fact(value): return Fact(value, Source.OPTION)
workload = Workload(model_name=fact("ResNet50"), parameters=fact(25600000), forward_flops_per_sample=fact(7.7e9),
    batch_size=fact(32), train_samples=fact(50000), epochs=fact(10), input_shape=fact((224, 224, 3)))
def placement(i): return Placement(partition=f"p{{i}}", gres_type=None, gpus=1, nodes=1, memory_bytes=2**34, cpus=4,
    max_time_s=None, gpu=GpuModel(name=f"GPU {{i}}", architecture="Ampere", cuda_cores=6000 + i, memory_bytes=2**34,
    memory_bandwidth_bytes_per_s=9e11 + i, tdp_w=300.0, peak_fp32_flops_per_s=2e13 + i))
predict(workload, [placement(0)], model)
first = time.perf_counter() - started
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
many = [placement(i) for i in range(1000)]
times = []
for _ in range(5):
    at = time.perf_counter(); predict(workload, many, model); times.append(time.perf_counter() - at)
same = [placement(i % 20) for i in range(1000)]
at = time.perf_counter(); predict(workload, same, model); few = time.perf_counter() - at
print(f"load and first prediction {{first:.2f}} s, "
      f"{{memory:.0f}} MiB; 1,000 placements on 1,000 "
      f"different GPUs {{1000 * sorted(times)[2]:.0f}} ms, on 20 GPUs {{1000 * few:.0f}} ms")
"""


def speed() -> None:
    """A fresh process: load, first prediction, a thousand placements."""
    subprocess.run([sys.executable, "-c", _FRESH.format(root=str(REPOSITORY))], check=True)


def million(runs: Sequence[TrainingRun]) -> None:
    """Retraining on a million synthetic runs: recorded settings with noise, a thousand users and settings."""
    rng = np.random.default_rng(0)
    source = [run for run in aggregate(runs) if run.mean_power_w and run.epoch_duration_s]
    picks = rng.integers(len(source), size=1_000_000)
    noise = np.exp(rng.normal(0.0, 0.03, size=(1_000_000, 2)))
    sites = [f"p{i}" for i in range(20)]

    def synthetic() -> Iterable[TrainingRun]:
        cache: dict[tuple[int, int], TrainingRun] = {}
        for i, pick in enumerate(picks):
            run, site = source[pick], i % len(sites)
            if (pick, site) not in cache:
                setting = replace(run.setting, site=f"{sites[site]}/{run.setting.gpu.name}", study="corpus")
                cache[pick, site] = replace(run, setting=setting, runs=1)
            yield replace(
                cache[pick, site],
                mean_power_w=run.mean_power_w * noise[i, 0],
                epoch_duration_s=run.epoch_duration_s * noise[i, 1],
                user=f"u{i % 1000}",
            )

    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder), REPOSITORY / "models" / "prior")
        started = time.perf_counter()
        report = retrain(synthetic(), registry)
        spent = time.perf_counter() - started
    print(f"retrain on 1,000,000 runs ({report.settings} settings): {spent:.0f} s, "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most; {report.reason}")  # fmt: skip


def main() -> None:
    """Run the named parts, or all of them."""
    parser = argparse.ArgumentParser(description="Print the figures of the prediction benchmark.")
    parser.add_argument("data_dir", type=Path, nargs="?", default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--draws", type=int, default=10, help="of the paper's random search, which made 100")
    arguments = parser.parse_args()
    runs = read_prior(arguments.data_dir)
    light = aggregate(runs)
    tested = [run for run in runs if run.setting.study == "delrey2024"]
    parts: dict[str, Callable[[], None]] = {
        "baselines": lambda: baselines(tested),
        "random": lambda: random_folds(light, tested),
        "setting": lambda: one_setting(light, tested),
        "network": lambda: show("one network withheld", withheld(light, lambda r: r.setting.network, tested)),
        "gpu": lambda: after_runs(light, tested),
        "study": lambda: studies(light, runs),
        "memory": lambda: memory(light),
        "steps": lambda: steps(light),
        "gaps": lambda: gaps(light),
        "speed": speed,
        "million": lambda: million(runs),
        "paper": lambda: print(tables(arguments.data_dir, arguments.draws)),
    }  # fmt: skip
    for name, part in parts.items():
        if not arguments.only or name in arguments.only:
            started = time.perf_counter()
            part()
            print(f"({name}: {time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()

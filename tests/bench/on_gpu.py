"""What a card alone can show: ``bash tests/bench/on_gpu.sh OUT`` (this program's arguments follow).

Idle power with and without a context; seven networks, three batch sizes and two precisions through the real recorder;
the card's energy counter against the integral of its power; what the hook costs a step; predicted against measured.
Without a card, ``--replay FILE`` proves the program itself: readings are simulated and networks are tiny.

Writes ``runs.csv`` and ``conditions.json`` to OUT and prints Markdown. Stops by itself before ``--limit`` seconds.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from advisor.errors import AdvisorError
from advisor.inspection.workload import Fact, Source, Workload
from advisor.inventory.catalogue import load_catalogue
from advisor.placement.placement import Placement
from advisor.prediction.model import load_model
from advisor.prediction.predictor import predict
from advisor.registry import Registry
from advisor.telemetry.energy import EnergyMeter
from advisor.telemetry.gpu import GpuSensor, ReplayedGpus, own_gpus
from advisor.telemetry.reading import parse_trace, summarise
from advisor.telemetry.trace import Trace

ROOT = Path(__file__).resolve().parents[2]
TRAINING = Path(__file__).with_name("on_gpu_training.py")
# name: largest batch on a card, in the order of running; the smaller two are a quarter and a sixteenth of it.
NETWORKS = {
    "residual": 128, "decoder": 16, "depthwise": 128, "encoder": 64, "convolutions": 128, "recurrent": 512,
    "perceptron": 4096,
}  # fmt: skip
PRECISIONS = ("float32", "mixed_bfloat16")
_BATCH_SHARES = (16, 4, 1)
_TIME_ENOUGH_S = 25.0  # for one more training, its start and its end included
_CONTEXT = (
    "import sys, torch; kept = torch.ones(2**28, device='cuda'); print(kept[0].item(), flush=True); sys.stdin.read()"
)
_FACTS = (
    "framework", "model_name", "parameters", "forward_flops_per_sample", "layers", "activation_elements", "batch_size",
    "train_samples", "epochs", "optimizer", "precision",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How this call measures."""

    out: Path
    replay: Path | None
    torch_python: str
    seconds: float
    hook_rounds: int
    ends_at: float

    @property
    def time_left_s(self) -> float:
        """Until the limit."""
        return self.ends_at - time.monotonic()

    def sensor(self) -> GpuSensor:
        """The card, or what stands in for it."""
        return ReplayedGpus(self.replay) if self.replay else own_gpus(os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One recorded training: what it was, what was measured of its last epochs, and what had been predicted."""

    gpu: str
    network: str
    batch_size: int
    precision: str
    parameters: int
    forward_flops_per_sample: float
    layers: int
    activation_elements: int
    train_samples: int
    step_s: float
    epochs_marked: int
    mean_power_w: float | None
    epoch_duration_s: float | None
    epoch_energy_j: float | None
    counter_j: float | None
    integral_j: float | None
    gpu_utilisation: float | None
    gpu_memory_bytes: int | None
    predicted_power_w: float | None = None
    predicted_epoch_s: float | None = None
    predicted_epoch_j: float | None = None
    power_within: bool | None = None
    time_within: bool | None = None
    energy_within: bool | None = None


def main() -> None:
    """Measure in the order of what matters most, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--replay", type=Path, help="recorded readings in place of a card's")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--limit", type=float, default=520.0, help="seconds for everything")
    parser.add_argument("--most", type=int, help="trainings; all where it is not given")
    parser.add_argument("--hook-rounds", type=int, default=3, help="of one training with the hook and one without")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each training")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    setup = Setup(
        out=arguments.out,
        replay=arguments.replay,
        torch_python=arguments.torch_python,
        seconds=2.4 if arguments.replay else arguments.seconds,
        hook_rounds=arguments.hook_rounds,
        ends_at=time.monotonic() + arguments.limit,
    )
    sensor = setup.sensor()
    if not sensor.gpus:
        sys.exit(f"on_gpu: no GPU to measure ({sensor.note}); --replay FILE proves the program without one")
    conditions = {**_conditions(setup, sensor), "idle": idle(setup)}
    (setup.out / "conditions.json").write_text(json.dumps(conditions, indent=1) + "\n", encoding="utf-8")
    _show_conditions(conditions)
    hook_cost(setup)
    rows = list(itertools.islice(trainings(setup), arguments.most))
    with (setup.out / "runs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    _show_runs(rows)
    print(f"\n{len(rows)} trainings; {setup.time_left_s:.0f} s of the limit were left")


def _conditions(setup: Setup, sensor: GpuSensor) -> dict[str, Any]:
    gpu = sensor.gpus[0]
    return {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "gpu": gpu.name,
        "power_limit_w": gpu.power_limit_w,
        "memory_bytes": gpu.memory_bytes,
        "sensor": sensor.sensor,
        "replayed": None if setup.replay is None else setup.replay.name,
        "host": f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
    }


def idle(setup: Setup) -> dict[str, float | None]:
    """Board power without a process, and with one that holds a context and 1 GiB, in W; medians over 10 s."""
    seconds = 1.0 if setup.replay else 10.0
    without = _median_power_w(setup, seconds)
    if setup.replay:
        return {"idle_w": without, "context_idle_w": _median_power_w(setup, seconds)}
    holder = subprocess.Popen(
        [setup.torch_python, "-c", _CONTEXT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        time.sleep(5.0)  # clocks come down after the allocation
        with_context = _median_power_w(setup, seconds)
    finally:
        holder.communicate(timeout=30)
    return {"idle_w": without, "context_idle_w": with_context}


def _median_power_w(setup: Setup, seconds: float) -> float | None:
    sensor, until = setup.sensor(), time.monotonic() + seconds
    powers: list[float] = []
    while time.monotonic() < until:
        powers += [gpu.power_w for gpu in sensor.read()[:1] if gpu.power_w is not None]
        time.sleep(0.2)
    return statistics.median(powers) if powers else None


def trainings(setup: Setup) -> Iterator[Row]:
    """Every network, precision and batch size through the recorder: all networks first, then further batch sizes."""
    for share in _BATCH_SHARES:
        for precision in PRECISIONS:
            for name, largest in NETWORKS.items():
                batch_size = max(2, largest // share // (16 if setup.replay else 1))
                if setup.time_left_s < _TIME_ENOUGH_S:
                    return
                row = _training(setup, name, batch_size, precision)
                if row is not None:
                    yield row


def _training(setup: Setup, name: str, batch_size: int, precision: str) -> Row | None:
    spool = setup.out / "spool" / f"{name}-{batch_size}-{precision}"
    facts = spool / "facts.json"
    spool.mkdir(parents=True, exist_ok=True)
    recorder = [sys.executable, "-m", "advisor.telemetry.recorder", "--spool", str(spool), "--interval", "0.1"]
    recorder += ["--gpu-readings", str(setup.replay)] if setup.replay else []
    done = _run([*recorder, "--", *_command(setup, name, batch_size, precision, facts)], recorded=True)
    traces = list(spool.glob("*.trace.jsonl"))
    if done.returncode != 0 or len(traces) != 1:
        print(f"(left out: {name}, batch {batch_size}, {precision}: exit status {done.returncode}, "
              f"{len(traces)} traces; {done.stderr.strip().splitlines()[-1:]})", flush=True)  # fmt: skip
        return None
    row = _row(json.loads(facts.read_text(encoding="utf-8")), parse_trace(traces[0].read_text(encoding="utf-8")))
    return _beside_prediction(row, json.loads(facts.read_text(encoding="utf-8")))


def _command(setup: Setup, name: str, batch_size: int, precision: str, facts: Path) -> list[str]:
    return [
        setup.torch_python, str(TRAINING), name, "--batch", str(batch_size), "--precision", precision,
        "--seconds", str(setup.seconds), "--out", str(facts),
    ]  # fmt: skip


def _run(command: Sequence[str], *, recorded: bool) -> subprocess.CompletedProcess[str]:
    """Our own package is for our own programs: the training's interpreter must not see it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} if recorded else dict(os.environ)
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def _row(facts: dict[str, Any], trace: Trace) -> Row:
    """What the trace says of the epochs after the first: its energy both ways, power, duration."""
    summary, epochs = summarise(trace), [epoch for epoch in trace.epochs if not epoch.validation]
    steady = epochs[1:]
    energies = [epoch.gpu_energy_j for epoch in steady if epoch.gpu_energy_j is not None]
    durations = [epoch.ended_at - epoch.started_at for epoch in steady]
    spent = _both_ways(trace)
    return Row(
        gpu=trace.header.gpus[0].name if trace.header.gpus else "none",
        network=facts["model_name"],
        batch_size=facts["batch_size"],
        precision=facts["precision"],
        parameters=facts["parameters"],
        forward_flops_per_sample=facts["forward_flops_per_sample"],
        layers=facts["layers"],
        activation_elements=facts["activation_elements"],
        train_samples=facts["train_samples"],
        step_s=facts["step_s"],
        epochs_marked=len(epochs),
        mean_power_w=sum(energies) / sum(durations) if energies and len(energies) == len(durations) else None,
        epoch_duration_s=statistics.mean(durations) if durations else None,
        epoch_energy_j=statistics.mean(energies) if energies else None,
        counter_j=spent[0],
        integral_j=spent[1],
        gpu_utilisation=summary.gpu_utilisation,
        gpu_memory_bytes=summary.gpu_memory_bytes,
    )


def _both_ways(trace: Trace) -> tuple[float | None, float | None]:
    """Energy of the whole trace by the card's counter, and by integrating its power."""
    meter = EnergyMeter()
    for sample in trace.samples:
        meter.add(sample)
    totals = meter.totals
    return (None, None) if totals is None else (totals.counter_j, totals.integral_j)


def _beside_prediction(row: Row, facts: dict[str, Any]) -> Row:
    known: dict[str, Any] = {name: Fact(facts[name], Source.OPTION) for name in _FACTS}
    workload = Workload(**known, input_shape=Fact(tuple(facts["input_shape"]), Source.OPTION))
    placement = Placement(
        partition="bench", gres_type=None, gpu=load_catalogue().identify(row.gpu), gpus=1, nodes=1,
        memory_bytes=2**36, cpus=os.cpu_count() or 1, max_time_s=None,
    )  # fmt: skip
    try:
        model = load_model(Registry(Path("nowhere"), ROOT / "models" / "prior").promoted())
        (said,) = predict(workload, [placement], model)
    except AdvisorError as exc:
        print(f"(not predicted: {row.network}: {exc})")
        return row
    pairs = {
        "power": (said.mean_power_w, row.mean_power_w),
        "time": (said.epoch_duration_s, row.epoch_duration_s),
        "energy": (said.epoch_energy_j, row.epoch_energy_j),
    }
    within = {f"{name}_within": None if m is None else e.low <= m <= e.high for name, (e, m) in pairs.items()}
    return Row(**{
        **asdict(row), **within, "predicted_power_w": said.mean_power_w.value,
        "predicted_epoch_s": said.epoch_duration_s.value, "predicted_epoch_j": said.epoch_energy_j.value,
    })  # fmt: skip


def hook_cost(setup: Setup) -> None:
    """Seconds a step of the smallest training with the recorder's hook and without, by turns."""
    name, batch_size = "perceptron", 4 if setup.replay else 64
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(setup.hook_rounds):
        for recorded in (True, False):
            if setup.time_left_s < _TIME_ENOUGH_S:
                break
            spool = setup.out / "spool" / f"hook-{recorded}-{len(took[recorded])}"
            spool.mkdir(parents=True, exist_ok=True)
            facts = spool / "facts.json"
            command = _command(setup, name, batch_size, "float32", facts)
            if recorded:
                recorder = [sys.executable, "-m", "advisor.telemetry.recorder", "--spool", str(spool)]
                recorder += ["--gpu-readings", str(setup.replay)] if setup.replay else []
                command = [*recorder, "--", *command]
            if _run(command, recorded=recorded).returncode == 0:
                took[recorded].append(json.loads(facts.read_text(encoding="utf-8"))["step_s"])
    if took[True] and took[False]:
        ours, plain = statistics.median(took[True]), statistics.median(took[False])
        print(f"A step of the smallest training: {1e6 * ours:.1f} us recorded, {1e6 * plain:.1f} us plain; "
              f"the hook costs {1e6 * (ours - plain):+.1f} us ({len(took[True])} runs of each, by turns)")  # fmt: skip


def _show_conditions(conditions: dict[str, Any]) -> None:
    print(f"{conditions['gpu']}, limit {conditions['power_limit_w']} W, read by {conditions['sensor']}; "
          f"{conditions['host']}; {conditions['measured_at']}")  # fmt: skip
    rest = conditions["idle"]
    print(f"idle: {_watts(rest['idle_w'])} without a context, {_watts(rest['context_idle_w'])} with one")


def _watts(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f} W"


def _show_runs(rows: Sequence[Row]) -> None:
    print("\n| network | batch | precision | power | an epoch | predicted: power, time | counter / integral |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ratio = f"{row.counter_j / row.integral_j:.3f}" if row.counter_j and row.integral_j else "-"
        duration = "-" if row.epoch_duration_s is None else f"{row.epoch_duration_s:.2f} s"
        power, time_s = row.predicted_power_w, row.predicted_epoch_s
        said = "-" if power is None or time_s is None else f"{power:.0f} W, {time_s:.2f} s"
        print(f"| {row.network} | {row.batch_size} | {row.precision} | {_watts(row.mean_power_w)} | {duration} "
              f"| {said} | {ratio} |")  # fmt: skip
    for name, said, measured, within in (
        ("power", "predicted_power_w", "mean_power_w", "power_within"),
        ("time", "predicted_epoch_s", "epoch_duration_s", "time_within"),
        ("energy", "predicted_epoch_j", "epoch_energy_j", "energy_within"),
    ):
        judged = [row for row in rows if getattr(row, said) and getattr(row, measured)]
        if judged:
            errors = [abs(getattr(row, said) / getattr(row, measured) - 1) for row in judged]
            inside = sum(getattr(row, within) for row in judged) / len(judged)
            print(f"{name}: MAPE {statistics.mean(errors):.0%}, median {statistics.median(errors):.0%}, "
                  f"90% interval covers {inside:.0%} of {len(judged)}")  # fmt: skip


if __name__ == "__main__":
    main()

"""What the recorder costs and keeps: seconds added, step time, the sampler's own CPU and memory, trace size, statuses.

    python -m tests.bench.recorder [--runs 20] [--minutes 10] [--torch-python PYTHON] [--only NAME]

Prints Markdown. Every comparison runs side by side, in turn, because the machine is shared. GPUs are replayed: what
asking a real card costs is not in these figures.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import psutil

from advisor.telemetry.gpu import ReplayedGpus
from advisor.telemetry.host import HostSensor
from advisor.telemetry.reading import parse_trace
from advisor.telemetry.sampler import header_of
from advisor.telemetry.trace import HostSample, Sample
from advisor.telemetry.trace_file import TraceFile

ENDINGS = {
    "exit 3": (["sh", "-c", "exit 3"], 3),
    "sys.exit(0)": ([sys.executable, "-c", "import sys; sys.exit(0)"], 0),
    "os._exit(7)": ([sys.executable, "-c", "import os; os._exit(7)"], 7),
    "uncaught exception": ([sys.executable, "-c", "raise ValueError"], 1),
    "SIGTERM of itself": (["sh", "-c", "kill -TERM $$"], 143),
    "SIGKILL of itself": (["sh", "-c", "kill -KILL $$"], 137),
    "SIGSEGV of itself": (["sh", "-c", "kill -SEGV $$"], 139),
}
KERAS_STEPS = """
import time, numpy as np, keras
x, y = np.random.rand(1600, 64).astype("float32"), np.random.rand(1600, 1).astype("float32")
model = keras.Sequential([keras.layers.Input((64,)), keras.layers.Dense(256, activation="relu"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
"""
# Epochs by turns with the hook in place and with the library's own functions put back, in one process: two processes of
# the same training differ by more than what is looked for. "nothing" as argument changes nothing by turns.
TURNS = """
import sys
def by_turns(epoch, put_in, take_out, count):
    took = []
    for number in range(2 * count + 2):
        hooked = (number + number // 2) % 2 == 0
        if sys.argv[1:] != ["nothing"]:
            put_in() if hooked else take_out()
        begun = time.process_time()
        epoch()
        took.append((hooked, time.process_time() - begun))
    for one, two in zip(took[2::2], took[3::2]):
        ours, plain = (one, two) if one[0] else (two, one)
        print(ours[1], plain[1])
"""
KERAS_TURNS = (
    KERAS_STEPS
    + TURNS
    + """
owner = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind))
hooked = owner.fit
def put(fit):
    owner.fit = fit
by_turns(lambda: model.fit(x, y, batch_size=32, verbose=0), lambda: put(hooked), lambda: put(hooked.__wrapped__), 500)
"""
)
TORCH_TURNS = (
    """
import time, torch
from torch.utils.data import DataLoader, TensorDataset, dataloader
torch.set_num_threads(1)
data = TensorDataset(torch.rand(1600, 256), torch.rand(1600, 1))
model = torch.nn.Sequential(torch.nn.Linear(256, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 1))
optimizer, loader = torch.optim.SGD(model.parameters(), lr=0.1), DataLoader(data, batch_size=32)
"""
    + TURNS
    + """
def epoch():
    for x, y in loader:
        loss = ((model(x) - y) ** 2).mean(); optimizer.zero_grad(); loss.backward(); optimizer.step()
places = [(DataLoader, "__iter__"), (dataloader._BaseDataLoaderIter, "__next__"), (torch.autograd, "backward")]
hooked = [getattr(*place) for place in places]
after_step = sys.modules["torch.optim.optimizer"]._global_optimizer_post_hooks
marks = dict(after_step)
def put_in():
    for place, function in zip(places, hooked):
        setattr(*place, function)
    after_step.update(marks)
def take_out():
    for place, function in zip(places, hooked):
        setattr(*place, function.__wrapped__)
    after_step.clear()
if sys.argv[1:] != ["nothing"]:
    assert marks
by_turns(epoch, put_in, take_out, 800)
"""
)
# The whole of what the hook does in a Keras training: two calls of its callback an epoch.
KERAS_MARKS = (
    KERAS_STEPS
    + """
marks, spent = [], []
class Clock(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        marks.append(time.process_time())
(kind,) = [kind for kind in keras.callbacks.Callback.__subclasses__() if kind.__name__ == "EpochMarks"]
guarded = kind._guarded
def timed(self, mark, *arguments):
    begun = time.process_time()
    guarded(self, mark, *arguments)
    spent.append(time.process_time() - begun)
kind._guarded = timed
model.fit(x, y, batch_size=32, epochs=16, verbose=0, callbacks=[Clock()])
print(np.median(spent) * 2e6, np.median(np.diff(marks[1:])) * 1e6)
"""
)


def recorded(spool: Path, command: list[str], *options: str) -> list[str]:
    """The command under the recorder, as a generated batch script calls it."""
    recorder = [sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(spool), *options]
    return [*recorder, "--", *command]


def trace_of(spool: Path) -> tuple[Path, str]:
    """The newest trace of a spool folder and its text."""
    path = max(spool.glob("*.trace.jsonl"), key=lambda found: found.stat().st_mtime_ns)
    return path, path.read_text(encoding="utf-8")


def endings(spool: Path, _options: argparse.Namespace) -> None:
    """Exit statuses with and without the recorder, and what the trace says."""
    print("| the training ends by | plain | recorded | trace closed with |\n|---|---|---|---|")
    for name, (command, expected) in ENDINGS.items():
        plain = subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode
        plain = 128 - plain if plain < 0 else plain
        ours = subprocess.run(recorded(spool, command), check=False, stderr=subprocess.DEVNULL).returncode
        footer = parse_trace(trace_of(spool)[1]).footer
        closed = "not closed" if footer is None else f"{footer.exit_status}, {footer.reason}"
        wrong = "" if plain == ours == expected else " (WRONG)"
        print(f"| `{name}` | {plain} | {ours}{wrong} | {closed} |")
    job = subprocess.Popen(recorded(spool, ["sleep", "40"]), stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(3.0)
    training = [child for child in psutil.Process(job.pid).children() if child.name() == "sleep"]
    job.send_signal(signal.SIGTERM)
    status = job.wait(timeout=30)
    footer = parse_trace(trace_of(spool)[1]).footer
    left = "child left running" if any(child.is_running() for child in training) else "child ended"
    closed = "not closed" if footer is None else f"{footer.exit_status}, {footer.reason}"
    print(f"| SIGTERM to the wrapper around `sleep 40` | 143 | {status} ({left}) | {closed} |")


def added_seconds(spool: Path, options: argparse.Namespace) -> None:
    """Wall seconds of ``true``, with and without, and the CPU seconds, which a busy machine does not stretch."""
    seconds: dict[str, list[float]] = {"true": [], "true, recorded": []}
    cpu: dict[str, list[float]] = {name: [] for name in seconds}
    commands = {"true": ["true"], "true, recorded": recorded(spool, ["true"])}
    for _ in range(options.runs + 1):
        for name, command in commands.items():
            begun, cpu_begun = time.perf_counter(), _children_cpu_s()
            subprocess.run(command, check=True)
            seconds[name].append(time.perf_counter() - begun)
            cpu[name].append(_children_cpu_s() - cpu_begun)
    print(f"| command ({options.runs} runs in turn) | median s | min | max | CPU s, median |\n|---|---|---|---|---|")
    for name, values in seconds.items():
        kept = values[1:]  # the first fills caches
        wall = f"{statistics.median(kept):.3f} | {min(kept):.3f} | {max(kept):.3f}"
        print(f"| `{name}` | {wall} | {statistics.median(cpu[name][1:]):.3f} |")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def step_time(spool: Path, options: argparse.Namespace) -> None:
    """CPU time of epochs with the hook and without, by turns in one recorded process.

    The first column's interval says what so many pairs can tell; the second is the same arithmetic where nothing
    changes by turns: what it shows is not the recorder's.
    """
    trainings = {"Keras, TensorFlow, 50 steps an epoch": (sys.executable, KERAS_TURNS)}
    if options.torch_python:
        trainings["torch, 50 steps an epoch"] = (options.torch_python, TORCH_TURNS)
    print("| training | pairs of epochs | plain ms/epoch | with the hook: median, 90% interval | nothing changed |")
    print("|---|---|---|---|---|")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1"}
    for name, (python, code) in trainings.items():
        cells, plain_s = [], [0.0]
        for changed in ([], ["nothing"]):
            command = recorded(spool, [python, "-c", code, *changed])
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            pairs = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
            plain_s = [plain for _, plain in pairs]
            ratios = [ours / plain for ours, plain in pairs]
            low, high = _interval_of_median(ratios)
            cells.append(f"{statistics.median(ratios) - 1:+.2%}, {low - 1:+.2%} to {high - 1:+.2%}")
        print(f"| {name} | {len(plain_s)} | {statistics.median(plain_s) * 1e3:.0f} | {' | '.join(cells)} |", flush=True)


def _interval_of_median(values: list[float]) -> tuple[float, float]:
    """A 90% interval of the median, by resampling."""
    chance = random.Random(0)  # noqa: S311 (resampling, not secrets)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(2000))
    return medians[100], medians[1899]


HOOK_CALLS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from gsbatch_inside.epochs.passes import Passes
class Batch: shape = (32, 3, 224, 224)
class Silent:
    framework_trains, framework_epoch_open, framework_epoch = 0, False, None
    def send(self, *a, **k): pass
    def end_epoch(self, *a, **k): pass
    def new_pass(self): return 1
    def new_phase(self): return 0
passes, batch, best = Passes(Silent()), (Batch(), Batch()), 1.0
for repeat in range(20):
    one, begun = passes.begin(), time.process_time()
    for step in range(10000):
        passes.read(one, batch); passes.backward(); passes.step(7)
    best = min(best, (time.process_time() - begun) / 10000)
    passes.end(one)
print(best * 1e6)
"""


def hook_calls(spool: Path, _options: argparse.Namespace) -> None:
    """CPU that the bookkeeping takes by itself: of a step in torch, of an epoch in Keras.

    The wrapped calls of torch add two Python calls each.
    """
    injected = str(Path(__file__).parents[2] / "advisor" / "injected")
    done = subprocess.run([sys.executable, "-c", HOOK_CALLS, injected], check=True, capture_output=True, text=True)
    print(f"{float(done.stdout):.1f} us a step for a read, a backward and an optimizer step (best of 20 x 10,000)")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1"}
    command = recorded(spool, [sys.executable, "-c", KERAS_MARKS])
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    marks_us, epoch_us = map(float, done.stdout.split())
    print(
        f"{marks_us:.0f} us an epoch of {epoch_us:.0f} us in a Keras fit, {marks_us / epoch_us:.2%}; nothing in a step"
    )


def sampler_cost(spool: Path, options: argparse.Namespace) -> None:
    """CPU and resident memory of the sampler over minutes of eight replayed GPUs at 1 Hz."""
    readings = spool.parent / "eight.jsonl"
    write_readings(readings, gpus=8, seconds=options.minutes * 60)
    command = recorded(spool, ["sleep", str(options.minutes * 60)], "--gpu-readings", str(readings))
    job = subprocess.Popen(command)
    time.sleep(5.0)
    (sampler,) = [p for p in psutil.Process(job.pid).children() if "advisor.telemetry.sampler" in p.cmdline()]
    first = sampler.cpu_times()
    begun, rss = time.monotonic(), [sampler.memory_info().rss]
    while job.poll() is None:
        time.sleep(2.0)
        try:
            used, last_s = sampler.cpu_times(), time.monotonic() - begun
            rss.append(sampler.memory_info().rss)
        except psutil.Error:
            break
    share = (used.user + used.system - first.user - first.system) / last_s
    print(f"{options.minutes} min, 8 GPUs: {share:.2%} of a core; resident {rss[0] / 2**20:.1f} MiB at 5 s, "
          f"{max(rss) / 2**20:.1f} MiB at most, {rss[-1] / 2**20:.1f} MiB at the end")  # fmt: skip


class _MovedClock:
    """Time as it is set."""

    def __init__(self) -> None:
        self.now_s = 1.8e9

    def __call__(self) -> float:
        """The time it is."""
        return self.now_s


def trace_size(spool: Path, _options: argparse.Namespace) -> None:
    """Bytes of a day at 1 Hz, with a clock that is moved by hand."""
    print("| GPUs | a day at 1 Hz, MB | gzip -6, MB |\n|---|---|---|")
    for count in (1, 8):
        folder = spool / f"day{count}"
        folder.mkdir(parents=True)
        readings = folder / "readings.jsonl"
        write_readings(readings, gpus=count, seconds=86400)
        clock = _MovedClock()
        gpus, host = ReplayedGpus(readings, clock), HostSensor(os.getpid())
        header = header_of({}, ticket_id=None, command=["train"], interval_s=1.0, gpus=gpus, host=host)
        trace = TraceFile(folder, header, warn=print, clock=clock)
        for second in range(86400):
            used = HostSample(cpu_time_s=round(second * 3.97, 2), memory_bytes=8_000_000_000 + second % 1000 * 4096)
            trace.add(Sample(time_s=clock() + second % 7 / 1000, gpus=gpus.read(), host=used))
            clock.now_s += 1.0
        trace.close()
        data = trace_of(folder)[0].read_bytes()
        print(f"| {count} | {len(data) / 1e6:.1f} | {len(gzip.compress(data, 6)) / 1e6:.1f} |")


def write_readings(path: Path, *, gpus: int, seconds: int) -> None:
    """Readings by chance, with power, clock and temperature that never stand still; not measured anywhere."""
    chance = random.Random(1)  # noqa: S311 (readings, not secrets)
    described = [{"uuid": f"GPU-{number}", "name": "by chance", "has_energy_counter": True} for number in range(gpus)]
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"gpus": described}) + "\n")
        counters = [0.0] * gpus
        for second in range(seconds):
            row = []
            for number in range(gpus):
                noise = chance.random()
                power_w = round(300 + 60 * noise, 3)
                counters[number] = round(counters[number] + power_w, 3)
                used = 40_000_000_000 + second // 600 % 9 * 2_097_152
                row.append([power_w, counters[number], round(0.9 + noise / 10, 2), used, 60 + int(noise * 9), 1410, 0])
            file.write(json.dumps({"time_s": float(second), "gpus": row}) + "\n")


MEASURES: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "endings": endings,
    "added": added_seconds,
    "hook": hook_calls,
    "steps": step_time,
    "size": trace_size,
    "sampler": sampler_cost,
}


def main() -> None:
    """Run the measures that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--torch-python")
    parser.add_argument("--only", choices=MEASURES)
    options = parser.parse_args()
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
    print(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {where}, GPUs replayed")
    for name in [options.only] if options.only else MEASURES:
        print(f"\n### {name}\n")
        with tempfile.TemporaryDirectory() as folder:
            MEASURES[name](Path(folder) / "spool", options)


if __name__ == "__main__":
    main()

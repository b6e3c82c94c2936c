"""Trainings that are loops of the script's own: PyTorch, JAX and TensorFlow, told by where gradients are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.inspection.reading.datasets import Loader, loader_of
from advisor.inspection.reading.found import (
    Found,
    certain,
    chosen,
    every,
    is_of,
    is_optimizer,
    last_name,
    optimizer_name,
    torch_precision,
)
from advisor.inspection.reading.values import UNKNOWN, Around, Call, Made, Value, plain, with_source
from advisor.inspection.workload import Source

_UPDATES = frozenset({".backward", ".apply_gradients", ".train_on_batch", ".minimize", "optax.apply_updates"})


@dataclass(frozen=True)
class _Training:
    """One stretch of training: the loops around its updates taken apart. Values may be UNKNOWN, None where absent."""

    loader: Loader | None
    epochs: Value
    steps: Value
    key: tuple[object, ...]


def read_loops(calls: Sequence[Call], found: Found) -> bool:
    """Say what a training of the script's own loops does; False where there is none."""
    updates = [call for call in calls if call.name in _UPDATES and call.loops]
    if not updates:
        return False
    trainings = list({item.key: item for item in (_training(call) for call in certain(updates))}.values())
    if trainings:
        _say_trainings(trainings, calls, found)
    found.say("optimizer", optimizer_name(calls))
    uses_torch = any(call.name == ".backward" for call in updates)
    if uses_torch:
        precision = torch_precision(calls)
        cast = any(call.name in {".half", ".bfloat16"} or _casts(call) for call in calls)
        found.say("precision", "float32" if precision is None and not cast else precision, _default_if(precision))
        found.say("gradient_accumulation", _accumulation(calls))
    return True


def _default_if(value: Value) -> Source | None:
    return Source.DEFAULT if value is None else None


def _casts(call: Call) -> bool:
    """Whether a call may turn a whole model to another precision."""
    if last_name(call) == "set_default_dtype":
        return True
    words = [*call.made.args, *call.made.kwargs.values()]
    return call.name == ".to" and any("float" in getattr(word, "name", "") for word in words)


def _training(call: Call) -> _Training:
    loader: Loader | None = None
    outer: list[Around] = []
    inner: list[Around] = []
    is_whole = True
    position = next((at for at in reversed(range(len(call.loops))) if loader_of(call.loops[at].over) is not None), None)
    if position is not None:
        loader = loader_of(call.loops[position].over)
        outer, inner = list(call.loops[:position]), list(call.loops[position + 1 :])
        is_whole = not call.loops[position].may_end_early
    steps: Value = None
    if loader is None:
        outer, steps = _step_loop(list(call.loops))
    counts = [loop.rounds for loop in outer]
    unclear = any(loop.count is None for loop in inner) and loader is None
    epochs = _product(counts) if is_whole and not unclear and steps is None else UNKNOWN
    if steps is not None:
        steps = _product([*counts, steps])
    return _Training(loader, epochs, steps, tuple(loop.key for loop in call.loops))


def _step_loop(outer: list[Around]) -> tuple[list[Around], Value]:
    """Without a data loop, the innermost counted loop counts steps."""
    *rest, last = outer
    return rest, last.rounds


def _product(counts: Sequence[Value]) -> Value:
    result: Value = 1
    for count in counts:
        if not isinstance(count, int):
            return UNKNOWN
        result = with_source(result * count, result, count)
    return result


def _say_trainings(trainings: Sequence[_Training], calls: Sequence[Call], found: Found) -> None:
    """Say what all stretches agree on; epochs add up where every one of them is known."""
    loaders = [training.loader or _only_loader(calls) for training in trainings]
    known = [loader for loader in loaders if loader is not None]
    if len(known) == len(loaders):
        batch_size = chosen(loader.batch_size for loader in known)
        samples = chosen(loader.samples for loader in known)
        found.say("batch_size", batch_size)
        found.say("train_samples", samples)
        workers = chosen(loader.workers for loader in known)
        found.say("loader_workers", workers)
        found.say("data_loading", chosen(loader.loading for loader in known))
    epochs = [training.epochs for training in trainings]
    is_alike = chosen(loaders) is not UNKNOWN or found.value("train_samples") is not None
    if is_alike and all(isinstance(item, int) for item in epochs):
        found.say("epochs", with_source(sum(int(plain(item)) for item in epochs), *epochs))
    steps = [training.steps for training in trainings]
    if all(isinstance(item, int) for item in steps):
        found.say("steps", with_source(sum(int(plain(item)) for item in steps), *steps))
    if len(trainings) > 1:
        how = "their epochs are added" if is_alike else "on different data, so that their epochs are not added"
        found.notes.append(f"its source trains in {len(trainings)} stretches: {how}")


def _only_loader(calls: Sequence[Call]) -> Loader | None:
    """The one loader that can be the training's: alone, or alone in being shuffled."""
    made = [call.made for call in calls if last_name(call) == "DataLoader" and is_of(call, "torch")]
    shuffled = [item for item in made if item.word("shuffle", 2, default=False) is True]
    candidates = shuffled if len(made) > 1 else made
    return loader_of(candidates[0]) if len(candidates) == 1 else None


def _accumulation(calls: Sequence[Call]) -> Value:
    """Batches an optimizer step, by the test around it; None where nothing takes a step."""
    accelerators = [call.made for call in calls if last_name(call) == "Accelerator"]
    stated = [item.word("gradient_accumulation_steps", default=None) for item in accelerators]
    if any(item is not None for item in stated):
        return chosen(stated)
    steps = [
        call
        for call in calls
        if call.name == ".step" and call.loops and (is_optimizer(call.made.receiver) or _is_scaler(call.made.receiver))
    ]
    if any(call.name == ".backward" and len(call.loops) > len(step.loops) for step in steps for call in calls):
        return UNKNOWN  # as many as the rounds of a loop of its own
    return chosen(every(call.branches) for call in steps)


def _is_scaler(value: Value) -> bool:
    return isinstance(value, Made) and last_name(value) == "GradScaler"

"""Training steps of loops that the script wrote itself: counted as they are taken, told as phases at the end.

A step that is described once (its networks, its FLOPs, its batch) is from then on only counted, in the tally that
loops.py moves on for the iterations that it passes over. Steps that take turns (the two of a GAN) are one phase; steps
that follow one another (frozen, then fine-tuned; folds) are phases of their own.
"""

import threading
from typing import Any, Dict, List, Optional, Set

from . import loops, report, tally


class Step:
    """One kind of training step: what one call of it does. FLOPs are those of a call, not of a sample."""

    def __init__(
        self, facts: Dict[str, Any], *, rows: float, forward: Optional[float], training: Optional[float]
    ) -> None:
        self.facts = facts
        self.optimizers: Set[Any] = set()
        self.rows = rows
        self.forward = forward
        self.training = training
        self.weights: Dict[int, int] = {}
        self.trained: Dict[int, int] = {}
        self.epoch_samples: Optional[int] = None
        self.batch_is_argument = False
        self.batches_per_update: Optional[int] = None
        self.updates_are_known = True
        self.phase = report.new_phase()
        self.first = self.last = 0
        self.loops: List[int] = []

    def tell(self) -> None:
        """Hand over what is known before the step has been taken often."""
        report.facts(self.phase, **dict(self.facts, **_per_sample([self])), **_sizes([self]))
        report.facts(self.phase, batch_size=self.rows or None)


_steps: List[Step] = []
_order = [0]
_watching: List[bool] = []
_evaluated = ("samples", "evaluated")


def taken(step: Step, rows: float, updates: Dict[Any, int]) -> None:
    """The step was taken on so many samples; ``updates`` are those of each optimizer."""
    _order[0] += 1
    if not step.first:
        step.first = _order[0]
        _steps.append(step)
        step.loops = [loop.number for loop in loops.nest()]
    step.last = _order[0]
    tally.add(("calls", id(step)))
    tally.add(("samples", id(step)), round(rows))
    for optimizer, number in updates.items():
        updated(optimizer, number)


def updated(optimizer: Any, number: int = 1) -> None:
    """An optimizer took a step."""
    tally.add(("steps", optimizer), number)


def evaluated(rows: int) -> None:
    """Samples were seen without a gradient, after training had begun."""
    if loops.nest():
        tally.add(_evaluated, rows)


def any_taken() -> bool:
    """Whether the script trains yet."""
    return bool(_steps)


def count() -> int:
    """How many steps, evaluations included, were really taken."""
    return _order[0]


def watch() -> None:
    """Count the rounds of the loops, and sum up at the end; once, however many frameworks are imported."""
    if not _watching:
        _watching.append(True)
        loops.on_iteration(_count_round)
        report.at_end(_tell_all)


def _count_round() -> None:
    nest = loops.nest()
    if nest:
        tally.add(("rounds", nest[-1].number))


def _tell_all() -> None:
    left = list(_steps)
    while left:
        together = [left.pop(0)]
        for step in list(left):
            if step.first < max(other.last for other in together):
                together.append(step)
                left.remove(step)
        _tell_phase(together)


def _tell_phase(steps: List[Step]) -> None:
    main = max(steps, key=lambda step: (tally.count(("samples", id(step))), step.training or 0))
    seen = tally.count(("samples", id(main)))
    facts: Dict[str, Any] = dict(_per_sample(steps), **_sizes(steps))
    calls = tally.count(("calls", id(main)))
    updates: int = max((tally.count(("steps", optimizer)) for optimizer in main.optimizers), default=0)
    facts.update(_updates(main, calls, updates))
    cut_short = tally.incomplete() or _still_running(steps)
    if cut_short:
        report.note(cut_short[0])
        facts.pop("steps", None)
    else:
        facts.update(_extent(main, seen))
        facts["seen_samples"] = seen
    if len(steps) > 1:
        report.note("%d kinds of training step take turns; their costs are added" % len(steps))
    report.facts(main.phase, **facts)


def _updates(step: Step, calls: int, updates: int) -> Dict[str, Any]:
    """Optimizer steps, and how many batches' gradients are gathered for one."""
    if not step.updates_are_known:
        return {}
    if step.batches_per_update:
        return {"steps": updates or calls // step.batches_per_update, "gradient_accumulation": step.batches_per_update}
    if not updates:
        return {"steps": calls}  # the script changes its weights by itself
    if calls == updates or calls >= 2 * updates:
        return {"steps": updates, "gradient_accumulation": round(calls / updates)}
    return {"steps": updates}


def _still_running(steps: List[Step]) -> List[str]:
    """Why the totals of a phase are not known: the clock's own thread sums up while the script is in its loop."""
    if threading.current_thread() is threading.main_thread():
        return []
    here = {loop.number for loop in loops.nest()}
    inside = any(here & set(step.loops) or (not step.loops and step.last == _order[0]) for step in steps)
    return ["the training loop was not gone through in the time that a dry run has"] if inside else []


def _extent(step: Step, seen: int) -> Dict[str, Any]:
    """Epochs and samples of one; where the loop has no epochs, it is one that sees every sample once."""
    rounds = tally.count(("rounds", step.loops[0])) if len(step.loops) > 1 else 0
    if not rounds and step.epoch_samples and seen % step.epoch_samples == 0:
        rounds = seen // step.epoch_samples
    rounds = max(rounds, 1)
    extent: Dict[str, Any] = {"epochs": rounds, "train_samples": round(seen / rounds)}
    extent["validation_samples"] = round(tally.count(_evaluated) / rounds)
    return extent


def _per_sample(steps: List[Step]) -> Dict[str, Any]:
    calls = {id(step): tally.count(("calls", id(step))) or 1 for step in steps}
    samples = max(calls[id(step)] * step.rows for step in steps)
    facts = {}
    for name in ("forward", "training"):
        flops = [getattr(step, name) for step in steps]
        if samples and None not in flops:
            total = sum(one * calls[id(step)] for one, step in zip(flops, steps))
            facts["%s_flops_per_sample" % name] = total / samples
    return facts


def _sizes(steps: List[Step]) -> Dict[str, Any]:
    weights: Dict[int, int] = {}
    trained: Dict[int, int] = {}
    for step in steps:
        weights.update(step.weights)
        trained.update(step.trained)
    if not weights:
        return {}
    return {"parameters": sum(weights.values()), "trainable_parameters": sum(trained.values())}

"""The one account of what a script trains. Adapters say what happens; phases, steps, samples and costs are made here.

A **batch** is samples that are worked on together. **Work** is the gradients of a batch, with what they cost. A step of
an optimizer closes the work since the last one: it is then known of which **kind** that work was. Kinds that take
turns (the two of a GAN) are one phase; kinds that follow one another (frozen, then fine-tuned; folds) are phases of
their own. Steps taken times the samples of a step is what a training costs. Epochs and sizes of data sets explain it
and never overrule it.
"""

import collections
import re
from typing import Any, Callable, Dict, Hashable, Iterable, List, NamedTuple, Optional, Set, Tuple

from .loops import Loop, Loops
from .report import Report
from .tally import Tally

_EPOCH_NAME = re.compile(r"epoch|(^|[._])ep?s?$", re.IGNORECASE)
_COSTS = ("forward_flops_per_sample", "saved_bytes_per_sample")
_OF_A_SHAPE = ("input_shape", "forward_flops_per_sample", "training_flops_per_sample", "saved_bytes_per_sample",
               "activation_elements")  # fmt: skip
_CUT_SHORT = "the training loop was not gone through in the time that a dry run has"
_MADE_UP = "its data are not on this machine, and how many there are is not known"
_FRAMEWORK_FACTS = {"devices": 1}  # a loop of one's own uses one, unless it says otherwise


class Source:
    """What batches are read from: a loader, or a data set cut into batches. None is not known.

    Args:
        samples: of a whole pass.
        batches: of a whole pass.
        batch: samples of a batch.
        stock: samples that there are, where a pass may draw some of them several times.
        identity: tells data sets apart where a script makes a new loader for every pass.
        published: its size is not seen but known.
        made_up: its size is neither: whatever depends on it stays unknown.
    """

    def __init__(
        self,
        *,
        samples: Optional[int],
        batches: Optional[int],
        batch: Optional[int],
        stock: Optional[int] = None,
        workers: Optional[int] = None,
        identity: Hashable = None,
        published: bool = False,
        made_up: bool = False,
    ) -> None:
        self.samples = samples
        self.batches = batches
        self.batch = batch
        self.stock = stock
        self.workers = workers
        self.identity = identity
        self.published = published
        self.made_up = made_up
        self.passes = 0
        self.training_passes = 0


class Pass:
    """One reading of a source. ``batch`` is what was last read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.batch = Batch(0)
        self.is_training = False
        self.is_fresh = False  # read since the last work


class Batch:
    """Samples that are worked on together: ``rows`` of them; ``given`` are those that stand for them here.

    What another optimizer does on them is no new sample; what the same one does again is.
    """

    __slots__ = ("given", "most", "rows", "steps", "whole")

    def __init__(self, rows: int, given: int = 0, whole: Optional[Pass] = None) -> None:
        self.rows = rows
        self.given = given
        self.whole = whole  # the pass that it is part of
        self.steps: Dict[Hashable, int] = {}
        self.most = 0


class Work(NamedTuple):
    """Gradients of a batch. FLOPs are those of the forward and backward passes; None is not known.

    ``network`` tells what got them, ``again`` whether it had the very same tensors before. ``detail`` is the adapter's
    own and comes back to it when the kind is described.
    """

    batch: Batch
    flops: Optional[float]
    forward: Optional[float] = None
    network: Hashable = None
    again: bool = False
    detail: Any = None


class Kind:
    """Training steps alike: of the same optimizers, or of the same code. ``describe`` gives facts of the networks."""

    def __init__(self, number: int, describe: Callable[["Kind"], Dict[str, Any]]) -> None:
        self.number = number
        self.describe = describe
        self.facts: Dict[str, Any] = {}  # those that do not change
        self.described: Dict[str, Any] = {}  # what was told when an optimizer took its first step
        self.details: List[Any] = []
        self.optimizers: Dict[Hashable, Hashable] = {}  # and what each of them trains
        self.first_optimizer = 0
        self.first = self.last = 0
        self.nest: List[Loop] = []
        self.source: Optional[Source] = None
        self.rows = 0
        self.works = self.on_new_data = 0
        self.networks: Set[Hashable] = set()
        self.is_counted = True
        self.has_forward = False
        self.per_step: Dict[int, int] = collections.Counter()
        self.batches_per_step: Optional[int] = None  # where the adapter knows it
        self.steps_are_known = True
        self.epoch_samples: Optional[int] = None  # where the adapter knows them
        self.weights: Dict[int, int] = {}
        self.trained: Dict[int, int] = {}

    def key(self, what: str) -> Tuple[str, int]:
        """The tally's key for what this kind does."""
        return what, self.number


def stated(kind: Kind) -> Dict[str, Any]:
    """The facts of a kind that do not change."""
    return kind.facts


class Ledger:
    """Takes down what happens, and sums it up."""

    def __init__(self, tally: Tally, loops: Loops, report: Report) -> None:
        self._tally = tally
        self._loops = loops
        self._report = report
        self._kinds: List[Kind] = []
        self._order = 0
        self._optimizers = 0
        self._waiting: List[Work] = []
        self._passes: List[Pass] = []
        self._beside: List[Optional[int]] = []  # samples seen without gradients since the last work
        self._loose: Optional[Batch] = None  # a batch that was read from nothing that we know
        self._settings: Dict[str, Any] = dict(_FRAMEWORK_FACTS)
        self._withheld: Set[str] = set()
        self._published: Set[int] = set()
        self._made_up_lengths: Set[int] = set()
        self.sources: List[Source] = []
        loops.on_iteration(self._next_iteration)

    # What adapters say.

    def setting(self, **facts: Any) -> None:
        """Facts of the whole script, such as the strategy; None changes nothing."""
        self._settings.update({name: value for name, value in facts.items() if value is not None})

    def optimizer(self) -> int:
        """The number of a new optimizer."""
        self._optimizers += 1
        return self._optimizers - 1

    def begin(self, source: Source) -> Pass:
        """A source is about to be read."""
        return Pass(source)

    def passed(self, source: Source, passes: int = 1) -> None:
        """A source is read so often, from its begin."""
        source.passes += passes
        if source not in self.sources:
            self.sources.append(source)

    def read(self, one: Pass, rows: int, given: int) -> bool:
        """A batch was read: of so many samples, for which so many stand here; whether it begins another round."""
        if one.batch.whole is None:
            self.passed(one.source)
        is_next, one.is_fresh = one.is_fresh or not any(other.is_fresh for other in self._passes), True
        one.batch = Batch(rows, given, one)
        if one in self._passes:
            self._passes.remove(one)
        self._passes.append(one)
        return is_next

    def end(self, one: Pass) -> None:
        """A source is read no more."""
        if one in self._passes:
            self._passes.remove(one)

    def current(self) -> Optional[Batch]:
        """The batch that is being worked on: of the passes that are read side by side the one over most samples, else
        the last one read."""
        if not self._passes:
            return None
        fresh = [one for one in self._passes if one.is_fresh] or self._passes[-1:]
        return max(reversed(fresh), key=lambda one: one.source.samples or 0).batch

    def batch(self, rows: int) -> Batch:
        """The current batch; where none was read, one of so many samples for each iteration."""
        current = self.current()
        if current is not None:
            return current
        if self._loose is None or not self._loops.nest():
            self._loose = Batch(rows)
        return self._loose

    def worked(self, work: Work) -> None:
        """Gradients were found, which a step will close."""
        self._waiting.append(work)
        self._beside.clear()
        for one in self._passes:
            one.is_fresh = False

    @property
    def has_work(self) -> bool:
        """Whether there are gradients that no step has closed."""
        return bool(self._waiting)

    def stepped(self, optimizer: int, trains: Hashable, describe: Callable[[Kind], Dict[str, Any]]) -> None:
        """An optimizer took a step with the gradients since the last one; ``trains`` says what it changes.

        An optimizer made after a kind's first step begins the next kind, one made before belongs to it, and so does
        one that changes what it did not before.
        """
        kind = self._kinds[-1] if self._kinds else None
        if kind is not None:
            changed = kind.optimizers.get(optimizer, trains) != trains
            if changed or (optimizer not in kind.optimizers and optimizer >= kind.first_optimizer):
                kind = None
        if kind is None:
            kind = self.kind(describe)
        is_new = optimizer not in kind.optimizers
        kind.optimizers[optimizer] = trains
        self._close(kind, optimizer)
        if is_new:
            kind.first_optimizer = self._optimizers
            self.tell(kind)

    def kind(self, describe: Callable[[Kind], Dict[str, Any]]) -> Kind:
        """A new kind of training step; its facts are told when it is taken first."""
        kind = Kind(self._report.new_phase(), describe)
        kind.first_optimizer = self._optimizers
        self._kinds.append(kind)
        return kind

    def taken(self, kind: Kind, work: Work, steps: Dict[Hashable, int]) -> None:
        """A step of a kind that its code tells was taken; ``steps`` are those of each optimizer."""
        self._beside.clear()
        for one in self._passes:
            one.is_fresh = False
        self._enter(kind, [work])
        batch = work.batch
        batch.steps[kind] = batch.steps.get(kind, 0) + 1
        if batch.steps[kind] > batch.most:
            batch.most += 1
            self._credit(kind, batch, is_first=batch.most == 1)
        self._tally.add(kind.key("calls"))
        for optimizer, number in steps.items():
            self.updated(kind, optimizer, number)

    def updated(self, kind: Kind, optimizer: Hashable, number: int = 1) -> None:
        """An optimizer took steps with the gradients of such a kind."""
        kind.optimizers.setdefault(optimizer, None)
        self._tally.add(("steps", (kind.number, optimizer)), number)

    def evaluated(self, rows: Optional[int]) -> None:
        """A network that is trained saw samples without a gradient; None where it is not known how many count.

        What comes from a source is counted by its passes, and what gradients follow for is no evaluation.
        """
        current = self.current()
        is_read = current is not None and current.whole is not None and current.whole.is_fresh
        if self._kinds and self._loops.nest() and not is_read:
            self._beside.append(rows)

    def publish(self, *rows: int) -> None:
        """Sizes of data sets that are not on this machine, as they are published."""
        self._published.update(rows)

    def make_up_lengths(self, *lengths: int) -> None:
        """Lengths that a sample has only where its length is made up: what hangs on its shape then stays unknown."""
        self._made_up_lengths.update(lengths)

    def withhold(self, *names: str) -> None:
        """Facts that hang on what is made up: they stay unknown."""
        self._withheld.update(names)

    def doubt(self, reason: str) -> None:
        """Something failed that may work in the job: how long the training is stays unknown."""
        if self._loops.nest() and reason not in self._tally.incomplete:
            self._tally.forget_the_end(reason)

    @property
    def trains(self) -> bool:
        """Whether a training step has been taken."""
        return bool(self._kinds)

    @property
    def taken_in_all(self) -> int:
        """Training steps that were really taken, the same ones or not."""
        return self._order

    # How it is accounted for.

    def _next_iteration(self) -> None:
        self._loose = None
        self._end_evaluation()

    def _end_evaluation(self) -> None:
        for rows in self._beside:
            self._tally.add("evaluated" if rows is not None else "evaluated somehow", rows or 1)
        self._beside.clear()

    def _close(self, kind: Kind, optimizer: Hashable) -> None:
        works, self._waiting = self._waiting, []
        self._enter(kind, works)
        batches = list({id(work.batch): work.batch for work in works}.values())
        is_new = False
        for batch in batches:
            batch.steps[optimizer] = batch.steps.get(optimizer, 0) + 1
            if batch.steps[optimizer] > batch.most:
                batch.most += 1
                is_new = True
                self._credit(kind, batch, is_first=batch.most == 1)
        if batches:
            kind.per_step[len(batches)] += 1
        self._tally.add(("steps", (kind.number, optimizer)))
        if is_new:
            self._tally.add(kind.key("updates"))

    def _enter(self, kind: Kind, works: List[Work]) -> None:
        """What work costs, and where it stands."""
        self._order += 1
        if not kind.first:
            kind.first = self._order
            kind.nest = self._loops.nest()
        kind.last = self._order
        for work in works:
            kind.works += 1
            kind.networks.add(work.network)
            kind.on_new_data += not work.again
            kind.is_counted &= work.flops is not None
            self._tally.add(kind.key("flops"), work.flops or 0)  # type: ignore[arg-type]
            if work.forward is not None:
                kind.has_forward = True
                self._tally.add(kind.key("forward"), work.forward)  # type: ignore[arg-type]
            kind.details.append(work.detail)

    def _credit(self, kind: Kind, batch: Batch, *, is_first: bool = True) -> None:
        """Count a batch's samples as trained on."""
        self._tally.add(kind.key("samples"), batch.rows)
        kind.rows = max(kind.rows, batch.rows)
        if not is_first:
            return
        self._tally.add(kind.key("read"), batch.rows)
        self._tally.add(kind.key("batches"))
        if batch.whole is None:
            return
        one, source = batch.whole, batch.whole.source
        if not one.is_training:
            one.is_training = True
            source.training_passes += 1
            self._tally.add(kind.key("passes"))
        if kind.source is None or (source.samples or 0) > (kind.source.samples or 0):
            kind.source = source

    # What is told.

    def tell(self, kind: Kind) -> None:
        """Hand over what is known before all steps are taken."""
        source = kind.source
        kind.described = kind.describe(kind)
        facts = {**self._settings, **kind.described, **self._sizes([kind]), **self._per_sample([kind])}
        if source is not None and source.batch:
            facts["batch_size"] = source.batch
        else:
            facts["batch_size"] = kind.rows or facts.get("batch_size")
        if source is not None:
            facts["loader_workers"] = source.workers
        self._tell(kind.number, facts)

    def planned(
        self,
        facts: Dict[str, Any],
        *,
        batches: Optional[int],
        accumulation: Optional[int],
        number: Optional[int] = None,
    ) -> int:
        """A training that a framework goes through by itself, told from what it was asked for; the phase's number.

        Args:
            facts: ``epochs`` among them.
            batches: of one epoch.
            accumulation: batches whose gradients are gathered for one step.
            number: of the phase, where more is known of it than was told before.
        """
        number = self._report.new_phase() if number is None else number
        facts = {**self._settings, **facts, "gradient_accumulation": accumulation}
        if accumulation and batches:
            facts["steps"] = batches * facts["epochs"] // accumulation
        self._tell(number, facts)
        return number

    def sum_up(self, *, is_running: bool) -> None:
        """Hand over what is known when the script has ended, or is ended while it runs."""
        self._end_evaluation()
        if self._kinds and self._waiting:
            self._close_what_waits(self._kinds[-1])
        left = [kind for kind in self._kinds if kind.first]
        while left:
            together = [left.pop(0)]
            for kind in list(left):
                if kind.first < max(other.last for other in together):
                    together.append(kind)
                    left.remove(kind)
            self._sum_up_phase(together, is_running=is_running)

    def _close_what_waits(self, kind: Kind) -> None:
        works, self._waiting = self._waiting, []
        self._enter(kind, works)
        for batch in {id(work.batch): work.batch for work in works}.values():
            if not batch.most:
                self._credit(kind, batch)

    def _sum_up_phase(self, kinds: List[Kind], *, is_running: bool) -> None:
        count = self._tally.count
        main = max(kinds, key=lambda kind: (count(kind.key("samples")), count(kind.key("flops"))))
        seen = sum(count(kind.key("samples")) for kind in kinds)
        source = _source_of(kinds, main)
        now = main.describe(main)  # a network may have changed since, but what all steps cost is known only now
        costs = {name: value for name, value in now.items() if name in _COSTS}
        facts: Dict[str, Any] = {**self._settings, **now, **main.described, **costs, **self._sizes(kinds)}
        facts.update(self._per_sample(kinds))
        facts.update(self._steps(kinds, main))
        reasons = self._why_unknown(kinds, source, is_running=is_running)
        for reason in reasons[:3]:
            self._report.note(reason)
        if not reasons:
            facts.update(self._extent(kinds, main), seen_samples=seen)
        else:
            facts.pop("steps", None)
            if reasons == [_MADE_UP]:
                facts["epochs"] = self._extent(kinds, main).get("epochs")
        if len(kinds) > 1:
            self._report.note("%d kinds of training step take turns; their costs are added" % len(kinds))
        is_published = source is not None and source.published
        self._tell(main.number, facts, published=("train_samples", "steps") if is_published else ())

    def _tell(self, number: int, facts: Dict[str, Any], published: Iterable[str] = ()) -> None:
        shape = facts.get("input_shape") or ()
        if self._made_up_lengths.intersection(shape[:1]):
            self._withheld.update(_OF_A_SHAPE)
        known = {name: value for name, value in facts.items() if name not in self._withheld}
        sizes = [name for name in ("train_samples", "validation_samples") if known.get(name) in self._published]
        self._report.facts(number, known, {*published, *sizes})

    def _why_unknown(self, kinds: List[Kind], source: Optional[Source], *, is_running: bool) -> List[str]:
        """Why it is not known how long the training is; empty where it is."""
        reasons = list(self._tally.incomplete)
        here = {id(loop) for loop in self._loops.nest()} if is_running else set()
        in_loop = any(here & {id(loop) for loop in kind.nest} for kind in kinds)
        if in_loop or (is_running and any(not kind.nest and kind.last == self._order for kind in kinds)):
            reasons.append(_CUT_SHORT)
        if source is not None and source.made_up:
            reasons.append(_MADE_UP)
        return reasons

    def _steps(self, kinds: List[Kind], kind: Kind) -> Dict[str, Any]:
        """Optimizer steps, and how many batches' gradients are gathered for one."""
        if not kind.steps_are_known:
            return {}
        count = self._tally.count
        batches = sum(count(one.key("batches")) for one in kinds)
        optimizers = {optimizer for one in kinds for optimizer in one.optimizers}
        counted = [sum(count(("steps", (one.number, optimizer))) for one in kinds) for optimizer in optimizers]
        steps = max([sum(count(one.key("updates")) for one in kinds), *counted])
        if kind.batches_per_step:
            return {"steps": steps or batches // kind.batches_per_step, "gradient_accumulation": kind.batches_per_step}
        if not steps:
            return {"steps": batches}  # the script changes its weights by itself
        if kind.per_step:
            return {"steps": steps, "gradient_accumulation": max(kind.per_step, key=lambda one: kind.per_step[one])}
        if batches == steps or batches >= 2 * steps:
            return {"steps": steps, "gradient_accumulation": round(batches / steps)}
        return {"steps": steps}

    def _extent(self, kinds: List[Kind], main: Kind) -> Dict[str, Any]:
        """Epochs and the samples of one, so that they explain what was seen."""
        count = self._tally.count
        seen, batches, passes = (sum(count(kind.key(what)) for kind in kinds) for what in ("read", "batches", "passes"))
        source = _source_of(kinds, main)
        if source is not None and passes:
            epochs, samples = _of_passes(source, passes, batches, seen)
            validation = self._validation(passes)
            if validation == 0 and count("evaluated"):
                validation = self._validation_by_hand(epochs, samples)
            return {"epochs": epochs, "train_samples": samples, "validation_samples": validation}
        if main.epoch_samples and seen and seen % main.epoch_samples == 0:
            looped: Optional[int] = seen // main.epoch_samples
        else:
            looped = _epochs_of_loops(main, batches)
        if not looped:
            return {}
        samples = round(seen / looped)
        validation = self._validation_by_hand(looped, samples)
        return {"epochs": looped, "train_samples": samples, "validation_samples": validation}

    def _validation_by_hand(self, epochs: int, samples: Optional[int]) -> Optional[int]:
        """Samples that the trained network sees without gradients, where they are alike in every epoch; on as many as
        it is trained on it may be these."""
        evaluated = self._tally.count("evaluated")
        if not evaluated:
            return None if self._tally.count("evaluated somehow") else 0
        is_alike = epochs > 1 and evaluated % epochs == 0 and evaluated // epochs != samples
        return evaluated // epochs if is_alike else None

    def _validation(self, training: int) -> Optional[int]:
        """Samples of the source that is read between epochs without training; read once at the end it is a test."""
        passes: Dict[Any, int] = {}
        for one in self.sources:  # some scripts make a new loader for every epoch
            if one.passes and not one.training_passes and one.made_up:
                return None
            if one.passes and not one.training_passes:
                passes[one.identity, one.samples] = passes.get((one.identity, one.samples), 0) + one.passes
        passes = {data: number for data, number in passes.items() if number >= 2 or training == 1}
        if not passes:
            return 0
        samples: Optional[int] = max(passes, key=lambda data: passes[data])[1]
        return samples

    def _per_sample(self, kinds: List[Kind]) -> Dict[str, Any]:
        """FLOPs of a sample: of all kinds that take turns, over the samples that they see."""
        count = self._tally.count
        samples = sum(count(kind.key("samples")) for kind in kinds)
        if not samples or not all(kind.is_counted for kind in kinds):
            return {}
        facts = {"training_flops_per_sample": sum(count(kind.key("flops")) for kind in kinds) / samples or None}
        if all(kind.has_forward for kind in kinds):
            facts["forward_flops_per_sample"] = sum(count(kind.key("forward")) for kind in kinds) / samples or None
        return facts

    def _sizes(self, kinds: List[Kind]) -> Dict[str, Any]:
        weights: Dict[int, int] = {}
        trained: Dict[int, int] = {}
        for kind in kinds:
            weights.update(kind.weights)
            trained.update(kind.trained)
        if not weights:
            return {}
        return {"parameters": sum(weights.values()), "trainable_parameters": sum(trained.values())}


def _source_of(kinds: List[Kind], main: Kind) -> Optional[Source]:
    return main.source or next((kind.source for kind in kinds if kind.source is not None), None)


def _of_passes(source: Source, passes: int, batches: int, seen: int) -> Tuple[int, Optional[int]]:
    """Epochs and their samples, from passes over a source that may be left early or gone round several times."""
    whole = source.samples
    if source.batches and batches > passes * source.batches:  # a loop over steps that takes its batches itself
        epochs, rest = divmod(batches, source.batches)
        return epochs + bool(rest), whole
    each = seen / passes
    if whole is None or abs(each - whole) < (source.batch or 1):
        return passes, round(each) if whole is None else whole
    if passes > 1:  # the last one left early, or each
        return passes, whole if seen > (passes - 1) * whole else round(each)
    stock = min(whole, source.stock or whole)
    return max(-(-seen // stock), 1) if stock else 1, stock


def _epochs_of_loops(kind: Kind, batches: int) -> Optional[int]:
    """Where no source is known: the loop around the one over batches, where its name or shape says that it counts
    epochs.

    A single loop over steps draws from a stream, which is one epoch, unless it works on the same tensors again and
    again; of other loops it is not known what they repeat.
    """
    nest = kind.nest
    if not nest:
        return None
    if _EPOCH_NAME.search(nest[-1].target):
        return int(nest[-1].iterations)
    for loop in reversed(nest[:-1]):
        if _EPOCH_NAME.search(loop.target) or nest[-1].strided:
            return int(loop.iterations)
    if kind.on_new_data <= len(kind.networks) < kind.works:
        return batches
    return None if len(nest) > 1 else 1

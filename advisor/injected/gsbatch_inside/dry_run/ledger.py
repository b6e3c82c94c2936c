"""The one account of what a script trains: adapters tell it what happens, it decides what that comes to.

A **batch** is samples that are worked on together. **Work** is the gradients of a batch, with their cost. A step of an
optimizer closes the work since the last step and tells of which **kind** it was. Kinds that take turns (the two of a
GAN) are one phase. Kinds that follow one another (frozen, then fine-tuned; folds) are phases of their own.

What a training costs is its steps times the samples of a step. Epochs and the sizes of data sets explain that number
and never change it.
"""

from typing import Any, Callable, Dict, Hashable, Iterable, List, Optional, Set

from .batches import Batch, Pass, Source
from .loops import Loop, Loops
from .phase import Phase
from .report import Report
from .tally import Tally
from .work import Kind, Work

_COSTS = ("forward_flops_per_sample", "saved_bytes_per_sample")
_OF_A_SHAPE = ("input_shape", "forward_flops_per_sample", "training_flops_per_sample", "saved_bytes_per_sample",
               "activation_elements")  # fmt: skip
_CUT_SHORT = "the training loop was not gone through in the time that a dry run has"
_MADE_UP = "its data are not on this machine, and how many there are is not known"
_SETTINGS = {"devices": 1}  # of a script that says nothing else: a loop of its own uses one


class Ledger:
    """Takes down what happens, and decides what is reported."""

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
        self._loose: Optional[Batch] = None  # the batch of this iteration, where it was read from no known source
        self._settings: Dict[str, Any] = dict(_SETTINGS)
        self._withheld: Set[str] = set()
        self._published: Set[int] = set()
        self._made_up_lengths: Set[int] = set()
        self._sources: List[Source] = []
        self._planned: Dict[int, List[Loop]] = {}  # the loops around each training of a framework's own
        loops.on_iteration(self._next_iteration)

    # What adapters tell.

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
        """A source was read from its beginning, once or so many times."""
        source.passes += passes
        if source not in self._sources:
            self._sources.append(source)

    def read(self, one: Pass, rows: int, given: int) -> bool:
        """A batch was read; whether it is the first since gradients were last computed, or of a pass read again.

        ``rows`` are its samples in the job, ``given`` those that stand for them in the dry run.
        """
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
        """The batch that is being worked on, None where none was read.

        Where several passes are read side by side, it is the batch of the pass over most samples.
        """
        if not self._passes:
            return None
        fresh = [one for one in self._passes if one.is_fresh] or self._passes[-1:]
        return max(reversed(fresh), key=lambda one: one.source.samples or 0).batch

    def batch(self, rows: int) -> Batch:
        """The current batch. Where none was read, each iteration of a loop has one of ``rows`` samples."""
        current = self.current()
        if current is not None:
            return current
        if self._loose is None or not self._loops.nest():
            self._loose = Batch(rows)
        return self._loose

    def worked(self, work: Work) -> None:
        """Gradients were computed. The next step of an optimizer uses them."""
        self._waiting.append(work)
        self._used_what_was_read()

    @property
    def has_work(self) -> bool:
        """Whether there are gradients that no step has used yet."""
        return bool(self._waiting)

    def stepped(self, optimizer: int, trains: Hashable, describe: Callable[[Kind], Dict[str, Any]]) -> None:
        """An optimizer took a step with the gradients since the last step; ``trains`` says what it changes.

        An optimizer that was made after the current kind's first step begins a new kind, and so does one that now
        changes something else than before. An optimizer that was made earlier belongs to the current kind.
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
        """A new kind of training step. Its facts are reported when the first such step is taken."""
        kind = Kind(self._report.new_phase(), describe)
        kind.first_optimizer = self._optimizers
        self._kinds.append(kind)
        return kind

    def taken(self, kind: Kind, work: Work, steps: Dict[Hashable, int]) -> None:
        """A step was taken whose kind is known from its code; ``steps`` are those of each optimizer in it."""
        self._used_what_was_read()
        self._enter(kind, [work])
        self._stepped_on(kind, work.batch, kind)
        for optimizer, number in steps.items():
            self.updated(kind, optimizer, number)

    def updated(self, kind: Kind, optimizer: Hashable, number: int = 1) -> None:
        """An optimizer took steps of a kind."""
        kind.optimizers.setdefault(optimizer, None)
        self._tally.add(("steps", (kind.number, optimizer)), number)

    def evaluated(self, rows: Optional[int]) -> None:
        """A network that is trained saw samples without a gradient; None where their number is not known.

        Samples of a source are not counted here: its passes are. If gradients follow in the same iteration, it was no
        evaluation.
        """
        current = self.current()
        is_read = current is not None and current.whole is not None and current.whole.is_fresh
        if self._kinds and self._loops.nest() and not is_read:
            self._beside.append(rows)

    def publish(self, *rows: int) -> None:
        """These are published sizes of data sets that are not on this machine; facts equal to them are marked so."""
        self._published.update(rows)

    def make_up_lengths(self, *lengths: int) -> None:
        """A sample of one of these lengths has a made-up length: facts that depend on its shape stay unknown."""
        self._made_up_lengths.update(lengths)

    def withhold(self, *names: str) -> None:
        """These facts depend on something made up: they stay unknown."""
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
        """How many training steps of all kinds have really been run, not counting those passed over."""
        return self._order

    # How it is accounted for.

    def _used_what_was_read(self) -> None:
        """Gradients were computed: what was read before them is no evaluation, and the next batch begins anew."""
        self._beside.clear()
        for one in self._passes:
            one.is_fresh = False

    def _next_iteration(self) -> None:
        self._loose = None
        self._end_evaluation()

    def _end_evaluation(self) -> None:
        for rows in self._beside:
            self._tally.add("evaluated" if rows is not None else "evaluated somehow", rows or 1)
        self._beside.clear()

    def _close(self, kind: Kind, optimizer: Hashable) -> None:
        batches = self._worked_on(kind)
        credited = [self._stepped_on(kind, batch, optimizer) for batch in batches]
        if batches:
            kind.per_step[len(batches)] += 1
        self._tally.add(("steps", (kind.number, optimizer)))
        if any(credited):
            self._tally.add(kind.key("updates"))

    def _worked_on(self, kind: Kind) -> List[Batch]:
        """The batches of the work since the last step; this work is now known to be of this kind."""
        works, self._waiting = self._waiting, []
        self._enter(kind, works)
        return list({id(work.batch): work.batch for work in works}.values())

    def _stepped_on(self, kind: Kind, batch: Batch, optimizer: Hashable) -> bool:
        """A step was taken on a batch; whether its samples count as trained on once more, see ``Batch``.

        Where it is the code that tells the kind, the kind itself stands for the optimizer.
        """
        batch.steps[optimizer] = batch.steps.get(optimizer, 0) + 1
        if batch.steps[optimizer] <= batch.most:
            return False
        batch.most += 1
        self._credit(kind, batch, is_first=batch.most == 1)
        return True

    def _enter(self, kind: Kind, works: List[Work]) -> None:
        """Add the cost of work to its kind, and note when and in which loops the kind was first seen."""
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

    # What is reported.

    def tell(self, kind: Kind) -> None:
        """Report what is known of a kind before all its steps are taken."""
        source = kind.source
        phase = Phase([kind], self._tally)
        kind.described = kind.describe(kind)
        facts = {**self._settings, **kind.described, **phase.parameters(), **phase.costs()}
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
        """Report a training that a framework runs by itself, from the arguments it was given; the phase's number.

        Args:
            facts: ``epochs`` among them.
            batches: of one epoch.
            accumulation: batches whose gradients are gathered for one step.
            number: of a phase that was reported before, to add facts to it; None for a new phase.
        """
        number = self._report.new_phase() if number is None else number
        self._planned[number] = self._loops.nest()
        facts = {**self._settings, **facts, "gradient_accumulation": accumulation}
        if accumulation and batches:
            facts["steps"] = batches * facts["epochs"] // accumulation
        self._tell(number, facts)
        return number

    def _doubt_unfinished(self) -> None:
        """Mark trainings of a framework's own in a loop that was left early: how often more they come is not known."""
        here = {id(loop) for loop in self._loops.nest()}
        for number, nest in self._planned.items():
            if (nest and self._tally.incomplete) or here & {id(loop) for loop in nest}:
                self._report.facts(number, {"cut_short": True}, ())
                self._report.note(_CUT_SHORT)

    def sum_up(self, *, is_running: bool) -> None:
        """Report all phases when the script has ended, or is stopped while it runs."""
        self._end_evaluation()
        self._doubt_unfinished()
        if self._kinds and self._waiting:
            for batch in self._worked_on(self._kinds[-1]):
                if not batch.most:
                    self._credit(self._kinds[-1], batch)
        left = [kind for kind in self._kinds if kind.first]
        while left:
            together = [left.pop(0)]
            for kind in list(left):
                if kind.first < max(other.last for other in together):
                    together.append(kind)
                    left.remove(kind)
            self._sum_up_phase(Phase(together, self._tally), is_running=is_running)

    def _sum_up_phase(self, phase: Phase, *, is_running: bool) -> None:
        main, source = phase.main, phase.source
        now = main.describe(main)  # a network may have changed since, but what all steps cost is known only now
        costs = {name: value for name, value in now.items() if name in _COSTS}
        facts: Dict[str, Any] = {**self._settings, **now, **main.described, **costs}
        facts.update({**phase.parameters(), **phase.costs(), **phase.steps()})
        reasons = self._why_unknown(phase, is_running=is_running)
        for reason in reasons[:3]:
            self._report.note(reason)
        if not reasons:
            facts.update(phase.extent(self._sources), seen_samples=phase.total("samples"))
        else:
            facts.pop("steps", None)
            if reasons == [_MADE_UP]:
                facts["epochs"] = phase.extent(self._sources).get("epochs")
        if len(phase.kinds) > 1:
            self._report.note("%d kinds of training step take turns; their costs are added" % len(phase.kinds))
        is_published = source is not None and source.published
        self._tell(main.number, facts, published=("train_samples", "steps") if is_published else ())

    def _tell(self, number: int, facts: Dict[str, Any], published: Iterable[str] = ()) -> None:
        shape = facts.get("input_shape") or ()
        if self._made_up_lengths.intersection(shape[:1]):
            self._withheld.update(_OF_A_SHAPE)
        known = {name: value for name, value in facts.items() if name not in self._withheld}
        sizes = [name for name in ("train_samples", "validation_samples") if known.get(name) in self._published]
        self._report.facts(number, known, {*published, *sizes})

    def _why_unknown(self, phase: Phase, *, is_running: bool) -> List[str]:
        """Why it is not known how long the training is; empty where it is."""
        kinds, source = phase.kinds, phase.source
        reasons = list(self._tally.incomplete)
        here = {id(loop) for loop in self._loops.nest()} if is_running else set()
        in_loop = any(here & {id(loop) for loop in kind.nest} for kind in kinds)
        if in_loop or (is_running and any(not kind.nest and kind.last == self._order for kind in kinds)):
            reasons.append(_CUT_SHORT)
        if source is not None and source.made_up:
            reasons.append(_MADE_UP)
        return reasons

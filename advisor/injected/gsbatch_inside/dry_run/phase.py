"""What a phase of the training comes to: its steps, epochs, samples and costs, computed from the tally."""

import re
from typing import Any, Dict, Hashable, Iterable, List, Optional, Tuple

from .batches import Source
from .tally import Tally
from .work import Kind

_EPOCH_NAME = re.compile(r"epoch|(^|[._])ep?s?$", re.IGNORECASE)


class Phase:
    """Kinds of training step that take turns. ``main`` is the one that trains on most samples."""

    def __init__(self, kinds: List[Kind], tally: Tally) -> None:
        self.kinds = kinds
        self._tally = tally
        self.main = max(kinds, key=lambda kind: (tally.count(kind.key("samples")), tally.count(kind.key("flops"))))

    def total(self, what: str) -> int:
        """What all its kinds did together: ``samples`` trained on, ``batches`` read, ``updates`` and the like."""
        return sum(self._tally.count(kind.key(what)) for kind in self.kinds)

    @property
    def source(self) -> Optional[Source]:
        """What it is trained on; None where that is not known."""
        return self.main.source or next((kind.source for kind in self.kinds if kind.source is not None), None)

    def costs(self) -> Dict[str, Any]:
        """FLOPs of a sample: those of all kinds, over the samples that they see."""
        samples = self.total("samples")
        if not samples or not all(kind.is_counted for kind in self.kinds):
            return {}
        facts = {"training_flops_per_sample": self.total("flops") / samples or None}
        if all(kind.has_forward for kind in self.kinds):
            facts["forward_flops_per_sample"] = self.total("forward") / samples or None
        return facts

    def parameters(self) -> Dict[str, Any]:
        """Parameters, all and trained; nothing where its kinds do not list their weights."""
        weights: Dict[int, int] = {}
        trained: Dict[int, int] = {}
        for kind in self.kinds:
            weights.update(kind.weights)
            trained.update(kind.trained)
        if not weights:
            return {}
        return {"parameters": sum(weights.values()), "trainable_parameters": sum(trained.values())}

    def steps(self) -> Dict[str, Any]:
        """Optimizer steps, and how many batches' gradients are gathered for one."""
        main = self.main
        if not main.steps_are_known:
            return {}
        batches = self.total("batches")
        optimizers = {optimizer for kind in self.kinds for optimizer in kind.optimizers}
        steps = max([self.total("updates"), *map(self._steps_of, optimizers)])
        if main.batches_per_step:
            return {"steps": steps or batches // main.batches_per_step, "gradient_accumulation": main.batches_per_step}
        if not steps:
            return {"steps": batches}  # the script changes its weights by itself
        if main.per_step:
            return {"steps": steps, "gradient_accumulation": max(main.per_step, key=lambda one: main.per_step[one])}
        if batches == steps or batches >= 2 * steps:
            return {"steps": steps, "gradient_accumulation": round(batches / steps)}
        return {"steps": steps}

    def _steps_of(self, optimizer: Hashable) -> int:
        return sum(self._tally.count(("steps", (kind.number, optimizer))) for kind in self.kinds)

    def extent(self, sources: Iterable[Source]) -> Dict[str, Any]:
        """Epochs, and the samples of one.

        Epochs times samples is about what the phase was trained on. ``sources`` are all that the script reads; one of
        them may be for validation.
        """
        seen, batches, passes = self.total("read"), self.total("batches"), self.total("passes")
        source = self.source
        if source is not None and passes:
            epochs, samples = _of_passes(source, passes, batches, seen)
            validation = _validation(sources, passes)
            if validation == 0 and self._tally.count("evaluated"):
                validation = self._validation_by_hand(epochs, samples)
            return {"epochs": epochs, "train_samples": samples, "validation_samples": validation}
        each = self.main.epoch_samples
        looped = seen // each if each and seen and seen % each == 0 else _epochs_of_loops(self.main, batches)
        if not looped:
            return {}
        samples = round(seen / looped)
        validation = self._validation_by_hand(looped, samples)
        return {"epochs": looped, "train_samples": samples, "validation_samples": validation}

    def _validation_by_hand(self, epochs: int, samples: Optional[int]) -> Optional[int]:
        """Samples that the trained network sees without gradients in each epoch; None where that differs.

        Where they are as many as the training samples, they may be the training samples: then it is None too.
        """
        evaluated = self._tally.count("evaluated")
        if not evaluated:
            return None if self._tally.count("evaluated somehow") else 0
        is_alike = epochs > 1 and evaluated % epochs == 0 and evaluated // epochs != samples
        return evaluated // epochs if is_alike else None


def _validation(sources: Iterable[Source], training_passes: int) -> Optional[int]:
    """Samples of the source that is read between epochs without training.

    A source that is read only once, beside several passes of training, is a test and not validation.
    """
    passes: Dict[Any, int] = {}
    for one in sources:  # some scripts make a new loader for every epoch
        if one.passes and not one.training_passes and one.made_up:
            return None
        if one.passes and not one.training_passes:
            passes[one.identity, one.samples] = passes.get((one.identity, one.samples), 0) + one.passes
    passes = {data: number for data, number in passes.items() if number >= 2 or training_passes == 1}
    if not passes:
        return 0
    samples: Optional[int] = max(passes, key=lambda data: passes[data])[1]
    return samples


def _of_passes(source: Source, passes: int, batches: int, seen: int) -> Tuple[int, Optional[int]]:
    """Epochs and their samples, from passes over a source that may be left early or gone round several times."""
    whole = source.samples
    if source.batches and batches > passes * source.batches:  # a loop over steps that takes its batches itself
        epochs, rest = divmod(batches, source.batches)
        return epochs + bool(rest), whole
    each = seen / passes
    if whole is None or abs(each - whole) < (source.batch or 1):
        return passes, round(each) if whole is None else whole
    if passes > 1:  # only the last pass was left early, or each of them was
        return passes, whole if seen > (passes - 1) * whole else round(each)
    stock = min(whole, source.stock or whole)
    return max(-(-seen // stock), 1) if stock else 1, stock


def _epochs_of_loops(kind: Kind, batches: int) -> Optional[int]:
    """Epochs where no source is known, from the loops around the training step; None where they do not tell.

    A loop counts epochs if its name says so, or if the loop inside it strides over the samples. A single loop over
    steps draws from a stream, which is one epoch. If it works on the same tensors again and again, each is an epoch.
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

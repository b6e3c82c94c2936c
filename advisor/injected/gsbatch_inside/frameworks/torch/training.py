"""Backward passes and optimizer steps of a PyTorch script, and the facts of each phase of its training.

A step changes nothing and is counted. A phase is training with the same optimizers and trainable parameters; an
optimizer made after a phase's first step begins the next (frozen, then fine-tuned; folds), one made before belongs to
it (GAN).
"""

import re
import types
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch

from ...dry_run import loops, report, tally
from . import data as torch_data
from . import model as torch_model

_EPOCH_NAME = re.compile(r"epoch|(^|[._])ep?s?$", re.IGNORECASE)
_optimizers: List[Any] = []
_backward_flops: Dict[Any, int] = {}
_backward_saved: Dict[Any, float] = {}
_phases: List["Phase"] = []
_waiting: List["_Backward"] = []
_token = [0, -1]  # iterations begun; the one whose samples were counted last
_settings: Dict[str, Any] = {"devices": 1}  # a loop of one's own uses one, unless it says otherwise


class Phase:
    """Facts of one phase as they come up."""

    def __init__(self) -> None:
        self.number = report.new_phase()
        self.first_optimizer = len(_optimizers)
        self.optimizers: List[Any] = []
        self.sizes_of: Dict[int, Tuple[int, int]] = {}
        self.modules: List[Any] = []
        self.loader: Optional[torch_data.Loader] = None
        self.nest: List[Any] = []
        self.uncounted = 0
        self.rows = 0
        self.forward: Dict[int, float] = {}
        self.trained: Dict[int, int] = {}  # networks with gradients, and their rows for each sample
        self.backward_passes = self.on_new_data = 0
        self.saved = 0.0

    def key(self, what: str) -> Tuple[str, int]:
        return what, self.number


class _Backward(NamedTuple):
    """A backward pass: the calls before it, new samples, FLOPs with those calls (None: not known), bytes that were kept
    for it, a sample, the pass."""

    calls: List[torch_model.Called]
    rows: int
    flops: Optional[int]
    saved: float
    one: Optional[torch_data.Pass]


def attach(operations: Any) -> None:
    """Wrap what every training loop calls."""
    loops.on_iteration(_next_iteration)
    torch_data.on_batch(_next_batch)
    original = torch.autograd.backward

    def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
        _backward(operations, original, tensors, args, kwargs)

    torch.autograd.backward = backward
    torch.Tensor.backward = lambda self, *args, **kwargs: backward(self, *args, **kwargs)
    grad = torch.autograd.grad
    torch.autograd.grad = lambda *args, **kwargs: _grad(grad, args, kwargs)
    _watch_optimizers()
    report.at_end(describe_end)


def setting(**facts: Any) -> None:
    """Facts of the whole script, such as the strategy; None changes nothing."""
    _settings.update({name: value for name, value in facts.items() if value is not None})


def _next_iteration() -> None:
    _token[0] += 1
    if torch_data.current() is None:
        torch_model.calls.clear()


def _next_batch() -> None:
    torch_model.calls.clear()


def _backward(operations: Any, original: Any, tensors: Any, args: Any, kwargs: Any) -> None:
    calls = list(torch_model.calls)
    torch_model.calls.clear()
    before, kept = operations.total, 0
    try:
        if any(tensor.requires_grad for tensor in torch_model.tensors_of([tensors])):
            kept = operations.saved.most_during(lambda: original(tensors, *args, **kwargs))
    except RuntimeError as exc:
        # Answered from memory, a graph has gaps; traced, it has none.
        if all(call.traced for call in calls):
            report.note("a backward pass could not be counted: %s" % str(exc)[:120])
            calls = []
    keys = tuple(call.key for call in calls if call.grad)
    if not keys:
        return
    known = _backward_flops.get(keys)
    if all(call.traced for call in calls if call.grad):
        known = _backward_flops[keys] = operations.total - before
        _backward_saved[keys] = kept / _rows_together(calls)
        torch_model.remember(keys)
    elif known is None:
        torch_model.forget(keys)
    _count(calls, known, _backward_saved.get(keys, 0.0))


def _grad(original: Any, args: Any, kwargs: Any) -> Any:
    kwargs["allow_unused"] = True
    found = original(*args, **kwargs)
    inputs = args[1] if len(args) > 1 else kwargs["inputs"]
    inputs = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    pairs = zip(found, inputs)
    return tuple(torch.zeros_like(one, requires_grad=True) if gradient is None else gradient for gradient, one in pairs)


def _count(calls: List[torch_model.Called], backward: Optional[int], saved: float) -> None:
    """Keep what a backward pass did until the step that it belongs to says in which phase it is."""
    trained = {id(call.module) for call in calls if call.grad}
    calls = [call for call in calls if call.grad or id(call.module) not in trained]  # the others evaluate
    one = torch_data.current()
    rows, given = _rows(calls, one)
    flops = None if backward is None else backward + sum(call.flops for call in calls)
    if flops is not None and one is not None and given:
        flops = flops * one.rows // given
    _waiting.append(_Backward(calls, rows, flops, saved, one))


def _commit(phase: Phase) -> None:
    for calls, rows, flops, saved, one in _waiting:
        phase.saved = max(phase.saved, saved)
        if rows:
            tally.add(phase.key("samples"), rows)
            tally.add(phase.key("batches"))
            phase.rows = max(phase.rows, rows)
        if one is not None:
            if not one.training:
                one.training = True
                one.loader.training_passes += 1
                tally.add(phase.key("passes"))
            if phase.loader is None or (one.loader.samples or 0) > (phase.loader.samples or 0):
                phase.loader = one.loader
        phase.backward_passes += 1
        phase.on_new_data += any(call.grad and not call.again for call in calls)
        phase.uncounted += flops is None
        tally.add(phase.key("flops"), flops or 0)
        for call in calls:
            if call.rows and call.module not in phase.modules:
                phase.modules.append(call.module)
                times = _rows_of_a_sample(call, one)
                phase.forward[id(call.module)] = call.flops * times / call.rows
                if call.grad:
                    phase.trained[id(call.module)] = times
    _waiting.clear()


def _rows(calls: List[torch_model.Called], one: Optional[torch_data.Pass]) -> Tuple[int, int]:
    """Samples of the batch that is being worked on, at its first backward pass (0 at later ones), and as given here."""
    if one is not None:
        first, one.counted = not one.counted, True
        return (one.rows if first else 0), one.rows_given
    if _token[0] == _token[1] and loops.nest():
        return 0, 0
    _token[1] = _token[0]
    return next((call.rows for call in calls if call.rows), 0) or 0, 0


def _rows_of_a_sample(call: torch_model.Called, one: Optional[torch_data.Pass]) -> int:
    """How many rows a network is given for each sample of its loader: two views are two."""
    samples = one.rows_given if one is not None else 0
    return call.rows // samples if call.rows and samples and call.rows % samples == 0 else 1


def _rows_together(calls: List[torch_model.Called]) -> int:
    """Samples that a backward pass goes through."""
    one = torch_data.current()
    return (one.rows_given if one is not None else 0) or max((call.rows or 0 for call in calls), default=0) or 1


def _watch_optimizers() -> None:
    kind = torch.optim.Optimizer
    original_init = kind.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original_init(self, *args, **kwargs)
        number = register(self)

        def step(this: Any, closure: Any = None, *_args: Any, **_kwargs: Any) -> Any:
            loss = None
            if callable(closure):
                with torch.enable_grad():
                    loss = closure()
            stepped(this, number)
            return loss

        self.step = types.MethodType(step, self)

    kind.__init__ = __init__
    kind.zero_grad = lambda self, set_to_none=True: None


def register(optimizer: Any) -> int:
    """The number of a new optimizer."""
    _optimizers.append(optimizer)
    return len(_optimizers) - 1


def stepped(optimizer: Any, number: int) -> None:
    """An optimizer was to take a step."""
    sizes = _sizes_of(optimizer)
    phase = _phases[-1] if _phases else None
    if phase is not None:
        changed = phase.sizes_of.get(number, sizes) != sizes
        if changed or (number not in phase.sizes_of and number >= phase.first_optimizer):
            phase = None
    if phase is None:
        phase = Phase()
        _phases.append(phase)
    _commit(phase)
    tally.add(("steps", (phase.number, number)))
    if number not in phase.sizes_of:
        phase.sizes_of[number] = sizes
        phase.optimizers.append(optimizer)
        phase.first_optimizer = len(_optimizers)
        phase.nest = loops.nest()
        _describe(phase)


def _sizes_of(optimizer: Any) -> Tuple[int, int]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return len(parameters), sum(parameter.numel() for parameter in parameters if parameter.requires_grad)


def _describe(phase: Phase) -> None:
    """What is known at the first step."""
    roots = []
    networks = _networks(phase)
    if len(networks) < len(phase.modules):
        report.note("a network without gradients works beside the trained one: its FLOPs count, its parameters do not")
    for module in networks:
        root = torch_model.root_of(module)
        if root not in roots:
            roots.append(root)
    largest = max(phase.optimizers, key=lambda one: _sizes_of(one)[1])
    report.facts(phase.number, framework="pytorch", optimizer=type(largest).__name__.lower(), **_settings)
    if roots:
        report.facts(phase.number, model_name=torch_model.name(roots), **torch_model.counts(roots))
    measured = [module for module in networks if id(module) in torch_model.sizes]
    sizes = [torch_model.sizes[id(module)] for module in measured]
    if sizes:
        main = max(sizes, key=lambda one: one.elements)
        elements = [one.elements * phase.trained.get(id(module), 1) // one.rows for module, one in zip(measured, sizes)]
        report.facts(phase.number, layers=sum(one.layers for one in sizes), input_shape=sizes[0].shape,
                     activation_elements=sum(elements),
                     precision=main.precision)  # fmt: skip
    loader = phase.loader
    if loader is not None:
        report.facts(phase.number, batch_size=loader.batch, train_samples=loader.samples, loader_workers=loader.workers)
    else:
        report.facts(phase.number, batch_size=phase.rows or None)
    _describe_flops(phase)


def _networks(phase: Phase) -> List[Any]:
    """The networks that are trained, and those whose outputs they are given: not a teacher, or a moving average, which
    works beside them on the same data without gradients. What such a one computes is part of the training's FLOPs."""
    shape_of = lambda module: torch_model.sizes[id(module)].shape if id(module) in torch_model.sizes else None
    given = {shape_of(module) for module in phase.modules if id(module) in phase.trained}
    return [module for module in phase.modules if id(module) in phase.trained or shape_of(module) not in given]


def _describe_flops(phase: Phase) -> None:
    samples = tally.count(phase.key("samples"))
    if any(id(module) in torch_model.uncertain for module in phase.modules):
        report.note("the network picks elements by values that it computes: its FLOPs stay unknown")
    elif samples and not phase.uncounted:
        report.facts(
            phase.number,
            forward_flops_per_sample=sum(phase.forward[id(module)] for module in _networks(phase)) or None,
            training_flops_per_sample=tally.count(phase.key("flops")) / samples or None,
            saved_bytes_per_sample=round(phase.saved) or None,
        )


def describe_end() -> None:
    """What is known when the script has ended, or has been ended."""
    if _phases:
        _commit(_phases[-1])
    unfinished = bool(loops.nest()) or bool(tally.incomplete())
    for reason in tally.incomplete():
        report.note(reason)
    for phase in _phases:
        _describe_flops(phase)
        if unfinished and phase is _phases[-1]:
            report.note("the dry run did not reach the end of the training: how long it is stays unknown")
            continue
        _describe_totals(phase)


def _describe_totals(phase: Phase) -> None:
    steps = [tally.count(("steps", (phase.number, number))) for number in phase.sizes_of]
    samples, batches = tally.count(phase.key("samples")), tally.count(phase.key("batches"))
    accumulation = max(round(batches / max(steps)), 1) if max(steps) else None
    report.facts(phase.number, steps=max(steps), seen_samples=samples, gradient_accumulation=accumulation)
    passes = tally.count(phase.key("passes"))
    if phase.loader is not None and passes:
        loader = phase.loader
        if loader.batches and batches > passes * loader.batches:  # a loop over steps that takes its batches itself
            epochs, rest = divmod(batches, loader.batches)
            report.facts(phase.number, epochs=epochs + bool(rest), train_samples=loader.samples)
        else:
            report.facts(phase.number, epochs=passes, train_samples=loader.most_seen or loader.samples)
        report.facts(phase.number, validation_samples=_validation_samples(phase))
        return
    looped = _epochs_of_loops(phase)
    if looped:
        report.facts(phase.number, epochs=looped, train_samples=round(samples / looped))
        if torch_model.evaluated.isdisjoint(id(module) for module in phase.modules):
            report.facts(phase.number, validation_samples=0)


def _epochs_of_loops(phase: Phase) -> Optional[int]:
    """Without a loader: the loop around the one over batches, where its name or shape says that it counts epochs.

    A single loop over steps draws from a stream, which is one epoch, unless it works on the same tensors again and
    again; of other loops it is not known what they repeat.
    """
    nest = phase.nest
    if not nest:
        return None
    if _EPOCH_NAME.search(nest[-1].target):
        return int(nest[-1].iterations)
    for loop in reversed(nest[:-1]):
        if _EPOCH_NAME.search(loop.target) or nest[-1].strided:
            return int(loop.iterations)
    if len(nest) > 1:
        return None
    is_repeated = phase.on_new_data <= 1 < phase.backward_passes
    return int(nest[-1].iterations) if is_repeated else 1


def _validation_samples(phase: Phase) -> Optional[int]:
    """Samples of the loader that is read between epochs without training; read once at the end it is a test."""
    training = max(tally.count(phase.key("passes")), 1)
    passes: Dict[Any, int] = {}
    for one in torch_data.loaders:  # some scripts make a new loader for every epoch
        if one.passes and not one.training_passes:
            passes[one.dataset, one.samples] = passes.get((one.dataset, one.samples), 0) + one.passes
    passes = {data: number for data, number in passes.items() if number >= 2 or training == 1}
    if not passes:
        return 0
    samples: Optional[int] = max(passes, key=lambda data: passes[data])[1]
    return samples

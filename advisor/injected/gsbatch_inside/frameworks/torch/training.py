"""Report backward passes and optimizer steps of a PyTorch script to the ledger; no step changes anything.

A script that uses no optimizer of PyTorch's changes its weights itself. There, the first write to a weight after a
backward pass counts as the step.
"""

import types
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch

from ...dry_run.batches import Batch
from ...dry_run.session import DryRun
from ...dry_run.work import Kind, Work
from . import model as torch_model
from .flops import Operations
from .model import Called, Networks, Traced
from .nested import tensors_of

_SEVERAL_PASSES_A_STEP = ("lbfgs",)


class _Detail(NamedTuple):
    """The calls that a backward pass went through, and how many rows each was given for one sample."""

    keys: Tuple[Any, ...]
    times: Tuple[int, ...]


class Training:
    """What is known of the script's optimizers and backward passes."""

    def __init__(self, session: DryRun, networks: Networks, operations: Operations) -> None:
        self._session = session
        self._ledger = session.ledger
        self._networks = networks
        self._operations = operations
        self._flops: Dict[Any, int] = {}  # of the backward pass of calls, by their keys
        self._saved: Dict[Any, float] = {}  # bytes kept for it, of a sample
        self._optimizers: Dict[int, Any] = {}
        self._owned: Dict[int, Any] = {}  # storages of weights that an optimizer changes
        self._weights: Dict[int, Any] = {}  # storages of weights that got gradients
        self._by_hand: Optional[int] = None
        session.loops.on_iteration(self._next_iteration)

    def attach(self) -> None:
        """Wrap what every training loop calls."""
        original = torch.autograd.backward

        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            self._backward(original, tensors, args, kwargs)

        torch.autograd.backward = backward
        torch.Tensor.backward = lambda self, *args, **kwargs: backward(self, *args, **kwargs)
        grad = torch.autograd.grad
        torch.autograd.grad = lambda *args, **kwargs: _grad(grad, args, kwargs)
        self._watch_optimizers()
        self._operations.on_write = self._written

    def register(self, optimizer: Any) -> int:
        """The number of a new optimizer."""
        number = self._ledger.optimizer()
        self._optimizers[number] = optimizer
        return number

    def stepped(self, optimizer: Any, number: int) -> None:
        """An optimizer took a step, as far as the script sees."""
        self._ledger.stepped(number, _sizes_of(optimizer), self.describe)

    def next_batch(self) -> None:
        """A batch was read: its gradients have nothing to do with earlier calls."""
        self._networks.calls.clear()

    def _next_iteration(self) -> None:
        if self._ledger.current() is None:
            self._networks.calls.clear()

    def _backward(self, original: Any, tensors: Any, args: Any, kwargs: Any) -> None:
        networks, operations = self._networks, self._operations
        calls = list(networks.calls)
        networks.calls.clear()
        before, kept = operations.total, 0
        try:
            if any(tensor.requires_grad for tensor in tensors_of([tensors])):
                with networks.inside():
                    kept = operations.saved.most_during(lambda: original(tensors, *args, **kwargs))
        except RuntimeError as exc:
            # A call answered from memory leaves a gap in autograd's graph. If all calls were traced there is none.
            if all(call.traced for call in calls):
                self._session.report.note("a backward pass could not be counted: %s" % str(exc)[:120])
                self._ledger.doubt("a backward pass failed on tensors without values")
                calls = []
        keys = tuple(call.key for call in calls if call.grad)
        if not keys:
            return
        known = self._flops.get(keys)
        if all(call.traced for call in calls if call.grad):
            known = self._flops[keys] = operations.total - before
            self._saved[keys] = kept / self._rows_together(calls)
            networks.remember(keys)
            self._note_weights(calls)
        elif known is None:
            networks.forget(keys)
        self._worked(calls, known)

    def _worked(self, calls: List[Called], backward: Optional[int]) -> None:
        trained = {id(call.module) for call in calls if call.grad}
        calls = [call for call in calls if call.grad or id(call.module) not in trained]  # the others evaluate
        batch = self._ledger.batch(next((call.rows for call in calls if call.rows), 0) or 0)
        flops: Optional[float] = None if backward is None else backward + sum(call.flops for call in calls)
        if flops is not None and batch.given:
            flops = flops * batch.rows // batch.given
        again = not any(call.grad and not call.again for call in calls)
        times = tuple(_rows_of_a_sample(call, batch) for call in calls)
        keys = tuple(id(call.module) for call in calls if call.grad)
        detail = _Detail(tuple(call.key for call in calls), times)
        self._ledger.worked(Work(batch, flops, network=keys[:1], again=again, detail=detail))

    def _rows_together(self, calls: List[Called]) -> int:
        """Samples that a backward pass goes through."""
        current = self._ledger.current()
        return (current.given if current is not None else 0) or max((call.rows or 0 for call in calls), default=0) or 1

    def _note_weights(self, calls: List[Called]) -> None:
        for call in calls:
            if call.grad:
                self._networks.trained.add(id(call.module))
                for parameter in call.module.parameters():
                    if isinstance(parameter, torch.Tensor) and parameter.requires_grad:
                        _hold(self._weights, parameter)

    def _written(self, tensor: Any) -> None:
        """A weightless tensor is changed in place."""
        if not self._ledger.has_work:
            return
        place = _place(tensor)
        if place in self._weights and place not in self._owned:
            if self._by_hand is None:
                self._by_hand = self._ledger.optimizer()
            self._ledger.stepped(self._by_hand, "by hand", self.describe)

    def _watch_optimizers(self) -> None:
        kind, training = torch.optim.Optimizer, self
        original_init = kind.__init__

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original_init(self, *args, **kwargs)
            number = training.register(self)
            for group in self.param_groups:
                for parameter in group["params"]:
                    _hold(training._owned, parameter)

            def step(this: Any, closure: Any = None, *_args: Any, **_kwargs: Any) -> Any:
                loss = None
                if callable(closure):
                    with torch.enable_grad():
                        loss = closure()
                training.stepped(this, number)
                return loss

            self.step = types.MethodType(step, self)

        kind.__init__ = __init__
        kind.zero_grad = lambda self, set_to_none=True: None

    def describe(self, kind: Kind) -> Dict[str, Any]:
        """Facts of the networks that a kind of step works with."""
        facts: Dict[str, Any] = {"framework": "pytorch", "optimizer": self._optimizer_name(kind)}
        traced, times_of = self._traced(kind)
        networks = self._trained_networks(kind, traced)
        if len(networks) < len(traced):
            self._session.report.note(
                "a network without gradients works beside the trained one: its FLOPs count, its parameters do not"
            )
        if not networks:
            return facts
        roots: List[Any] = []
        for one in networks:
            root = self._networks.root_of(one.module)
            if root not in roots:
                roots.append(root)
        facts.update(torch_model.counts(roots), model_name=torch_model.name(roots))
        measured = [one for one in networks if one.shape is not None]
        if measured:
            elements = [
                one.elements * (times_of[id(one.module)] if one.grad else 1) // (one.rows or 1) for one in measured
            ]
            facts.update(
                layers=sum(one.layers for one in measured), input_shape=measured[0].shape,
                activation_elements=sum(elements), precision=max(measured, key=lambda one: one.elements).precision,
            )  # fmt: skip
        if all(one.is_certain for one in traced):
            forward = [one.flops * times_of[id(one.module)] / (one.rows or 1) for one in networks]
            saved = [self._saved.get(self._with_gradients(detail), 0.0) for detail in kind.details]
            facts["forward_flops_per_sample"] = sum(forward) or None
            facts["saved_bytes_per_sample"] = round(max(saved, default=0.0)) or None
        else:
            self._session.report.note("the network picks elements by values that it computes: its FLOPs stay unknown")
            kind.is_counted = False
        return facts

    def _trained_networks(self, kind: Kind, traced: List[Traced]) -> List[Traced]:
        """The networks that are trained, and those whose outputs they are given.

        Not among them are a teacher or a moving average, which sees the same data without gradients, and a frozen
        network that judges the outputs of a trained one. What these compute is still part of the training's FLOPs.
        """
        judges = {id(one.module) for one in self._calls_of(kind) if one.is_given_gradients and _is_frozen(one.module)}
        trained = [one for one in traced if one.grad and id(one.module) not in judges]
        given = {one.shape for one in trained}
        return [one for one in traced if one in trained or (not one.grad and one.shape not in given)] or traced

    def _calls_of(self, kind: Kind) -> List[Traced]:
        return [self._networks.traced[key] for detail in kind.details for key in detail.keys]

    def _traced(self, kind: Kind) -> Tuple[List[Traced], Dict[int, int]]:
        """The first call of each network in the steps of a kind, and how many rows each was given for a sample."""
        found: Dict[int, Traced] = {}
        times_of: Dict[int, int] = {}
        for detail in kind.details:
            for key, times in zip(detail.keys, detail.times):
                one = self._networks.traced[key]
                if one.rows and id(one.module) not in found:
                    found[id(one.module)], times_of[id(one.module)] = one, times
        return list(found.values()), times_of

    def _with_gradients(self, detail: _Detail) -> Tuple[Any, ...]:
        return tuple(key for key in detail.keys if self._networks.traced[key].grad)

    def _optimizer_name(self, kind: Kind) -> Optional[str]:
        known = [self._optimizers[number] for number in kind.optimizers if number in self._optimizers]
        if not known:
            return None
        name = type(max(known, key=lambda one: _sizes_of(one)[1])).__name__.lower()
        if name in _SEVERAL_PASSES_A_STEP:
            self._session.report.note("%s takes as many passes a step as it needs: their cost stays unknown" % name)
            kind.is_counted = False
        return name


def _grad(original: Any, args: Any, kwargs: Any) -> Any:
    kwargs["allow_unused"] = True
    found = original(*args, **kwargs)
    inputs = args[1] if len(args) > 1 else kwargs["inputs"]
    inputs = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    pairs = zip(found, inputs)
    return tuple(torch.zeros_like(one, requires_grad=True) if gradient is None else gradient for gradient, one in pairs)


def _rows_of_a_sample(call: Called, batch: Batch) -> int:
    """How many rows a network is given for each sample of its loader; two for two views of an image."""
    samples = batch.given
    return call.rows // samples if call.rows and samples and call.rows % samples == 0 else 1


def _is_frozen(module: Any) -> bool:
    return not any(getattr(parameter, "requires_grad", False) for parameter in module.parameters())


def _sizes_of(optimizer: Any) -> Tuple[int, int]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return len(parameters), sum(parameter.numel() for parameter in parameters if parameter.requires_grad)


def _place(tensor: Any) -> int:
    """What tells the storage of a tensor apart; 0 where there is none."""
    with torch._C.DisableTorchFunction():
        try:
            return int(tensor.untyped_storage()._cdata)
        except (AttributeError, NotImplementedError, RuntimeError):
            return 0


def _hold(places: Dict[int, Any], tensor: Any) -> None:
    """Note a tensor's storage. The tensor is kept, because a freed storage's address may be used again."""
    place = _place(tensor)
    if place:
        places[place] = tensor

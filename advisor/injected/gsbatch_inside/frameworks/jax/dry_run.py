"""Training loops in plain JAX: a call for the gradient of a loss shows the training step.

Every training in JAX calls ``jax.grad`` or ``jax.value_and_grad``. A jitted function around them is traced once; its
later calls are counted and answer with zeros. Only calls from the script's own code are watched, none of libraries.
"""

import functools
import math
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from ...dry_run.mistakes import in_brief
from ...dry_run.session import DryRun
from ...dry_run.steps import Step
from ..keras.backends import BackEnds
from . import flops as jax_flops


def attach(jax: Any, session: DryRun) -> None:
    """``jax``: hook the transformations that a script calls."""
    from . import keras_pass

    session.the(BackEnds).add_pass("jax", keras_pass.one_pass)
    session.keep(_Jax(jax, session)).attach()


class _Gradient:
    """What a loss was differentiated for: the weights, and the data that it was given besides."""

    def __init__(self, jax: Any, argnums: Any, args: Tuple[Any, ...], *, is_in_loop: bool) -> None:
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        leaves = jax.tree_util.tree_leaves
        self.weights = [leaf for place in places for leaf in leaves(args[place])]
        rest = [leaf for place, one in enumerate(args) if place not in places for leaf in leaves(one)]
        data = [tuple(leaf.shape) for leaf in rest if getattr(leaf, "shape", ())]
        rows = [shape[0] for shape in data]
        # Batches share their first axis; a key for random numbers or a running mean does not.
        self.rows = max(set(rows), key=rows.count) if rows else 0
        mine = [shape[1:] for shape in data if shape[0] == self.rows]
        self.shape = max(mine, key=math.prod) if mine else None
        self.is_in_loop = is_in_loop
        self.forward: Optional[float] = None

    def dtype(self) -> Optional[str]:
        """That of the weights."""
        return str(self.weights[0].dtype) if self.weights else None


class _Jax:
    def __init__(self, jax: Any, session: DryRun) -> None:
        self._jax = jax
        self._session = session
        self._note = session.report.note
        self._tracing: List[List[_Gradient]] = []
        self._loops = 0  # loops of JAX's own (``scan`` and the like) around what is being traced
        self._known: Dict[Any, Optional[Tuple[Any, Step]]] = {}

    def attach(self) -> None:
        jax = self._jax
        jax.value_and_grad = self._differentiating(jax.value_and_grad)
        jax.grad = self._differentiating(jax.grad)
        jax.jit = self._jitting(jax.jit)
        for name in ("scan", "fori_loop", "while_loop", "map"):
            setattr(jax.lax, name, self._looping(getattr(jax.lax, name)))

    def _looping(self, original: Any) -> Any:
        @functools.wraps(original)
        def loop(*args: Any, **kwargs: Any) -> Any:
            self._loops += 1
            try:
                return original(*args, **kwargs)
            finally:
                self._loops -= 1

        return loop

    def _differentiating(self, original: Any) -> Any:
        @functools.wraps(original)
        def differentiate(fun: Any, argnums: Any = 0, *args: Any, **kwargs: Any) -> Any:
            made = original(fun, argnums, *args, **kwargs)
            if _is_library():
                return made

            @functools.wraps(made)
            def gradient(*inputs: Any, **named: Any) -> Any:
                if self._tracing:
                    found = _Gradient(self._jax, argnums, inputs, is_in_loop=self._loops > 0)
                    found.forward = self._forward_flops(fun, inputs, named)
                    self._tracing[-1].append(found)
                    return made(*inputs, **named)
                return self._called(gradient, made, inputs, named)

            return gradient

        return differentiate

    def _forward_flops(self, function: Any, inputs: Any, named: Any) -> Optional[float]:
        """What a function costs whose gradient is asked for; None where its shapes alone do not tell."""
        jax = self._jax
        shape_of = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if hasattr(leaf, "aval") else leaf
        self._tracing.append([])  # a gradient inside of it is no step of its own
        try:
            shapes, named_shapes = jax.tree_util.tree_map(shape_of, (inputs, named))
            flops, unknown = jax_flops.count(jax.make_jaxpr(function)(*shapes, **named_shapes))
        except Exception:  # such as an argument that is no array
            return None
        finally:
            self._tracing.pop()
        return None if unknown else float(flops)

    def _jitting(self, original: Any) -> Any:
        @functools.wraps(original)
        def jit(fun: Any = None, **options: Any) -> Any:
            if fun is None:
                return functools.partial(jit, **options)
            made = original(fun, **options)
            if _is_library() or options.get("static_argnums") or options.get("static_argnames"):
                return made

            @functools.wraps(fun)
            def jitted(*inputs: Any, **named: Any) -> Any:
                if self._tracing:
                    return fun(*inputs, **named)
                return self._called(jitted, made, inputs, named)

            jitted.lower = made.lower  # type: ignore[attr-defined]
            return jitted

        return jit

    def _called(self, function: Any, made: Callable[..., Any], inputs: Any, named: Any) -> Any:
        jax = self._jax
        leaves = jax.tree_util.tree_leaves((inputs, named))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return made(*inputs, **named)
        key = (id(function), len(leaves))
        if key not in self._known:
            try:
                traced = made if function.__wrapped__ is made else function
                self._known[key] = self._read(traced, inputs, named, is_gradient=traced is made)
            except Exception as exc:
                self._note("a jitted function could not be read: %s" % in_brief(exc))
                self._known[key] = None
        known = self._known[key]
        if known is None:
            return made(*inputs, **named)
        shapes, step = known
        step.taken(_rows(leaves, step), {id(step): 1})
        return jax.tree_util.tree_map(lambda one: jax.numpy.zeros(one.shape, one.dtype), shapes)

    def _read(self, function: Any, inputs: Any, named: Any, *, is_gradient: bool) -> Optional[Tuple[Any, Step]]:
        """Trace a call; None where it takes no gradient and may well be needed as it is."""
        jax = self._jax
        self._tracing.append([])
        try:
            program, shapes = jax.make_jaxpr(function, return_shape=True)(*inputs, **named)
        finally:
            gradients = self._tracing.pop()
        if is_gradient:
            gradients = [_Gradient(jax, 0, inputs, is_in_loop=False)]
        if not gradients:
            return None
        flops, unknown = jax_flops.count(program)
        main = max(gradients, key=lambda one: one.rows)
        if main.is_in_loop:
            self._session.tally.forget_the_end("a loop inside of a jitted function takes several steps: how many?")
            unknown.add("a loop over steps")
        if unknown:
            self._note("not counted in the FLOPs: " + ", ".join(sorted(unknown)))
        shape = list(main.shape) if main.shape else None
        forward = [one.forward for one in gradients]
        step = Step(
            self._session.ledger,
            {"framework": "jax", "input_shape": shape, "precision": main.dtype()},
            rows=main.rows,
            forward=None if unknown or None in forward else sum(one for one in forward if one),
            training=None if unknown else flops,
        )
        for number, leaf in enumerate(leaf for one in gradients for leaf in one.weights):
            step.kind.weights[number] = step.kind.trained[number] = int(math.prod(leaf.shape))
        return shapes, step


def _is_library() -> bool:
    path = sys._getframe(2).f_code.co_filename
    return "site-packages" in path or "dist-packages" in path


def _rows(leaves: List[Any], step: Step) -> float:
    """Samples of this call: the last batch may be shorter."""
    like = step.kind.facts.get("input_shape")
    rows = [leaf.shape[0] for leaf in leaves if getattr(leaf, "shape", ()) and list(leaf.shape[1:]) == list(like or [])]
    return float(rows[-1]) if rows and rows[-1] <= step.rows else step.rows

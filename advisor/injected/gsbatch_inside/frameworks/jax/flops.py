"""FLOPs of a JAX program, read from its jaxpr: matrix products and convolutions, 1 MAC = 2 FLOPs."""

import math
from typing import Any, Iterator, Set, Tuple

_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def count(closed: Any) -> Tuple[float, Set[str]]:
    """FLOPs of what a closed jaxpr's outputs need, and what could not be counted."""
    unknown: Set[str] = set()
    return _walk(_needed(closed.jaxpr), unknown), unknown


def _needed(jaxpr: Any) -> Any:
    """Without what no output needs: the gradients of frozen parts, as the compiler will find."""
    from jax.interpreters import partial_eval

    return partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[0]


def _walk(jaxpr: Any, unknown: Set[str]) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        kind, params = equation.primitive.name, equation.params
        if kind == "dot_general":
            (contracted, _), _batch = params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)
        elif kind == "conv_general_dilated":
            total += _convolution(equation)
        elif kind == "cond":
            total += max(_walk(branch.jaxpr, unknown) for branch in params["branches"])
        elif kind == "while":
            if _walk(params["body_jaxpr"].jaxpr, unknown):
                unknown.add("a loop of unknown length")
        else:
            rounds = params.get("length", 1) if kind == "scan" else 1
            total += rounds * sum(_walk(inner, unknown) for inner in _inner(params))
    return total


def _inner(params: Any) -> Iterator[Any]:
    for name in _INNER:
        found = params.get(name)
        if found is not None:
            yield getattr(found, "jaxpr", found)
            return


def _convolution(equation: Any) -> float:
    kernel = equation.invars[1].aval.shape
    out_features = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    # A dilated input is mostly zeros: those of a transposed convolution or a strided one's gradient.
    zeros = math.prod(equation.params["lhs_dilation"])
    return float(2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) / out_features / zeros)

"""Tensors in nested arguments, batches and outputs: find them, replace them, build the same structure again."""

from typing import Any, Callable, List, NamedTuple, Tuple

import torch

_NOT_INPUTS = ("label", "target", "mask", "position_ids", "token_type_ids")


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with ``change(tensor)`` in place of each tensor in plain lists, tuples and dictionaries."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(replaced(item, change) for item in value)
    if type(value) is dict:
        return {name: replaced(item, change) for name, item in value.items()}
    return value


def main_inputs(args: Any, kwargs: Any) -> List[Any]:
    """The tensors that a network is given, without labels and masks if anything is left then."""
    named = _named("", args) + _named("", kwargs)
    inputs = [one for name, one in named if not any(part in name.lower() for part in _NOT_INPUTS)]
    return [one for one in inputs or [one for _name, one in named] if one.dim()]


def _named(name: str, value: Any) -> List[Tuple[str, Any]]:
    if isinstance(value, torch.Tensor):
        return [(name, value)]
    if isinstance(value, dict) or (hasattr(value, "keys") and hasattr(value, "values")):
        return [found for key, item in value.items() for found in _named(str(key), item)]
    if hasattr(value, "__dataclass_fields__"):
        return [found for key, item in vars(value).items() for found in _named(key, item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in _named(name, item)]
    return []


def tensors_of(value: Any) -> List[Any]:
    """All tensors in nested arguments or outputs, packed sequences and data classes included."""
    return [tensor for _name, tensor in _named("", value)]


def signature(value: Any) -> Any:
    """What tells calls apart: shapes and kinds of tensors, values of plain arguments, types of all else."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype, value.requires_grad
    if isinstance(value, dict) or (hasattr(value, "keys") and hasattr(value, "values")):
        return tuple((str(name), signature(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(signature(item) for item in value)
    return value if isinstance(value, (bool, int, float, str, type(None))) else id(type(value))


class _Hole(NamedTuple):
    """Where a tensor was."""

    shape: Tuple[int, ...]
    dtype: Any
    grad: bool


def pattern(outputs: Any) -> Any:
    """The outputs with holes in place of tensors, for ``rebuilt``; None for what cannot be rebuilt."""
    try:
        return [_mapped(outputs, lambda tensor: _Hole(tuple(tensor.shape), tensor.dtype, tensor.requires_grad))]
    except TypeError:
        return None


def rebuilt(kept: Any) -> Any:
    """Outputs like those that a pattern was made of, with new weightless tensors."""
    return _mapped(kept[0], _filled)


def _filled(hole: Any) -> Any:
    made = torch.empty(hole.shape, dtype=hole.dtype, device="meta", requires_grad=hole.grad)
    # autograd allows a change in place of an operation's result, but not of a new tensor that needs gradients.
    return made.clone() if hole.grad else made


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, (torch.Tensor, _Hole)):
        return change(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return type(value)(**{str(name): _mapped(item, change) for name, item in value.items()})
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, change) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[_mapped(item, change) for item in value])
    raise TypeError(type(value).__name__)

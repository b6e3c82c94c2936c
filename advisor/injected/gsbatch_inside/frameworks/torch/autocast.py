"""Autocast for weightless tensors, which PyTorch itself leaves as they are.

Their precision must be right, because it decides how much memory they take. The lists of functions are those of
PyTorch's documentation ("Autocast Op Reference", CUDA).
"""

from typing import Any, Dict, Optional, Tuple

import torch

from .nested import replaced, tensors_of

_LOWER = frozenset({
    "__matmul__", "__rmatmul__", "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "conv1d",
    "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution",
    "einsum", "gru_cell", "linear", "lstm_cell", "matmul", "mm", "multi_dot", "multi_head_attention_forward", "mv",
    "prelu", "rnn_relu_cell", "rnn_tanh_cell", "scaled_dot_product_attention",
})  # fmt: skip
_FULL = frozenset({
    "__pow__", "__rdiv__", "__rpow__", "__rtruediv__", "acos", "asin", "binary_cross_entropy_with_logits", "cdist",
    "cosh", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "cumprod", "cumsum", "dist", "erfinv",
    "exp", "expm1", "group_norm", "hinge_embedding_loss", "kl_div", "l1_loss", "layer_norm", "log", "log10",
    "log1p", "log2", "log_softmax", "margin_ranking_loss", "mse_loss", "multi_margin_loss",
    "multilabel_margin_loss", "nll_loss", "norm", "normalize", "pdist", "poisson_nll_loss", "pow", "prod",
    "reciprocal", "renorm", "rsqrt", "sinh", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin", "softplus",
    "sum", "tan", "triplet_margin_loss",
})  # fmt: skip
_WIDEST = frozenset({
    "addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "grid_sample", "scatter_add", "tensordot", "vdot",
})  # fmt: skip


def target() -> Optional[Any]:
    """What autocast computes in now, None where it is off."""
    if torch.is_autocast_enabled():
        return torch.get_autocast_gpu_dtype()
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None


def cast(func: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Tuple[Tuple[Any, ...], Dict[str, Any]]:
    """The arguments in the precision that autocast gives this function."""
    lower = target()
    if lower is None:
        return args, kwargs
    name = getattr(func, "__name__", "")
    if name in _LOWER:
        dtype = lower
    elif name in _FULL or (name in _WIDEST and _has_float32(args, kwargs)):
        dtype = torch.float32
    else:
        return args, kwargs

    def converted(tensor: Any) -> Any:
        changes = tensor.is_floating_point() and tensor.dtype not in (dtype, torch.float64)
        return tensor.to(dtype) if changes else tensor

    return replaced(args, converted), replaced(kwargs, converted)


def _has_float32(args: Any, kwargs: Any) -> bool:
    return any(tensor.dtype is torch.float32 for tensor in tensors_of((args, kwargs)))

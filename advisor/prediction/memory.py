"""GPU memory and host RAM: a rule from what a training keeps; for GPU memory the model's process then corrects it."""

from __future__ import annotations

import numpy as np

from advisor.prediction.features import Array, Table

# bytes: what the framework and its libraries keep, a parameter (weights, gradients, optimizer), an activation element
MEMORY_NAMES = ("log_context_bytes", "log_bytes_per_parameter", "log_bytes_per_activation")
MEMORY_PRIOR_MEAN = np.log(np.array([5.0e8, 16.0, 5.0]))
MEMORY_PRIOR_STD = np.array([0.5, 0.3, 0.5])

_HOST_BASE_BYTES = 3.5e9  # a framework with CUDA loaded and its data pipeline's workers
_BATCHES_IN_FLIGHT = 16.0
_NUDGE = 1e-5  # for slopes by differences


def log_gpu_memory(parameters: Array, table: Table) -> Array:
    """The logarithm of peak GPU memory in bytes, of one GPU."""
    context, per_parameter, per_activation = np.exp(parameters)
    frozen = 1.0 - table.trainable_share
    states = table.parameters * (per_parameter * table.trainable_share + 4.0 * frozen)
    # Activations are kept for the backward pass: where a backbone is frozen there is none.
    kept = np.where(table.trainable_share > 0.5, 1.0, 0.15)  # noqa: PLR2004
    width = table.element_bytes / 4.0
    activations = table.batch_size * table.activation_elements * per_activation * width * kept
    return np.asarray(np.log(context + states + activations))


def memory_slopes(parameters: Array, table: Table) -> Array:
    """How the rule moves with one prior standard deviation of each of its constants, (rows x constants)."""
    at = log_gpu_memory(parameters, table)
    nudged = parameters + _NUDGE * np.eye(len(parameters))
    slopes = np.stack([(log_gpu_memory(p, table) - at) / _NUDGE for p in nudged], axis=1)
    return np.asarray(slopes * MEMORY_PRIOR_STD)


def host_memory_bytes(table: Table) -> Array:
    """Peak host RAM of one node, in bytes: framework, weights once more, and batches in flight."""
    per_node = table.gpus / np.maximum(table.nodes, 1.0)
    batches = _BATCHES_IN_FLIGHT * table.batch_size * per_node * table.input_elements * 4.0
    return _HOST_BASE_BYTES + 8.0 * table.parameters + batches

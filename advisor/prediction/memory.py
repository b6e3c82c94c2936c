"""GPU memory and host RAM: a rule from what a training keeps; for GPU memory the model's process then corrects it."""

from __future__ import annotations

import numpy as np

from advisor.prediction.features import Array, Table

# bytes: what the driver shows beyond the tensors (a CUDA context of some 0.5e9, and blocks that the allocator keeps:
# pepr's exceed its tensors by 0.7e9), a parameter (weights, gradients, optimizer), four that the forward pass keeps
MEMORY_NAMES = ("log_context_bytes", "log_bytes_per_parameter", "log_bytes_per_activation")
MEMORY_PRIOR_MEAN = np.log(np.array([1.2e9, 16.0, 4.3]))
MEMORY_PRIOR_STD = np.array([0.8, 0.3, 0.3])

_ELEMENT_BYTES = 4.0
# By how much the elements kept may differ from the elements of all layers' outputs, as a logarithm: its standard
# deviation over the 143 networks of which both were counted.
_KEPT_STD = 0.3
# Activations are kept for the backward pass: where a backbone is frozen there is none.
_FROZEN_SHARE = 0.15

_HOST_BASE_BYTES = 3.5e9  # a framework with CUDA loaded and its data pipeline's workers
_BATCHES_IN_FLIGHT = 16.0
_NUDGE = 1e-5  # for slopes by differences


def log_gpu_memory(parameters: Array, table: Table) -> Array:
    """The logarithm of peak GPU memory in bytes, of one GPU."""
    context, per_parameter, per_activation = np.exp(parameters)
    frozen = 1.0 - table.trainable_share
    states = table.parameters * (per_parameter * table.trainable_share + 4.0 * frozen)
    context = context * (1.0 - table.allocator_memory)  # the allocator knows of none
    return np.asarray(np.log(context + states + table.batch_size * _kept_elements(table) * per_activation))


def _kept_elements(table: Table) -> Array:
    """What one sample's forward pass keeps, in elements of four bytes: counted, else taken from the layers' outputs."""
    trained = np.where(table.trainable_share > 0.5, 1.0, _FROZEN_SHARE)  # noqa: PLR2004
    guessed = table.activation_elements * (table.element_bytes / _ELEMENT_BYTES) * trained
    return np.where(table.saved_bytes > 0, table.saved_bytes / _ELEMENT_BYTES, guessed)


def memory_gap_variance(table: Table) -> Array:
    """The variance that the rule's logarithm gains where it is not known what a sample keeps."""
    return np.where(table.saved_bytes > 0, 0.0, _KEPT_STD**2)


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

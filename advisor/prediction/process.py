"""The learned part: a Gaussian process on what the physical mean leaves over.

Its kernel is a sum of effects: of the study or machine (its host, its meter), of the GPU model, of the network, of the
regime the step runs in, each alone and in product with others. What a new row shares with rows that were measured is
carried over as far as the data says that it carries; what it does not share stays uncertain and widens the interval.
That makes calibration from one to three runs of a new partition the same arithmetic as everything else: more rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.prediction.features import Array, Setting, Table
from advisor.prediction.physics import Physics

Labels = NDArray[np.str_]

HERE = "here"  # the study that a site's own runs are: its partitions share meters and ways of running


@dataclass(frozen=True, slots=True)
class Rows:
    """What the kernel compares: labels of groups, and positions in the spaces of regimes, networks and GPUs.

    ``constants`` is by how much the physical mean moves with one prior standard deviation of each of its constants:
    what is not known of a constant is an effect that rows share like any other.
    """

    study: Labels
    site: Labels
    gpu: Labels
    network: Labels
    framework: Labels
    setting: Labels
    ram: Labels
    regime: Array
    shape: Array
    board: Array
    bound: Array
    constants: Array

    def __len__(self) -> int:
        return len(self.study)

    def take(self, which: NDArray[np.int64]) -> Rows:
        """The rows at these positions."""
        return Rows(*(getattr(self, name)[which] for name in self.__slots__))

    def joined(self, others: Rows) -> Rows:
        """These rows, then the others."""
        return Rows(*(np.concatenate([getattr(self, name), getattr(others, name)]) for name in self.__slots__))


def rows_of(table: Table, physics: Physics, constants: Array | None = None) -> Rows:
    """The kernel's view of a table; without ``constants``, these are taken as known."""
    settings = table.settings
    shape = np.stack(
        [
            np.log(table.forward_flops),
            np.log(table.activation_elements),
            np.log(table.parameters),
            np.log(table.layers),
            np.log(table.batch_size),
            2.0 * (table.trainable_share > 0.5),  # noqa: PLR2004
            np.log(table.gpus),
        ],
        axis=1,
    )
    board = np.stack(
        [np.log(table.fp32), np.log(table.bandwidth), np.log(table.tdp_w), np.log(table.peak / table.fp32)], axis=1
    )
    return Rows(
        study=_labels([s.study or HERE for s in settings]),
        site=_labels([s.site for s in settings]),
        gpu=_labels([s.gpu.name for s in settings]),
        network=_labels([s.network for s in settings]),
        framework=_labels([s.framework for s in settings]),
        setting=_labels([_setting_label(s) for s in settings]),
        ram=_labels([f"{s.allocated_memory_bytes / 2**30:.0f}" for s in settings]),
        regime=physics.regime,
        shape=shape,
        board=board,
        bound=physics.sensitivity,
        constants=np.zeros((len(table), 0)) if constants is None else constants,
    )


def _labels(names: Sequence[str]) -> Labels:
    return np.array(names, dtype=np.str_)


def _setting_label(s: Setting) -> str:
    return s.site and (
        f"{s.site}|{s.network}|{s.gpus}|{s.precision}|{s.batch_size:g}|{s.input_elements:.3g}"
        f"|{s.forward_flops:.2g}|{s.train_samples:.2g}"
    )


# The components of the kernel: which labels must agree, in which spaces nearness counts, and which bound of the step
# the effect acts through (a slow host lengthens a step by as much as the step waits for its host).
COMPONENTS: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("study",), (), ""),
    (("site",), (), ""),
    (("gpu",), (), ""),
    (("network",), (), ""),
    (("study",), (), "host"),
    (("study",), (), "compute"),
    (("study",), (), "memory"),
    (("study",), (), "latency"),
    (("site",), (), "host"),
    (("site", "network"), (), "host"),
    (("gpu",), (), "compute"),
    (("gpu",), (), "memory"),
    (("gpu",), (), "latency"),
    (("site",), (), "compute"),
    (("site",), (), "memory"),
    (("site",), (), "latency"),
    (("gpu",), (), "depthwise"),
    (("site",), (), "depthwise"),
    (("network",), (), "depthwise"),
    (("network",), (), "latency"),
    (("network", "framework"), ("regime",), ""),
    ((), ("regime",), ""),
    (("framework",), ("regime",), ""),
    ((), ("shape",), ""),
    ((), ("regime", "shape"), ""),
    ((), ("board", "regime"), ""),
    (("study",), ("shape",), ""),
    (("study",), ("regime", "shape"), ""),
    (("site",), ("regime",), ""),
    (("site",), ("regime", "shape"), ""),
    (("setting",), (), ""),
    (("setting", "ram"), (), ""),
)
SPACES = ("regime", "shape", "board")
BOUNDS = ("host", "compute", "memory", "latency", "depthwise")
# log standard deviation of each component, log length of each space, log noise of one run
INITIAL = np.log(
    np.array([
        0.15, 0.12, 0.08, 0.12, 0.4, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4, 0.4, 0.3, 0.1,
        0.04, 0.02, 0.03, 0.02, 0.02, 0.03, 0.15, 0.1, 0.08, 0.08, 0.03, 0.02, 1.0, 2.0, 1.0, 0.03,
    ])
)  # fmt: skip
# Power, as a logit, differs more between studies and boards (meters, limits, what is averaged), as four or five studies
# cannot tell by themselves: held closer to where they start.
_POWER_EFFECTS = ((0, 0.35), (1, 0.2), (2, 0.25), (3, 0.12), (4, 0.3))
INITIAL_POWER = INITIAL.copy()
INITIAL_POWER[[place for place, _ in _POWER_EFFECTS]] = np.log([size for _, size in _POWER_EFFECTS])
INITIAL_STD = np.full(len(INITIAL), 1.0)
INITIAL_STD[:5] = 0.4
# What all studies share beyond physics is held small: within a study it looks like what that study's programs do alike,
# and a place that nobody knows would be given it.
_SHARED_BY_ALL = [
    i for i, (labels, spaces, _) in enumerate(COMPONENTS) if spaces and not set(labels) & {"study", "site"}
]
INITIAL_STD[_SHARED_BY_ALL] = 0.3
_NEGLIGIBLE = 1e-4  # a component with less of the variance than this is left out of predictions
_RUNS_THAT_TELL = 20.0  # more repeats than this share too much to add anything


def _same(a: Labels, b: Labels) -> NDArray[np.bool_]:
    """Which labels agree. An unknown name, "", is no group at all: only a row itself shares it."""
    codes: dict[str, int] = {}
    of_a = np.array([codes.setdefault(label, len(codes)) for label in a.tolist()], dtype=np.int64)
    of_b = np.array([codes.setdefault(label, len(codes)) for label in b.tolist()], dtype=np.int64)
    same = (of_a[:, None] == of_b[None, :]) & (a != "")[:, None]
    if a is b:
        np.fill_diagonal(same, val=True)
    return np.asarray(same)


def _distance(a: Array, b: Array) -> Array:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    return np.asarray(np.maximum(squared, 0.0))


@dataclass(frozen=True, slots=True)
class Pairs:
    """What two sets of rows share; computed once, used for every trial of the hyper-parameters."""

    same: dict[str, NDArray[np.bool_]]
    distance: dict[str, Array]
    acting: dict[str, Array]
    constants: Array


def pairs_of(a: Rows, b: Rows) -> Pairs:
    """Compare every row of a with every row of b."""
    labels = sorted({label for names, _, _ in COMPONENTS for label in names})
    return Pairs(
        same={name: _same(getattr(a, name), getattr(b, name)) for name in labels},
        distance={name: _distance(getattr(a, name), getattr(b, name)) for name in SPACES},
        acting={name: np.outer(a.bound[:, i], b.bound[:, i]) for i, name in enumerate(BOUNDS)},
        constants=np.asarray(a.constants @ b.constants.T),
    )


def kernel(hyper: Array, pairs: Pairs) -> Array:
    """The covariance of the residuals of two sets of rows: of the components that matter."""
    count = len(COMPONENTS)
    variance = np.exp(2 * hyper[:count])
    near: dict[tuple[str, ...], Array] = {}
    mask: dict[tuple[str, ...], NDArray[np.bool_] | None] = {}
    total = np.zeros_like(pairs.constants)
    for i in np.flatnonzero(variance > _NEGLIGIBLE * variance.sum()):
        names, spaces, bound = COMPONENTS[i]
        if names not in mask:
            shared = np.logical_and.reduce([pairs.same[name] for name in names]) if names else None
            mask[names] = shared
        shared = mask[names]
        if shared is not None and not shared.any():
            continue
        if spaces and spaces not in near:
            lengths = [np.exp(2 * hyper[count + SPACES.index(name)]) for name in spaces]
            exponent = sum(pairs.distance[name] / length for name, length in zip(spaces, lengths, strict=True))
            near[spaces] = np.exp(-0.5 * exponent)
        part = np.multiply(near[spaces], variance[i]) if spaces else np.full_like(total, variance[i])
        if bound:
            part *= pairs.acting[bound]
        if shared is not None:
            part *= shared
        total += part
    return np.asarray(total)


def prior_variance(hyper: Array, rows: Rows) -> Array:
    """The variance of the residual of each row when nothing was measured."""
    total = np.asarray((rows.constants**2).sum(1))
    for i, (_, _, bound) in enumerate(COMPONENTS):
        total += np.exp(2 * hyper[i]) * (rows.bound[:, BOUNDS.index(bound)] ** 2 if bound else 1.0)
    return total


def noise_variance(hyper: Array, runs: Array) -> Array:
    """The variance that the mean of so many repeated runs keeps. Repeats share half of what they differ by."""
    return np.asarray(np.exp(2 * hyper[-1]) / np.minimum(runs, _RUNS_THAT_TELL))


def own_variance(hyper: Array, rows: Rows) -> Array:
    """The part of each row's variance that no other unknown machine shares with it: its host, its way of running."""
    total = np.full(len(rows), float(np.exp(2 * hyper[-1])))
    for i, (names, _, bound) in enumerate(COMPONENTS):
        if "site" in names or "setting" in names:
            total += np.exp(2 * hyper[i]) * (rows.bound[:, BOUNDS.index(bound)] ** 2 if bound else 1.0)
    return total


@dataclass(frozen=True, slots=True)
class Posterior:
    """The residuals of new rows: mean and variance (a new run's own noise included), and what both rest on.

    ``explained`` is (new rows x measured rows): its inner products are what the measured rows explain.
    """

    hyper: Array
    rows: Rows
    mean: Array
    variance: Array
    explained: Array

    def covariance(self, which: NDArray[np.int64]) -> Array:
        """The covariance of the residuals of these of the rows, for comparing them with each other."""
        rows, explained = self.rows.take(which), self.explained[which]
        pairs = pairs_of(rows, rows)
        total = kernel(self.hyper, pairs) + pairs.constants - explained @ explained.T
        total[np.diag_indices_from(total)] = self.variance[which]
        return np.asarray(total)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A Gaussian process conditioned on residuals.

    Its mean is the mean of two: of residuals with the physical constants as fitted, to time and power together, and of
    residuals with the constants free to move once more, as they do for the standard deviation. ``pull`` is where the
    fitted constants stand, in prior standard deviations from their priors. The ``plain`` half is the former.
    """

    hyper: Array
    rows: Rows
    residuals: Array
    runs: Array
    pull: Array
    weights: Array
    inverse_factor: Array
    plain_weights: Array
    plain_inverse_factor: Array

    def predict(self, rows: Rows) -> tuple[Array, Array]:
        """Mean and standard deviation of the residual of each row, a new run's own noise included."""
        found = self.posterior(rows)
        return found.mean, np.sqrt(found.variance)

    def posterior(self, rows: Rows) -> Posterior:
        """What the measured rows say of these."""
        pairs = pairs_of(rows, self.rows)
        plain = kernel(self.hyper, pairs)
        cross = plain + pairs.constants
        mean = 0.5 * (plain @ self.plain_weights + cross @ self.weights - rows.constants @ self.pull)
        explained = cross @ self.inverse_factor.T
        variance = np.maximum(prior_variance(self.hyper, rows) - (explained**2).sum(1), 0.0)
        return Posterior(self.hyper, rows, mean, variance + np.exp(2 * self.hyper[-1]), explained)

    def extended(self, rows: Rows, residuals: Array, runs: Array) -> Fitted:
        """The process conditioned on more rows as well."""
        if not len(rows):
            return self
        return condition(
            self.hyper,
            self.rows.joined(rows),
            np.concatenate([self.residuals, residuals]),
            np.concatenate([self.runs, runs]),
            self.pull,
        )


def condition(hyper: Array, rows: Rows, residuals: Array, runs: Array, pull: Array) -> Fitted:
    """Condition the process on measured residuals; ``runs`` says how many runs each one is the mean of."""
    pairs = pairs_of(rows, rows)
    plain = kernel(hyper, pairs)
    plain[np.diag_indices_from(plain)] += noise_variance(hyper, runs) + 1e-8
    halves = []
    for covariance, values in ((plain + pairs.constants, residuals + rows.constants @ pull), (plain, residuals)):
        inverse_factor = np.linalg.inv(np.linalg.cholesky(covariance))
        halves += [inverse_factor.T @ (inverse_factor @ values), inverse_factor]
    return Fitted(hyper, rows, residuals, runs, pull, *halves)

"""The scale on which power is learned: a logit of its share of the board's limit, so that none is beyond reach."""

from __future__ import annotations

import numpy as np

from advisor.prediction.features import Array, Table
from advisor.prediction.physics import Physics

POWER_CEILING = 1.1  # of the board's limit; what a mean over seconds was ever seen to reach


def power_logit(power_w: Array, tdp_w: Array) -> Array:
    """Power on the scale the process works in: a mean power cannot leave 0 to a little above the limit."""
    share = np.clip(power_w / tdp_w, 1e-3, POWER_CEILING - 0.02)
    return np.asarray(np.log(share / (POWER_CEILING - share)))


def power_from_logit(logit: Array, tdp_w: Array) -> Array:
    """The inverse of ``power_logit``."""
    return np.asarray(POWER_CEILING * tdp_w / (1 + np.exp(-logit)))


def power_slope(mean: Physics, table: Table) -> Array:
    """By how much ``power_logit`` of the physical mean moves with the logarithm of power."""
    return np.asarray(1 / (1 - np.exp(mean.log_power_w) / (POWER_CEILING * table.tdp_w)))

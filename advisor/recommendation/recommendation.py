"""The ranked placements and the reason for each: the value that recommendation hands to rendering and the screen."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.inspection.workload import Workload
from advisor.placement.placement import Rejection
from advisor.prediction.prediction import Estimate, ModelIdentity, Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPlacement:
    """A prediction with its rank (1 is best) and the words that explain it.

    ``match`` is ``under-used`` (below 50% utilisation), ``matched`` or ``strained`` (above 90%), the thresholds of
    arXiv 2307.05520; None where utilisation is unknown. ``carbon_g`` and ``cost`` are None where the site set no rate.

    ``energy_over_first_choice`` is this placement's energy divided by the first choice's, with the interval of that
    ratio; 1 for the first choice. ``probability_least`` is how probably it uses least energy of all that are offered;
    variants that differ in RAM alone have the same. ``expected_regret`` is the share of the objective that choosing it
    is expected to lose against the best. ``tied`` placements cannot be told apart from the first choice.
    """

    rank: int
    prediction: Prediction
    match: str | None
    carbon_g: Estimate | None
    cost: Estimate | None
    energy_over_first_choice: Estimate
    probability_least: float
    expected_regret: float
    tied: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The advice for one submission. ``recommended`` is ``ranked[0]`` or None, then ``no_advice_reason`` says why."""

    workload: Workload
    objective: str
    ranked: tuple[RankedPlacement, ...]
    rejections: tuple[Rejection, ...]
    model: ModelIdentity
    no_advice_reason: str | None = None

    @property
    def recommended(self) -> RankedPlacement | None:
        """The placement of rank 1, or None where nothing can be recommended."""
        return self.ranked[0] if self.ranked and self.no_advice_reason is None else None

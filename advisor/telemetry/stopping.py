"""When a training is to be stopped at the end of an epoch, by what its user asked for. Decides, and touches nothing."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advisor.telemetry.trace import Epoch, Projection, Stop
from advisor.units import GainRule

# Of these less is better; every other metric is a score.
_LOSSES = re.compile(r"loss|error|perplexity|mae|mse|rmse|wer|cer", re.IGNORECASE)
_USUAL = ("val_loss", "eval_loss", "loss", "train_loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRules:
    """What the user asked for; nothing by default. ``budget_on`` is ``spent`` or ``projected``."""

    budget_j: float | None = None
    budget_on: str = "spent"
    gain: GainRule | None = None
    signal: str | None = None


class Judge:
    """Takes epochs as they end; says once why the training should stop, and says it again to whoever asks later."""

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules
        self._budget_stop: Stop | None = None
        self._gain_stop: Stop | None = None
        self._phase = -1
        self._gains: deque[tuple[float, float]] = deque()
        self._metric = rules.gain.metric if rules.gain else None
        self._spent_j = 0.0

    def judge(
        self,
        epoch: Epoch,
        *,
        spent_j: float | None,
        projections: Sequence[Projection],
        metrics: Mapping[str, float],
    ) -> Stop | None:
        """The reason to stop after this epoch. A budget holds for the run; gains begin anew with every phase."""
        if epoch.validation:
            return self._budget_stop
        if epoch.phase != self._phase:
            self._phase, self._gain_stop, self._spent_j = epoch.phase, None, 0.0
            self._gains.clear()
        if self._budget_stop is None:
            self._budget_stop = _stop(epoch, "energy_budget", self._over_budget(spent_j, projections))
        if self._gain_stop is None and epoch.gpu_energy_j is not None:
            self._spent_j += epoch.gpu_energy_j
            self._gain_stop = _stop(epoch, "gain_per_kj", self._too_little_gain(metrics))
        return self._budget_stop or self._gain_stop

    def _over_budget(self, spent_j: float | None, projections: Sequence[Projection]) -> str | None:
        budget_j = self._rules.budget_j
        if budget_j is None:
            return None
        if spent_j is not None and spent_j > budget_j:
            return f"{spent_j:.0f} J are spent, the budget is {budget_j:.0f} J"
        best = projections[-1] if projections else None
        if self._rules.budget_on != "projected" or best is None or best.stable_from is None:
            return None
        # The low end: a training is not given up over what a projection does not know.
        if best.energy_low_j <= budget_j:
            return None
        return (
            f"{best.energy_j:.0f} J ({best.energy_low_j:.0f} to {best.energy_high_j:.0f}) are projected,"
            f" the budget is {budget_j:.0f} J"
        )

    def _too_little_gain(self, metrics: Mapping[str, float]) -> str | None:
        rule = self._rules.gain
        if rule is None:
            return None
        if self._metric is None:
            self._metric = next((name for name in _USUAL if name in metrics), None)
        if self._metric is None or self._metric not in metrics:
            return None
        value = metrics[self._metric]
        score = -value if _LOSSES.search(self._metric) else value
        best = max(score, self._gains[-1][1]) if self._gains else score
        self._gains.append((self._spent_j, best))
        if len(self._gains) <= rule.patience:
            return None
        before_j, before = self._gains.popleft()
        spent_kj = (self._spent_j - before_j) / 1000
        if spent_kj <= 0 or best - before >= rule.per_kj * spent_kj:
            return None
        return (
            f"{self._metric} gained {(best - before) / spent_kj:.3g} per kJ over {rule.patience} epochs,"
            f" less than {rule.per_kj:g}"
        )


def _stop(epoch: Epoch, rule: str, reason: str | None) -> Stop | None:
    if reason is None:
        return None
    return Stop(time_s=epoch.ended_at, phase=epoch.phase, index=epoch.index, rule=rule, reason=reason, by=None)

"""Which of the offered placements comes first, in which order the others follow, and how sure that is.

The first choice is the placement that is expected to lose least against the best one, not the one with the least
predicted value: an uncertain prediction has to promise more to be chosen before a certain one. Placements whose
expected losses are alike, and that cannot be told apart from the first, are ordered by when the run would end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from advisor.prediction.comparison import Aim, Contest, Joint
from advisor.prediction.prediction import Estimate, Prediction
from advisor.recommendation.explanation import may_not_fit

# Placements whose expected losses differ by no more than this share of the best one's value are alike.
ALIKE = 0.02
# Energies that differ by a percent or two are alike to any prediction, and so the shorter run decides: twice the time
# counts as 1.4% of energy, ten times as 5%.
TIE_BREAK = 0.02


@dataclass(frozen=True, slots=True)
class Choice:
    """How the offered placements stand to each other.

    ``order`` are their positions, the first choice first. Of each position: ``regret`` is the share that choosing it is
    expected to lose of the objective, ``least`` how probably it uses least energy, ``tied`` whether it cannot be told
    apart from the first choice.
    """

    order: tuple[int, ...]
    regret: tuple[float, ...]
    least: tuple[float, ...]
    tied: tuple[bool, ...]


def choose(offered: Sequence[Prediction], places: Sequence[int], joint: Joint, aim: Aim) -> Choice:
    """Order placements that are offered; ``places`` are theirs in ``joint``.

    What probably does not fit in the GPU's memory comes after all others.
    """
    contest = joint.contest(aim, places)
    order = sorted(range(len(offered)), key=lambda i: (may_not_fit(offered[i]), contest.regret[i]))
    tied = _tied(joint.over(aim, places[order[0]]), places, first=order[0])
    alike = [i for i in order if i == order[0] or (tied[i] and _is_alike(contest, i, order[0]))]
    alike = [i for i in alike if may_not_fit(offered[i]) == may_not_fit(offered[order[0]])]
    alike.sort(key=dict(zip(alike, _ends_s([offered[i] for i in alike]), strict=True)).__getitem__)
    order = [*alike, *(i for i in order if i not in set(alike))]
    return Choice(
        order=tuple(order),
        regret=tuple(contest.regret.tolist()),
        least=tuple(joint.contest(joint.energy(), places).least.tolist()),
        tied=_tied(joint.over(aim, places[order[0]]), places, first=order[0]),
    )


def aim_of(objective: str, joint: Joint, costs: Mapping[int, tuple[float, float]]) -> Aim:
    """What is to be small.

    ``costs`` gives, for the objective ``cost``, the cost of each row that is offered and the energy's share of it.
    """
    log_energy = joint.log_time_s + joint.log_power_w
    if objective == "time":
        return joint.aim(joint.log_time_s, 1.0, 0.0, measure="time")
    if objective == "edp":
        return joint.aim(log_energy + joint.log_time_s, 2.0, 1.0)
    if objective == "cost":
        cost, share = np.ones(len(log_energy)), np.ones(len(log_energy))
        for row, (value, of_energy) in costs.items():
            cost[row], share[row] = max(value, 1e-300), of_energy
        return joint.aim(np.log(cost), 1.0, share)
    # One carbon intensity for the site: the order of carbon is energy's.
    return joint.aim(log_energy + TIE_BREAK * joint.log_time_s, 1.0 + TIE_BREAK, 1.0)


def _is_alike(contest: Contest, i: int, best: int) -> bool:
    return bool(1.0 + contest.regret[i] <= (1.0 + contest.regret[best]) * (1.0 + ALIKE))


def _tied(beside: Sequence[Estimate], places: Sequence[int], first: int) -> tuple[bool, ...]:
    return tuple(i != first and beside[place].low < 1.0 < beside[place].high for i, place in enumerate(places))


def _ends_s(predictions: Sequence[Prediction]) -> list[float]:
    """When each run would end, as far as all of them are known to start; else how long each one takes."""
    durations_s = [(prediction.duration_s or prediction.epoch_duration_s).value for prediction in predictions]
    starts = [prediction.placement.expected_start for prediction in predictions]
    if any(start is None for start in starts) or any(prediction.duration_s is None for prediction in predictions):
        return durations_s
    times_s = [datetime.fromisoformat(start).timestamp() for start in starts if start is not None]
    return [start_s + duration_s for start_s, duration_s in zip(times_s, durations_s, strict=True)]

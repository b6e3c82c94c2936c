"""What is tried at a submission: the first choice, and after a refusal the next ones that the cluster still offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from advisor.errors import AdvisorError
from advisor.inventory.read import default_cache_dir
from advisor.placement.candidates import candidate_placements
from advisor.placement.placement import Placement
from advisor.recommendation.recommendation import RankedPlacement
from advisor.rendering.picks import Pick
from advisor.workflows.advise import Advice, picks_for
from advisor.workflows.cluster import read_cluster

# A refusal often has a reason that lies in no placement: an account, a limit. Each attempt is one more call of sbatch.
MOST_TRIED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A placement and the picks that enforce it."""

    ranked: RankedPlacement
    picks: tuple[Pick, ...]

    @property
    def where(self) -> str:
        """The placement in a few words."""
        placement = self.ranked.prediction.placement
        return f"{placement.gpus} x {placement.gpu.name} in {placement.partition}"


def choices(advice: Advice) -> Iterator[Choice]:
    """The first choice, then the next ones by rank, at most ``MOST_TRIED``; none where advice picks nothing.

    The cluster is read again before the second one, whatever the cache holds: a partition may have gone down since.
    Placements that differ in their RAM alone are one choice.
    """
    best = advice.recommendation.recommended
    if best is None or not advice.picks:
        return
    yield Choice(ranked=best, picks=advice.picks)
    tried = {_gpus_and_place(best.prediction.placement)}
    offered = _offered_now(advice)
    for ranked in advice.recommendation.ranked[1:]:
        where = _gpus_and_place(ranked.prediction.placement)
        if len(tried) == MOST_TRIED:
            return
        if where in tried or (offered is not None and where not in offered):
            continue
        tried.add(where)
        yield Choice(ranked=ranked, picks=picks_for(advice.job, ranked, advice.inventory))


def _offered_now(advice: Advice) -> set[tuple[object, ...]] | None:
    """What the cluster offers at this moment; None where it cannot be asked."""
    job = advice.job
    try:
        inventory = read_cluster(
            job.settings,
            cache_dir=None if job.is_test else default_cache_dir(job.environment),
            max_age_s=0.0,
            request=job.asked.request,
        )
    except AdvisorError:
        return None
    found = candidate_placements(advice.recommendation.workload, inventory, job.asked.request)
    return {_gpus_and_place(placement) for placement in found.placements}


def _gpus_and_place(placement: Placement) -> tuple[object, ...]:
    return placement.partition, placement.gres_type, placement.gpus, placement.nodes

"""The cluster as the calling user may use it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from advisor import slurm
from advisor.account import user_name
from advisor.inventory.model import Inventory
from advisor.inventory.read import DEFAULT_MAX_AGE_S, read_inventory
from advisor.inventory.site_gpus import catalogue_with
from advisor.request.placement_request import Request
from advisor.settings import Settings


def read_cluster(
    settings: Settings,
    *,
    cache_dir: Path | None,
    max_age_s: float = DEFAULT_MAX_AGE_S,
    request: Request = Request(),  # noqa: B008 (frozen)
) -> Inventory:
    """The described cluster or Slurm's.

    Args:
        settings: which cluster, and how it is asked.
        cache_dir: see ``read_inventory``.
        max_age_s: see ``read_inventory``.
        request: names the account and QOS whose limits count.

    Raises:
        AdvisorError: see ``read_inventory``.
    """
    return read_inventory(
        described=settings.inventory,
        backend=settings.backend,
        user=user_name(),
        catalogue=catalogue_with(settings.gpu_catalogue),
        cache_dir=cache_dir,
        max_age_s=max_age_s,
        account=request.account,
        qos=request.qos,
        run=partial(slurm.run, timeout_s=settings.slurm_timeout_s),
    )

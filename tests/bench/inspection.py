"""How many facts of the script set inspection gets right, and what asking costs: one fresh process a script.

    python -m tests.bench.inspection [--only NAME ...] [--static] [--patient] [--folder FOLDER] [--json]

Scripts and truth are those of tests/inspection, or of a folder that is laid out alike. Each is inspected in a copy
of its folder. ``--static`` leaves the dry run out. Wrong is a value that is none of the right answers, unknown is none
given; time is the inspection's wall time, memory the largest peak of a process that it started.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from advisor.inspection.bounds import BEFORE_SUBMISSION, Bounds
from advisor.inspection.inspect import ScriptToInspect, inspect
from advisor.inspection.workload import Source, Workload
from advisor.units import MIB
from tests.inspection.truth import HERE, Script, script_set

ROOT = Path(__file__).parents[2]
FLOPS_TOLERANCE = 0.03
NOT_TRAINING = ("parameters", "batch_size", "train_samples", "epochs", "steps", "training_flops_per_sample")
UNKNOWN = "unknown"
VERDICTS = ("right", "wrong", "unknown")


def is_right(fact: str, answer: Any, accepted: Iterable[Any]) -> bool:
    """Whether an answer is one of the accepted: FLOPs within 3%, names whatever their case, all else equal."""
    if fact.endswith("flops_per_sample"):
        return any(math.isclose(answer, value, rel_tol=FLOPS_TOLERANCE) for value in accepted if value != UNKNOWN)
    if isinstance(answer, str):
        return answer.lower() in accepted
    return answer in accepted


def judged(script: Script, workload: Workload) -> dict[str, dict[str, Any]]:
    """Each fact's verdict, what was answered with its source, and what is right.

    Of a script that trains nothing, unknown is the right answer, fact by fact; of others where it is among the answers.
    """
    verdicts = {}
    for fact in script.facts or NOT_TRAINING:
        found = getattr(workload, fact)
        accepted = script.facts.get(fact, ())
        known = found.source is not Source.UNKNOWN
        right = is_right(fact, found.value, accepted) if known else not script.trains or UNKNOWN in accepted
        verdicts[fact] = {
            "verdict": "right" if right else "wrong" if known else "unknown",
            "answer": found.value,
            "source": found.source.value,
            "right": list(accepted),
        }
    return verdicts


def inspected(script: Script, *, static: bool, bounds: Bounds = BEFORE_SUBMISSION) -> dict[str, Any]:
    """Inspect one script in a copy of its folder, with a cache of its own, and judge every fact."""
    python = script.interpreter()
    if python is None:
        raise SystemExit("no interpreter with PyTorch: run tests/frameworks.sh")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "scripts"
        shutil.copytree(script.path.parents[script.name.count("/")], folder)
        copy = folder / f"{script.name}.py"
        os.chdir(copy.parent)
        begun = time.perf_counter()
        workload = inspect(
            ScriptToInspect(path=copy, arguments=script.arguments, interpreter=(python,)),
            options={},
            directives={},
            probe="off" if static else "auto",
            environment={**os.environ, **script.environment, "XDG_CACHE_HOME": f"{scratch}/cache"},
            tell=lambda _line: None,
            bounds=bounds,
        )
        seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {
        "name": script.name,
        "where": script.where,
        "seconds": round(seconds, 2),
        "peak_memory_bytes": peak,
        "facts": judged(script, workload),
        "notes": list(workload.notes),
    }


def inspected_alone(script: Script, folder: Path, *, static: bool, patient: bool = False) -> dict[str, Any]:
    """Inspect in a process of its own: its children's peak memory is then this script's."""
    flags = [*(["--static"] if static else []), *(["--patient"] if patient else [])]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.inspection", "--alone", script.name, "--folder", str(folder), *flags],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        facts = {
            fact: {"verdict": "unknown", "answer": None, "source": "crash", "right": list(accepted)}
            for fact, accepted in script.facts.items()
        }
        return {"name": script.name, "where": script.where, "seconds": 0.0, "peak_memory_bytes": 0, "facts": facts,
                "notes": [f"inspection itself failed: {done.stderr[-600:]}"]}  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def counted(results: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Facts by verdict."""
    return Counter(fact["verdict"] for result in results for fact in result["facts"].values())


def printed(result: Mapping[str, Any]) -> str:
    """One script's line, and a line for each fact that is not right."""
    counts = counted([result])
    verdicts = ", ".join(f"{counts[name]} {name}" for name in VERDICTS)
    cost = f"{result['seconds']:.1f} s, {result['peak_memory_bytes'] / MIB:.0f} MiB"
    lines = [f"{result['name']}: {verdicts}; {cost}"]
    for name, fact in result["facts"].items():
        if fact["verdict"] != "right":
            answer = f"{fact['answer']} ({fact['source']})" if fact["verdict"] == "wrong" else ""
            right = " or ".join(str(value) for value in fact["right"])
            lines.append(f"    {fact['verdict']} {name}: {answer} is {right or 'unknown'}")
    return "\n".join([*lines, *(f"    note: {note}" for note in result["notes"] if counts["right"] < counts.total())])


def totals(results: list[dict[str, Any]]) -> str:
    """A Markdown table of the verdicts and of what it costs, by interpreter and in all."""
    lines = ["| scripts | facts | right | wrong | unknown | median s | most s | most MiB |", "|" + "---|" * 8]
    for where in ("tensorflow", "frameworks", None):
        chosen = [result for result in results if where in (None, result["where"])]
        if not chosen:
            continue
        counts, seconds = counted(chosen), sorted(result["seconds"] for result in chosen)
        shares = " | ".join(f"{counts[name]} ({counts[name] / counts.total():.1%})" for name in VERDICTS)
        peak = max(result["peak_memory_bytes"] for result in chosen) / MIB
        lines.append(
            f"| {len(chosen)} {where or 'in all'} | {counts.total()} | {shares} "
            f"| {seconds[len(seconds) // 2]:.1f} | {seconds[-1]:.1f} | {peak:.0f} |"
        )
    return "\n".join(lines)


def by_fact(results: list[dict[str, Any]]) -> str:
    """A Markdown table of the verdicts by fact."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        for name, fact in result["facts"].items():
            counts.setdefault(name, Counter())[fact["verdict"]] += 1
    rows = [f"| {name} | {' | '.join(str(count[verdict]) for verdict in VERDICTS)} |" for name, count in counts.items()]
    return "\n".join(["| fact | right | wrong | unknown |", "|---|---|---|---|", *rows])


def main() -> None:
    """Inspect the scripts one after another and print what was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="names as in truth/declared.toml")
    parser.add_argument("--static", action="store_true", help="leave the dry run out")
    parser.add_argument("--patient", action="store_true", help="longer than a submission waits: for a busy machine")
    parser.add_argument("--folder", type=Path, default=HERE, help="holds scripts/ and truth/")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    scripts = script_set(asked.folder.resolve())
    if asked.alone:
        (script,) = [script for script in scripts if script.name == asked.alone]
        bounds = Bounds(wall_s=120.0) if asked.patient else BEFORE_SUBMISSION
        print(json.dumps(inspected(script, static=asked.static, bounds=bounds)))
        return
    results = []
    for script in scripts:
        if asked.only and script.name not in asked.only:
            continue
        results.append(inspected_alone(script, asked.folder.resolve(), static=asked.static, patient=asked.patient))
        if not asked.json:
            print(printed(results[-1]), flush=True)
    print(json.dumps(results, indent=1) if asked.json else f"\n{totals(results)}\n\n{by_fact(results)}")


if __name__ == "__main__":
    main()

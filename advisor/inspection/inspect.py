"""All evidence of what a script will train, laid over one another, the strongest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from advisor.inspection.bounded_call import OutOfBounds, bounded_call
from advisor.inspection.bounds import BEFORE_SUBMISSION, Bounds
from advisor.inspection.cache import Question, dry_run_once
from advisor.inspection.dry_run import PUBLISHED, DryRun
from advisor.inspection.evidence import Facts, merge
from advisor.inspection.facts import read_facts
from advisor.inspection.frameworks import TRAINING
from advisor.inspection.source_code import SourceReading, Spread, read_source
from advisor.inspection.workload import Contender, Fact, Source, Workload
from advisor.settings import IN_JOB, NEVER

NAMES: Mapping[Source, str] = {
    Source.OPTION: "--set", Source.DIRECTIVE: "#GSBATCH", Source.PROBE: "dry run",
    Source.PUBLISHED: "published size of the data set", Source.LAUNCHER: "launcher",
    Source.ARGUMENTS: "arguments", Source.CONFIGURATION: "configuration file", Source.SOURCE_CODE: "source code",
    Source.DEFAULT: "framework's default", Source.TABLE: "well-known model", Source.HISTORY: "earlier jobs",
    Source.UNKNOWN: "unknown",
}  # fmt: skip
_NAMES = frozenset(item.name for item in fields(Workload)) - {"notes"}
_NOT_HERE = frozenset({"off", IN_JOB, NEVER})
_FOLD_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptToInspect:
    """A Python script as the job will run it: absolute path, its arguments, the interpreter's absolute words.

    ``module`` is its name where it is run as ``python -m``. ``folder`` is the job's working folder. ``processes`` is
    how many a launcher starts, each with its own batches; ``variables`` are what it and the batch script set in the
    environment of one that is alone. ``gpus`` is how many it sees. ``facts`` are what the launcher says, ``notes`` what
    a person should know of how the script was found. ``opaque`` says why it cannot be dry-run as the job will run it.
    ``kept`` holds what the file needs to exist for as long as this value does.
    """

    path: Path
    arguments: tuple[str, ...]
    interpreter: tuple[str, ...]
    module: str | None = None
    folder: Path = field(default_factory=Path.cwd)
    processes: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    opaque: str | None = None
    gpus: int = 1
    kept: object = None


def inspect(
    script: ScriptToInspect | str,
    *,
    options: Mapping[str, str],
    directives: Mapping[str, str],
    probe: str,
    environment: Mapping[str, str],
    tell: Callable[[str], None],
    cache_dir: Path | None = None,
    history: Facts | None = None,
    bounds: Bounds = BEFORE_SUBMISSION,
    watch: Callable[[str], None] | None = None,
) -> Workload:
    """Find the facts of a training script.

    Args:
        script: in words why there is no Python script to look at, where there is none.
        options: facts of ``--set``, name to text.
        directives: facts of ``#GSBATCH`` lines, name to text.
        probe: ``auto`` dry-runs where the kernel can confine it, ``on`` everywhere, ``off`` nowhere, ``job`` not here;
            ``fresh`` is ``auto`` without what earlier dry runs found.
        environment: the user's.
        tell: is told in one line what is dry-run, before it starts.
        cache_dir: where dry runs are remembered; None remembers none.
        history: what earlier jobs of the same script are known to have trained.
        bounds: the most a dry run may use.
        watch: is told every second what the dry run is doing, and "" once it has ended.

    Raises:
        UsageError: a stated fact has a mistake.
    """
    stated = {**read_facts(directives, Source.DIRECTIVE), **read_facts(options, Source.OPTION)}
    known = history or {}
    if isinstance(script, str):
        return _workload(merge([stated, known]), (script,))
    reading = _read(script, environment)
    if reading.imported is None or reading.imported & TRAINING or probe in _NOT_HERE or script.opaque is not None:
        # Processes that the script starts itself run one after another: with one GPU it starts one, which has all rows.
        script = replace(script, gpus=1) if reading.spawns else script
        probed, notes = _probed(script, probe, environment, tell, cache_dir=cache_dir, bounds=bounds, watch=watch)
    else:
        probed, notes = {}, ("it imports no framework that is known here: state its facts with --set",)
    processes = _processes(script, reading)
    devices = _devices(probed, script, reading)
    probed = _of_all_processes({name: fact for name, fact in probed.items() if name not in devices}, processes)
    read = _of_all_processes(reading.facts, script.gpus if reading.spread is Spread.DATA_PARALLEL else processes)
    facts = merge([stated, script.facts, devices, probed, read, reading.table, known])
    notes = (*script.notes, *notes, *(reading.notes if not probed else ()), *_disagreement(facts))
    return _workload(facts, notes)


def _read(script: ScriptToInspect, environment: Mapping[str, str]) -> SourceReading:
    """What the source says."""

    def read() -> SourceReading:
        return read_source(
            script.path,
            script.arguments,
            environment={**environment, **script.variables},
            folder=script.folder,
            # A program that is given as text finds its modules in the working folder, as one of ``python -m`` does.
            module=script.module if script.kept is None else "__main__",
        )

    try:
        return bounded_call(read)
    except OutOfBounds:
        note = "its source takes too long or too much memory to read"
        return SourceReading(facts={}, notes=(note,), files=(), table={}, trains=False, imported=None)


def _probed(
    script: ScriptToInspect,
    probe: str,
    environment: Mapping[str, str],
    tell: Callable[[str], None],
    *,
    cache_dir: Path | None,
    bounds: Bounds,
    watch: Callable[[str], None] | None,
) -> tuple[dict[str, Fact[Any]], tuple[str, ...]]:
    """What the dry run finds, where there is one."""
    if probe in _NOT_HERE:
        return {}, ()
    if script.opaque is not None:
        return {}, (f"not dry-run: {script.opaque}",)
    question = Question(
        script=script.path,
        arguments=script.arguments,
        interpreter=script.interpreter,
        environment={**environment, **script.variables},
        module=script.module,
        folder=script.folder,
        gpus=script.gpus,
    )
    found = dry_run_once(
        question,
        folder=cache_dir,
        afresh=probe == "fresh",
        unconfined=probe == "on",
        tell=tell,
        bounds=bounds,
        watch=watch,
    )
    return probed_facts(found)


def _processes(script: ScriptToInspect, reading: SourceReading) -> int:
    """How many processes train together: those of the launcher, else those that Lightning starts, one for each GPU."""
    is_spread = script.processes == 1 and reading.spread is Spread.PROCESSES
    return script.gpus if is_spread else script.processes


def _devices(probed: Facts, script: ScriptToInspect, reading: SourceReading) -> Facts:
    """Devices that no dry run shows: all GPUs where a trainer takes all that it finds, else the one that was seen."""
    if script.gpus > 1 and reading.spread is not None:
        return {"devices": Fact(script.gpus, Source.LAUNCHER)}
    return {"devices": Fact(1, Source.DEFAULT)} if probed and not {"strategy", "devices"} & probed.keys() else {}


def _of_all_processes(facts: Facts, processes: int) -> dict[str, Fact[Any]]:
    """Facts of one process of several: each takes its own batch, so that a step sees all of them.

    Whether they share the samples or each takes all is not known, and with that how many steps they take; how many
    devices there are is the launcher's to say.
    """
    found = {name: fact for name, fact in facts.items() if processes == 1 or name not in {"steps", "devices"}}
    counts_all = "devices" in facts and int(facts["devices"].value or 1) > 1  # then the batch is that of all of them
    if processes > 1 and "batch_size" in found and not counts_all:
        one = found["batch_size"]
        found["batch_size"] = Fact(int(one.value or 1) * processes, one.source)
    return found


def _disagreement(facts: Mapping[str, Fact[Any]]) -> tuple[str, ...]:
    """One line on what sources disagree about, so that no value wins in silence."""
    parts = []
    for name, fact in facts.items():
        if fact.others and fact.source not in {Source.OPTION, Source.DIRECTIVE}:
            values = [Contender(fact.value, fact.source), *fact.others]
            parts.append(f"{name} ({', '.join(f'{item.value} {NAMES[item.source]}' for item in values)})")
    return (f"sources disagree, the first is taken: {'; '.join(parts)}",) if parts else ()


def _workload(facts: Mapping[str, Any], notes: tuple[str, ...]) -> Workload:
    return Workload(**facts, notes=notes)


# What is not known of trainings in a loop that a dry run did not see the end of.
_LENGTHS = ("epochs", "steps")


def probed_facts(found: DryRun) -> tuple[dict[str, Fact[Any]], tuple[str, ...]]:
    """The facts of the training that costs most, and what a person should know of the dry run.

    Phases that train on as many samples with the same model size (frozen first, then fine-tuned; further epochs) are
    one training: epochs and steps are added, training FLOPs are the mean over its epochs, so that the whole costs what
    it costs; all else is the dearest phase's. Phases of other data or models cannot be told in one workload, and are
    noted. A training whose end was not reached has no length, but a network and a batch size.
    """
    notes = _notes(found)
    trained = [phase for phase in found.phases if "epochs" in phase or "seen_samples" in phase]
    trained = trained or [phase for phase in found.phases if "optimizer" in phase or "gradient_accumulation" in phase]
    if not trained:
        return {}, tuple(notes)
    main = max(trained, key=_cost)
    alike = [phase for phase in trained if _is_alike(phase, main)]
    dearest = max(alike, key=lambda phase: float(phase.get("training_flops_per_sample") or 0))
    values = {name: value for name, value in dearest.items() if name in _NAMES}
    if len(alike) > 1:
        values.update(_together(alike))
        notes.append(f"{len(alike)} fits of one network: their epochs are added, their training FLOPs are the mean")
    if any(phase.get("cut_short") for phase in alike):
        values.update(dict.fromkeys(_LENGTHS))
    if len(alike) < len(trained):
        notes.append(f"{len(trained) - len(alike)} further fits train another network or other data: not counted")
    values = {name: value for name, value in values.items() if value is not None}
    if "input_shape" in values:
        values["input_shape"] = tuple(values["input_shape"])
    published = main.get(PUBLISHED, ())
    sources = {name: Source.PUBLISHED if name in published else Source.PROBE for name in values}
    return {name: Fact(value, sources[name]) for name, value in values.items()}, tuple(notes)


def _together(alike: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Epochs and steps of all phases, and the cost that a sample has over all of them; None for what one lacks."""
    epochs = [int(phase.get("epochs", 0)) for phase in alike]
    steps = [phase.get("steps") for phase in alike]
    flops = [phase.get("training_flops_per_sample") for phase in alike]
    costs = [float(each) * number for each, number in zip(flops, epochs, strict=True) if each is not None]
    return {
        "epochs": sum(epochs),
        "steps": None if None in steps else sum(int(each) for each in steps if each),
        "training_flops_per_sample": sum(costs) / sum(epochs) if len(costs) == len(alike) and any(epochs) else None,
    }


def _cost(phase: Mapping[str, Any]) -> float:
    samples = phase.get("seen_samples") or (phase.get("train_samples") or 1) * (phase.get("epochs") or 1)
    return float(samples) * float(phase.get("training_flops_per_sample") or phase.get("parameters") or 1)


def _is_alike(phase: Mapping[str, Any], main: Mapping[str, Any]) -> bool:
    samples, most = phase.get("train_samples"), main.get("train_samples")
    # The folds of a cross-validation differ by a sample or two.
    same_samples = samples == most or (
        samples is not None and most is not None and abs(samples - most) <= max(_FOLD_TOLERANCE * most, 1)
    )
    return same_samples and all(phase.get(name) == main.get(name) for name in ("parameters", "input_shape"))


def _notes(found: DryRun) -> list[str]:
    """What a person should know of a dry run: first where and by what it ended, if it found less for that."""
    if found.ended == "unconfined":
        return ["not dry-run: it cannot be confined here (gsadmin doctor says why; --probe runs it all the same)"]
    ending = _ending(found)
    if found.phases:
        # What a script does after its training (plots, a test) may well fail here, and costs no fact.
        is_cut = found.ended.startswith("error") and not any("steps" in phase for phase in found.phases)
        return [*([f"{ending}: how long the training is stays unknown"] if is_cut else []), *found.notes]
    return [ending, *found.notes]


def _ending(found: DryRun) -> str:
    how, _, rest = found.ended.partition(" ")
    if how == "error":
        place, _, error = rest.partition(": ")
        if error.startswith("EOFError"):
            return f"the script asks for input at {place}, which neither a dry run nor a job can answer"
        return f"the dry run ended in the script's own code at {place}: {error}" if error else f"it ended with {rest}"
    if how == "exit":
        code, _, place = rest.partition(" at ")
        where = f" at {place}" if place else ""
        return f"the script itself ended{where} with exit status {code}, before a training began"
    reasons = {
        "interrupted": "the dry run was interrupted before a training began",
        "time": "the dry run took too long to get to a training",
        "killed": "the dry run was ended by the system: too much memory or CPU time, or Python did not start",
        "end": "the script came to its end without a training",
    }
    return reasons.get(found.ended, f"the dry run ended before a training began: {found.ended}")

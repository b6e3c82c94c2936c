"""Trainings that a library runs: Keras's ``fit``, Hugging Face's Trainer, Lightning, accelerate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from advisor.inspection.reading.datasets import Loader, loader_of, samples_of
from advisor.inspection.reading.found import (
    HUGGING_FACE,
    LIGHTNING,
    Found,
    certain,
    chosen,
    is_of,
    is_optimizer,
    last_name,
    optimizer_name,
)
from advisor.inspection.reading.values import (
    UNKNOWN,
    Call,
    Function,
    Instance,
    Made,
    Rows,
    Value,
    plain,
    tagged,
    with_source,
)
from advisor.inspection.workload import Source

if TYPE_CHECKING:
    from advisor.inspection.reading.resolve import Resolver

_KERAS_BATCH = 32
_HF_EPOCHS = 3
_HF_ARGUMENTS = {
    "batch_size": ("per_device_train_batch_size", 8),
    "gradient_accumulation": ("gradient_accumulation_steps", 1),
    "loader_workers": ("dataloader_num_workers", 0),
}
_KERAS_POLICIES = {"mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float32", "float64"}
_LIGHTNING_PRECISION = {
    "32": "float32", "32-true": "float32", "16": "mixed_float16", "16-mixed": "mixed_float16",
    "bf16": "mixed_bfloat16", "bf16-mixed": "mixed_bfloat16", "16-true": "float16", "bf16-true": "bfloat16",
    "64": "float64", "64-true": "float64",
}  # fmt: skip


def read_keras(calls: Sequence[Call], found: Found) -> bool:
    """Say what Keras's ``fit`` does; False where none is called."""
    fits = [call for call in calls if call.name in {".fit", ".fit_generator"} and _may_be_keras(call.made.receiver)]
    sure = certain(fits)
    if not fits:
        return False
    if sure:
        _say_fits(sure, found)
    compiles = [call.made for call in calls if call.name == ".compile" and _may_be_keras(call.made.receiver)]
    names = [
        # A class with a compile of its own has optimizers of its own, which it need not tell Keras.
        optimizer_name(calls)
        if _is_super(made.receiver) and made.word("optimizer", 0) is None
        else _keras_optimizer(made.word("optimizer", 0, "rmsprop"))
        for made in compiles
    ]
    found.say("optimizer", chosen(names))
    policies = [
        call.made.word("policy", 0)
        for call in calls
        if last_name(call) in {"set_global_policy", "set_dtype_policy", "set_policy"}
    ]
    policy = chosen(policies)
    if policy is None:
        found.say("precision", "float32", Source.DEFAULT)
    elif policy in _KERAS_POLICIES:
        found.say("precision", policy)
    return True


def _is_super(value: Value) -> bool:
    """Whether a method was called on ``super()``."""
    return isinstance(value, Made) and value.name == "builtins.super"


def _may_be_keras(value: Value) -> bool:
    """Whether ``fit`` may be a Keras model's: known estimators of other libraries are not."""
    return not (isinstance(value, Made) and is_of(value, "sklearn", "xgboost", "lightgbm", *LIGHTNING))


def _keras_optimizer(value: Value) -> Value:
    if isinstance(value, str):
        return plain(value).lower()
    if is_optimizer(value):
        return last_name(value).lower()
    if isinstance(value, Made) and last_name(value) == "LossScaleOptimizer" and value.args:
        return _keras_optimizer(value.args[0])
    return UNKNOWN


def _say_fits(fits: Sequence[Call], found: Found) -> None:
    epochs = [_fit_epochs(call) for call in fits]
    loaders = [_fit_loader(call.made) for call in fits]
    is_one_model = len({id(call.made.receiver) for call in fits}) == 1
    is_alike = is_one_model or isinstance(chosen(loader.samples for loader in loaders), int)
    if is_alike and all(isinstance(item, int) for item in epochs):
        stated = any("epochs" in call.made.kwargs for call in fits)
        found.say(
            "epochs", with_source(sum(int(plain(item)) for item in epochs), *epochs), None if stated else Source.DEFAULT
        )
    found.say("batch_size", chosen(loader.batch_size for loader in loaders))
    found.say("train_samples", chosen(loader.samples for loader in loaders))
    found.say("data_loading", chosen(loader.loading for loader in loaders))
    found.say("validation_samples", chosen(_validation(call.made) for call in fits))
    if len(fits) > 1:
        how = (
            "their epochs are added"
            if is_alike
            else "of several networks on different data, whose epochs are not added"
        )
        found.notes.append(f"its source calls fit {len(fits)} times: {how}")


def _fit_epochs(call: Call) -> Value:
    epochs, first = call.made.word("epochs", 3, 1), call.made.word("initial_epoch", default=0)
    if not isinstance(epochs, int) or not isinstance(first, int):
        return UNKNOWN
    total: Value = with_source(epochs - first, epochs, first)
    for loop in call.loops:
        if not isinstance(loop.rounds, int):
            return UNKNOWN
        total = with_source(total * loop.rounds, total, loop.rounds)
    return total


def _fit_loader(made: Made) -> Loader:
    data = made.word("x", 0, made.word("generator"))
    steps, size = made.word("steps_per_epoch"), made.word("batch_size", 2)
    loader = loader_of(data)
    if loader is not None:
        samples = loader.samples if steps is None else _product(steps, loader.batch_size)
        return Loader(loader.batch_size, samples, loading=loader.loading)
    is_array = isinstance(data, Rows) or (isinstance(data, list | tuple | dict) and samples_of(data) is not UNKNOWN)
    if size is None:
        size = _KERAS_BATCH if is_array else UNKNOWN
    samples = samples_of(data) if steps is None else UNKNOWN
    split = made.word("validation_split", default=0.0)
    if isinstance(samples, int) and isinstance(split, float) and split > 0:
        samples = int(samples * (1.0 - split))
    elif not isinstance(split, int | float):
        samples = UNKNOWN
    return Loader(size, samples, loading="memory" if is_array else UNKNOWN)


def _validation(made: Made) -> Value:
    data, split = made.word("validation_data"), made.word("validation_split", default=0.0)
    if data is None and isinstance(split, int | float):
        samples = samples_of(made.word("x", 0))
        if not split:
            return 0
        return samples - int(samples * (1.0 - split)) if isinstance(samples, int) else UNKNOWN
    loader = loader_of(data)
    return samples_of(data) if loader is None else loader.samples


def _product(one: Value, other: Value) -> Value:
    return with_source(one * other, one, other) if isinstance(one, int) and isinstance(other, int) else UNKNOWN


def read_huggingface(calls: Sequence[Call], found: Found) -> bool:
    """Say what a Hugging Face Trainer does; False where none is made."""
    trainers = [call.made for call in calls if last_name(call).endswith("Trainer") and is_of(call, *HUGGING_FACE)]
    trainers += [
        call.made.receiver.made for call in calls if call.name == ".train" and _is_own_trainer(call.made.receiver)
    ]
    if not trainers:
        return False
    if len(trainers) > 1:
        found.notes.append("its source makes several Trainers: their arguments are not read")
        return True
    trainer = trainers[0]
    arguments = _words(trainer.word("args", 1))
    if arguments is None:
        return True
    steps = arguments.word("max_steps", default=-1)
    if isinstance(steps, int) and steps > 0:
        found.say("steps", steps)
    elif isinstance(steps, int):
        epochs = arguments.word("num_train_epochs", default=_HF_EPOCHS)
        whole = isinstance(epochs, int | float) and float(epochs).is_integer()
        found.say(
            "epochs",
            with_source(int(epochs), epochs) if whole else UNKNOWN,
            _default_unless(arguments, "num_train_epochs"),
        )
    for fact, (name, default) in _HF_ARGUMENTS.items():
        found.say(fact, arguments.word(name, default=default), _default_unless(arguments, name))
    found.say("precision", _hf_precision(arguments))
    found.say("optimizer", _hf_optimizer(trainer, arguments), _default_unless(arguments, "optim"))
    found.say("train_samples", samples_of(trainer.word("train_dataset", 3)))
    return True


def _is_own_trainer(value: Value) -> bool:
    return isinstance(value, Instance) and value.kind.derives_from("Trainer", "Seq2SeqTrainer")


def _words(arguments: Value) -> Made | None:
    made = arguments.made if isinstance(arguments, Instance) else arguments
    return made if isinstance(made, Made) and not made.name.startswith(".") else None


def _default_unless(arguments: Made, name: str) -> Source | None:
    return None if name in arguments.kwargs else Source.DEFAULT


def _hf_precision(arguments: Made) -> Value:
    half, brain = arguments.word("fp16", default=False), arguments.word("bf16", default=False)
    if half is True or brain is True:
        return "mixed_float16" if half is True else "mixed_bfloat16"
    return "float32" if half is False and brain is False else UNKNOWN


def _hf_optimizer(trainer: Made, arguments: Made) -> Value:
    if trainer.word("optimizers") is not None or trainer.word("optimizer_cls_and_kwargs") is not None:
        return UNKNOWN
    name = arguments.word("optim", default="adamw_torch")
    return plain(name).split("_")[0] if isinstance(name, str) else UNKNOWN


def read_lightning(calls: Sequence[Call], found: Found, reader: Resolver) -> bool:
    """Say what a Lightning Trainer does; False where none fits."""
    fits = [
        call
        for call in calls
        if call.name == ".fit" and isinstance(call.made.receiver, Made) and is_of(call.made.receiver, *LIGHTNING)
    ]
    if not fits:
        return _is_lightning_cli(calls, found, reader)
    trainer, fit = fits[0].made.receiver, fits[0].made
    if len(fits) > 1 or fits[0].loops:
        found.notes.append("its source fits several times: epochs are not read")
    else:
        _say_lightning_length(trainer, found)
    devices = _say_lightning_trainer(trainer, found)
    module = fit.word("model", 0)
    owners = (fit.word("datamodule", 3), module)
    loaders = [fit.word("train_dataloaders", 1), *(_own(item, "train_dataloader", reader) for item in owners)]
    loader = next((item for value in loaders if (item := loader_of(_first(value))) is not None), None)
    if loader is not None:
        found.say("batch_size", _product(loader.batch_size, devices))
        is_cut = any(trainer.word(name) is not None for name in ("limit_train_batches", "overfit_batches"))
        found.say("train_samples", UNKNOWN if is_cut else loader.samples)
        found.say("loader_workers", loader.workers)
    found.say("optimizer", optimizer_name(_made_in(module, "configure_optimizers", reader)))
    return True


def _is_lightning_cli(calls: Sequence[Call], found: Found, reader: Resolver) -> bool:
    """``LightningCLI(Model, Data)`` trains as its command line says; False where there is none."""
    made = [call.made for call in calls if last_name(call) == "LightningCLI"]
    words = dict(
        word.removeprefix("--").partition("=")[::2] for word in reader.arguments if word.startswith("--trainer.")
    )
    if made and words.get("trainer.max_epochs", "").isdecimal():
        found.say("epochs", tagged(int(words["trainer.max_epochs"]), Source.ARGUMENTS))
    return bool(made)


def _say_lightning_trainer(trainer: Made, found: Found) -> Value:
    """Say what the Trainer's arguments say; how many devices it uses, each with its own batches, 1 where unsaid."""
    precision = str(plain(trainer.word("precision", default="32-true")))
    found.say("precision", _LIGHTNING_PRECISION.get(precision, UNKNOWN), _default_unless(trainer, "precision"))
    accumulation = trainer.word("accumulate_grad_batches", default=1)
    found.say("gradient_accumulation", accumulation, _default_unless(trainer, "accumulate_grad_batches"))
    strategy, devices = trainer.word("strategy"), trainer.word("devices", default="auto")
    found.say("strategy", strategy if isinstance(strategy, str) and strategy != "auto" else UNKNOWN)
    if isinstance(devices, str):
        return 1 if devices == "auto" and "num_nodes" not in trainer.kwargs else UNKNOWN
    on_a_node = len(devices) if isinstance(devices, list) else devices
    count = _product(on_a_node, trainer.word("num_nodes", default=1))
    found.say("devices", count)
    return count if isinstance(count, int) and count > 0 else UNKNOWN


def _say_lightning_length(trainer: Made, found: Found) -> None:
    epochs, steps = trainer.word("max_epochs"), trainer.word("max_steps", default=-1)
    if isinstance(steps, int) and steps > 0:
        found.say("steps", steps)
    if trainer.word("fast_dev_run", default=False) is not False or trainer.word("max_time") is not None:
        return
    if epochs is None and steps == -1 and trainer.complete:
        found.say("epochs", 1000, Source.DEFAULT)
    elif steps == -1:
        found.say("epochs", epochs)


def _first(value: Value) -> Value:
    return value[0] if isinstance(value, list | tuple) and value else value


def _own(owner: Value, name: str, reader: Resolver) -> Value:
    """What a method of the script's own returns, None where the object has none."""
    method = reader.attribute(owner, name) if isinstance(owner, Instance) else None
    return reader.returned(method) if isinstance(method, Function) else None


def _made_in(owner: Value, name: str, reader: Resolver) -> list[Call]:
    """The calls in a method of the script's own, which Lightning calls."""
    method = reader.attribute(owner, name) if isinstance(owner, Instance) else None
    scope = method.scope if isinstance(method, Function) else None
    sites = [site for site in reader.program.calls if site.place.scope is scope]
    return [Call(reader.made_at(site), (), (), site.node.lineno) for site in sites]


def accelerate_precision(calls: Sequence[Call]) -> Value:
    """The precision that an Accelerator or Fabric is told; None where there is none."""
    made = [call.made for call in calls if last_name(call) in {"Accelerator", "Fabric"}]
    words = [item.word("mixed_precision", default=item.word("precision", default="no")) for item in made]
    value = chosen(words)
    if value is None:
        return None
    return {"fp16": "mixed_float16", "bf16": "mixed_bfloat16", "no": None}.get(
        str(plain(value)), _LIGHTNING_PRECISION.get(str(plain(value)), UNKNOWN)
    )

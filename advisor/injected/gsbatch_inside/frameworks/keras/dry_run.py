"""Stop Keras where training would begin: ``fit`` describes its model and data and returns without a step.

Keras 2 and 3, whatever they are called here (``keras``, ``tf_keras``, ``tf.keras``).
"""

import inspect
from typing import Any, Callable, Dict, List

from ...dry_run import report, training_steps
from ..tensorflow import dry_run as tensorflow_hooks
from . import data as keras_data
from . import downloads as keras_downloads
from . import model as keras_model


class _History(dict):  # type: ignore[type-arg]
    """What ``fit`` would have measured: any metric that is asked for falls a little with every epoch."""

    def __init__(self, epochs: int, names: List[str]) -> None:
        super().__init__()
        self._epochs = max(epochs, 1)
        for name in names:
            self[name] = self[name]

    def __missing__(self, name: str) -> List[float]:
        return [0.9 / (1 + 0.01 * epoch) for epoch in range(self._epochs)]

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


def attach(keras: Any) -> None:
    """Put the stand-ins on Keras's own model class."""
    model_class = keras.Model
    _replace(model_class, "fit", lambda original: _fit(keras, original))
    if "fit_generator" in dir(model_class):
        _replace(model_class, "fit_generator", lambda original: _fit(keras, original))
    _replace(model_class, "train_on_batch", lambda original: _train_on_batch(keras, original))
    _replace(model_class, "evaluate", lambda original: _evaluate)
    _replace(model_class, "test_on_batch", lambda original: _evaluate)
    _replace(model_class, "predict", lambda original: _predict)
    _replace(model_class, "predict_on_batch", lambda original: _predict)
    _replace(model_class, "compile", _compile)
    for name in ("save", "save_weights", "export", "summary", "load_weights"):
        _replace(model_class, name, lambda original: _nothing)
    utilities: Any = getattr(keras, "utils", None)
    if hasattr(utilities, "plot_model"):
        utilities.plot_model = _nothing
    keras.models.load_model = _load_model(keras.models.load_model)
    keras.models.save_model = _nothing
    keras_downloads.attach(keras)
    report.write({"framework": keras_model.framework(keras)})


def _replace(model_class: Any, name: str, make: Callable[[Any], Any]) -> None:
    for owner in model_class.__mro__:
        if name in vars(owner):
            setattr(owner, name, make(vars(owner)[name]))
            return


_trained: List[Any] = []
_output_shapes: Dict[int, Any] = {}
_metrics: Dict[int, int] = {}


def _fit(keras: Any, original: Any) -> Any:
    signature = inspect.signature(original)

    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        epochs = 1
        try:
            given = signature.bind(self, *args, **kwargs).arguments
            epochs = _describe(keras, self, given)
        except Exception as exc:
            report.note("a fit could not be described: %s: %s" % (type(exc).__name__, exc))
        _trained[:] = [self]
        return _history(keras, self, epochs)

    return fit


def _describe(keras: Any, model: Any, given: Dict[str, Any]) -> int:
    phase = report.new_phase()
    epochs = int(given.get("epochs") or 1) - int(given.get("initial_epoch") or 0)
    facts = report.facts
    facts(phase, framework=keras_model.framework(keras), model_id=id(model), epochs=max(epochs, 0))
    facts(phase, optimizer=keras_model.optimizer(model), precision=keras_model.precision(model))
    facts(phase, backend=keras_model.backend(keras), **tensorflow_hooks.strategy())
    if keras_model.is_built(model):
        facts(phase, **keras_model.counts(model))
    data = keras_data.describe(given.get("x", given.get("generator")), given.get("y"), given)
    facts(phase, batch_size=data.batch_size, train_samples=data.train_samples,
          validation_samples=data.validation_samples, input_shape=keras_model.input_shape(model, data))  # fmt: skip
    accumulation = keras_model.accumulation(keras, model)
    facts(phase, gradient_accumulation=accumulation)
    if keras_data.in_memory(given.get("x")):
        facts(phase, data_loading="memory", loader_workers=0)
    elif hasattr(given.get("x"), "batch_sampler"):  # PyTorch's loader
        facts(phase, loader_workers=getattr(given["x"], "num_workers", None))
    for callback in given.get("callbacks") or []:
        if "EarlyStopping" in type(callback).__name__:
            report.note("the training may stop early; epochs is the most it will do")
    found = keras_model.traced(keras, model, data)
    if found.output is not None:
        _output_shapes[id(model)] = found.output
    facts(phase, **found.facts)
    facts(phase, **keras_model.counts(model))
    facts(phase, model_name=keras_model.name(keras, model))
    accumulation = accumulation or found.facts.get("gradient_accumulation")
    if accumulation and data.batches:
        facts(phase, steps=data.batches * max(epochs, 0) // accumulation)
    return max(epochs, 1)


def _history(keras: Any, model: Any, epochs: int) -> Any:
    history = keras.callbacks.History()
    history.history = _History(epochs, ["loss", "val_loss"])
    history.epoch = list(range(epochs))
    history.params = {"epochs": epochs, "steps": 1, "verbose": 0}
    try:
        model.history = history
        model.stop_training = False
    except AttributeError:
        pass
    return history


_steps: Dict[Any, training_steps.Step] = {}


def _train_on_batch(keras: Any, original: Any) -> Any:
    """Hand-written loops over batches: count the calls; samples seen in all are their number times the batch."""
    signature = inspect.signature(original)

    def train_on_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(self, *args, **kwargs).arguments
            rows = keras_data.rows(given.get("x")) or 0
            key = (id(self), len(self.trainable_weights))
            if key not in _steps:
                _steps[key] = _described_batch(keras, self, given, rows)
            training_steps.taken(_steps[key], rows, {})
        except Exception as exc:
            report.note("a train_on_batch could not be described: %s: %s" % (type(exc).__name__, exc))
        return _losses(self, kwargs.get("return_dict"))

    return train_on_batch


def _described_batch(keras: Any, model: Any, given: Dict[str, Any], rows: int) -> training_steps.Step:
    training_steps.watch()
    data = keras_data.describe(given.get("x"), given.get("y"), {"batch_size": rows})
    found = keras_model.traced(keras, model, data)
    _output_shapes[id(model)] = found.output
    flops = {name: found.facts.pop(name + "_flops_per_sample", None) for name in ("forward", "training")}
    facts = dict(
        found.facts, framework=keras_model.framework(keras), input_shape=data.input_shape,
        optimizer=keras_model.optimizer(model), precision=keras_model.precision(model),
        model_name=keras_model.name(keras, model),
    )  # fmt: skip
    costs = {name: None if value is None else value * rows for name, value in flops.items()}
    step = training_steps.Step(facts, rows=rows, forward=costs["forward"], training=costs["training"])
    step.batches_per_update = keras_model.accumulation(keras, model) or found.facts.pop("gradient_accumulation", None)
    step.weights.update(keras_model.weight_sizes(model.weights))
    step.trained.update(keras_model.weight_sizes(model.trainable_weights))
    step.tell()
    return step


def _compile(original: Any) -> Any:
    def compile(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A001 (Keras's own name)
        metrics = kwargs.get("metrics")
        if isinstance(metrics, dict):
            listed = [value if isinstance(value, (list, tuple)) else [value] for value in metrics.values()]
            metrics = [item for items in listed for item in items]
        _metrics[id(self)] = len(metrics) if isinstance(metrics, (list, tuple)) else int(metrics is not None)
        return original(self, *args, **kwargs)

    return compile


def _losses(model: Any, as_dict: Any) -> Any:
    if as_dict:
        return _History(1, ["loss"])
    count = _metrics.get(id(model), 0)
    return 0.5 if not count else [0.5] * (1 + count)


def _evaluate(self: Any, *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("return_dict"):
        values = _History(1, ["loss"])
        return _Scalars({name: found[0] for name, found in values.items()})
    return _losses(self, as_dict=False)


class _Scalars(dict):  # type: ignore[type-arg]
    def __missing__(self, name: str) -> float:
        return 0.5


def _predict(self: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
    import numpy

    rows = keras_data.rows(x) or keras_data.describe(x, None, kwargs).train_samples or 1
    shape = _output_shapes.get(id(self))
    if shape is None:
        shape = self.output_shape[1:]
    if isinstance(shape, list):
        return [numpy.zeros((rows,) + tuple(one), "float32") for one in shape]
    return numpy.zeros((rows,) + tuple(size or 1 for size in shape), "float32")


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _load_model(original: Any) -> Any:
    def load_model(*args: Any, **kwargs: Any) -> Any:
        return _trained[-1] if _trained else original(*args, **kwargs)

    return load_model

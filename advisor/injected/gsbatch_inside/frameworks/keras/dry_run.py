"""Stop Keras where training would begin: ``fit`` describes its model and data and returns without a step.

Works for Keras 2 and 3 under each of their names: ``keras``, ``tf_keras``, ``tf.keras``.
"""

import inspect
from typing import Any, Callable, Dict, List

from ...dry_run.session import DryRun
from ...dry_run.steps import Step
from . import data as keras_data
from . import downloads, made_up
from . import model as keras_model
from .backends import BackEnds

_WITHOUT_EFFECT = ("save", "save_weights", "export", "summary", "load_weights")


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


class _Scalars(dict):  # type: ignore[type-arg]
    def __missing__(self, name: str) -> float:
        return 0.5


def attach(keras: Any, session: DryRun) -> None:
    """Put the stand-ins on Keras's own model class."""
    stand_ins = _Keras(keras, session)
    makers: Dict[str, Callable[[Any], Any]] = {
        "fit": stand_ins.fit,
        "fit_generator": stand_ins.fit,
        "train_on_batch": stand_ins.train_on_batch,
        "evaluate": stand_ins.evaluate,
        "test_on_batch": stand_ins.evaluate,
        "predict": stand_ins.predict,
        "predict_on_batch": stand_ins.predict,
        "compile": stand_ins.compile,
        **{name: lambda _original: _nothing for name in _WITHOUT_EFFECT},
    }
    for name, make in makers.items():
        _replace(keras.Model, name, make)
    utilities: Any = getattr(keras, "utils", None)
    if hasattr(utilities, "plot_model"):
        utilities.plot_model = _nothing
    keras.models.load_model = stand_ins.load_model(keras.models.load_model)
    keras.models.save_model = _nothing
    downloads.attach(keras, session)
    made_up.attach(keras, session)


def _replace(model_class: Any, name: str, make: Callable[[Any], Any]) -> None:
    for owner in model_class.__mro__:
        if name in vars(owner):
            setattr(owner, name, make(vars(owner)[name]))
            return


class _Keras:
    """What stands in for the methods of a model; each makes one from the original."""

    def __init__(self, keras: Any, session: DryRun) -> None:
        self._keras = keras
        self._session = session
        self._reader = keras_data.Reader(session.report.note)
        self._last_trained: Any = None
        self._output_shapes: Dict[int, Any] = {}
        self._metrics: Dict[int, int] = {}
        self._steps: Dict[Any, Step] = {}

    def fit(self, original: Any) -> Any:
        """``fit`` is described, and its history made up."""
        bind = inspect.signature(original).bind
        keras = self

        def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
            epochs = 1
            try:
                epochs = keras._describe(self, bind(self, *args, **kwargs).arguments)
            except Exception as exc:
                keras._session.report.note("a fit could not be described: %s: %s" % (type(exc).__name__, exc))
            keras._last_trained = self
            return keras._history(self, epochs)

        return fit

    def train_on_batch(self, original: Any) -> Any:
        """Hand-written loops over batches: the calls are counted, each with its samples."""
        bind = inspect.signature(original).bind
        keras = self

        def train_on_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                keras._train_on_batch(self, bind(self, *args, **kwargs).arguments)
            except Exception as exc:
                keras._session.report.note(
                    "a train_on_batch could not be described: %s: %s" % (type(exc).__name__, exc)
                )
                keras._session.ledger.doubt("a training step was not understood")
            return keras._losses(self, kwargs.get("return_dict"))

        return train_on_batch

    def compile(self, original: Any) -> Any:
        """As it is; how many metrics there are is kept."""
        counts = self._metrics

        def compile(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A001 (Keras's own name)
            metrics = kwargs.get("metrics")
            if isinstance(metrics, dict):
                listed = [value if isinstance(value, (list, tuple)) else [value] for value in metrics.values()]
                metrics = [item for items in listed for item in items]
            counts[id(self)] = len(metrics) if isinstance(metrics, (list, tuple)) else int(metrics is not None)
            return original(self, *args, **kwargs)

        return compile

    def evaluate(self, _original: Any) -> Any:
        """Plausible losses and metrics."""
        losses = self._losses

        def evaluate(self: Any, *_args: Any, **kwargs: Any) -> Any:
            return _Scalars(loss=0.5) if kwargs.get("return_dict") else losses(self, as_dict=False)

        return evaluate

    def predict(self, _original: Any) -> Any:
        """Zeros."""
        keras = self

        def predict(self: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
            import numpy

            rows = keras_data.rows(x) or keras._reader.describe(x, None, kwargs).train_samples or 1
            shape = keras._output_shapes.get(id(self))
            if shape is None:
                shape = self.output_shape[1:]
            if isinstance(shape, list):
                return [numpy.zeros((rows,) + tuple(one), "float32") for one in shape]
            return numpy.zeros((rows,) + tuple(size or 1 for size in shape), "float32")

        return predict

    def load_model(self, original: Any) -> Any:
        """What was trained last."""

        def load_model(*args: Any, **kwargs: Any) -> Any:
            return self._last_trained if self._last_trained is not None else original(*args, **kwargs)

        return load_model

    def _describe(self, model: Any, given: Dict[str, Any]) -> int:
        keras = self._keras
        epochs = max(int(given.get("epochs") or 1) - int(given.get("initial_epoch") or 0), 0)
        x = given.get("x", given.get("generator"))
        data = self._reader.describe(x, given.get("y"), given)
        facts = {
            "framework": keras_model.framework(keras),
            "epochs": epochs,
            "optimizer": keras_model.optimizer(model),
            "precision": keras_model.precision(model),
            "backend": keras_model.backend(keras),
            "batch_size": data.batch_size,
            "train_samples": data.train_samples,
            "validation_samples": data.validation_samples,
            "input_shape": keras_model.input_shape(model, data),
        }
        if keras_data.in_memory(x):
            facts.update(data_loading="memory", loader_workers=0)
        elif hasattr(x, "batch_sampler"):  # PyTorch's loader
            facts.update(loader_workers=getattr(x, "num_workers", None))
        self._session.report.look_for_early_stopping(given.get("callbacks") or [])
        planned, accumulation = self._session.ledger.planned, keras_model.accumulation(keras, model)
        number = planned(
            facts, batches=data.batches, accumulation=accumulation
        )  # reported now, because tracing may take long
        found = self._session.the(BackEnds).traced(keras, model, data)
        if found.output is not None:
            self._output_shapes[id(model)] = found.output
        accumulation = accumulation or found.facts.pop("gradient_accumulation", None)
        facts.update(found.facts, model_name=keras_model.name(keras, model), **keras_model.counts(model))
        planned(facts, batches=data.batches, accumulation=accumulation, number=number)
        return max(epochs, 1)

    def _history(self, model: Any, epochs: int) -> Any:
        history = self._keras.callbacks.History()
        history.history = _History(epochs, ["loss", "val_loss"])
        history.epoch = list(range(epochs))
        history.params = {"epochs": epochs, "steps": 1, "verbose": 0}
        try:
            model.history = history
            model.stop_training = False
        except AttributeError:
            pass
        return history

    def _train_on_batch(self, model: Any, given: Dict[str, Any]) -> None:
        rows = keras_data.rows(given.get("x")) or 0
        key = (id(model), len(model.trainable_weights))
        if key not in self._steps:
            self._steps[key] = self._described_batch(model, given, rows)
        self._steps[key].taken(rows, {})

    def _described_batch(self, model: Any, given: Dict[str, Any], rows: int) -> Step:
        keras = self._keras
        data = self._reader.describe(given.get("x"), given.get("y"), {"batch_size": rows})
        found = self._session.the(BackEnds).traced(keras, model, data)
        self._output_shapes[id(model)] = found.output
        accumulation = found.facts.pop("gradient_accumulation", None)
        flops = {name: found.facts.pop(name + "_flops_per_sample", None) for name in ("forward", "training")}
        costs = {name: None if value is None else value * rows for name, value in flops.items()}
        facts = dict(
            found.facts, framework=keras_model.framework(keras), input_shape=data.input_shape,
            optimizer=keras_model.optimizer(model), precision=keras_model.precision(model),
            model_name=keras_model.name(keras, model),
        )  # fmt: skip
        step = Step(self._session.ledger, facts, rows=rows, **costs)
        step.kind.batches_per_step = keras_model.accumulation(keras, model) or accumulation
        step.kind.weights.update(keras_model.weight_sizes(model.weights))
        step.kind.trained.update(keras_model.weight_sizes(model.trainable_weights))
        return step

    def _losses(self, model: Any, as_dict: Any) -> Any:
        if as_dict:
            return _History(1, ["loss"])
        count = self._metrics.get(id(model), 0)
        return 0.5 if not count else [0.5] * (1 + count)


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None

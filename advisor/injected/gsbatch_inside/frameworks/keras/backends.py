"""How a Keras model is traced on each of its back ends. The back ends' adapters register themselves here."""

from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from ...dry_run.mistakes import in_brief
from ...dry_run.session import DryRun
from . import data as keras_data
from . import model as keras_model
from .layers import LayerCounter

ROWS = 2  # a batch of one would be squeezed away by some models


class Traced(NamedTuple):
    """Facts of a traced model and the shape of its output without the batch axis (a list where it has several)."""

    facts: Dict[str, Any]
    output: Any = None


class Pass(NamedTuple):
    """FLOPs of so many samples, what could not be counted, the outputs, and bytes kept for the backward pass."""

    forward: float
    training: float
    unknown: Tuple[str, ...]
    outputs: Any
    saved: Optional[int] = None


OnePass = Callable[[Any, Any, Any, int, Any], Pass]  # keras, model, specs of its inputs, samples, counter of layers


class BackEnds:
    """The back ends that the script has imported."""

    def __init__(self, session: DryRun) -> None:
        self._note = session.report.note
        self._tracers: Dict[str, Callable[[Any, Any, keras_data.Data], Traced]] = {}

    def add(self, name: str, trace: Callable[[Any, Any, "keras_data.Data"], Traced]) -> None:
        """Trace models of this back end so."""
        self._tracers[name] = trace

    def add_pass(self, name: str, one_pass: OnePass) -> None:
        """Trace models of this back end by one pass on shapes alone."""
        self.add(name, lambda keras, model, data: self._passed(one_pass, keras, model, data))

    def traced(self, keras: Any, model: Any, data: "keras_data.Data") -> Traced:
        """FLOPs, layers and activations of a model, for a sample."""
        trace = self._tracers.get(keras_model.backend(keras))
        if trace is None:
            self._note("FLOPs are not counted on this back end of Keras")
            return Traced({})
        return trace(keras, model, data)

    def _passed(self, one_pass: OnePass, keras: Any, model: Any, data: "keras_data.Data") -> Traced:
        counter = LayerCounter(keras)
        try:
            specs = keras_model.model_specs(model, data.specs)
            if not keras_model.is_built(model):
                build(keras, model, specs, ROWS)
            found = one_pass(keras, model, specs, ROWS, counter)
        except Exception as exc:
            self._note("the model could not be traced: %s" % in_brief(exc))
            return Traced({})
        if found.unknown:
            self._note("not counted in the FLOPs: " + ", ".join(found.unknown[:5]))
        shapes = [tuple(one.shape[1:]) for one in keras.tree.flatten(found.outputs)]
        facts = counter.of(None).facts(ROWS)
        if not found.unknown:
            facts.update(
                forward_flops_per_sample=found.forward / ROWS,
                training_flops_per_sample=found.training / ROWS,
                saved_bytes_per_sample=found.saved and found.saved // ROWS,
            )
        if keras_model.has_own_step(keras, model):
            self._note("its own train_step may cost more than one pass of its network")
            facts.pop("training_flops_per_sample", None)
        return Traced(facts, shapes[0] if len(shapes) == 1 else shapes)


def build(keras: Any, model: Any, specs: Any, rows: int) -> None:
    """Make the weights, from shapes alone."""
    model(
        map_specs(
            specs, lambda spec: keras.KerasTensor((rows,) + tuple(spec.shape), dtype_of(keras, spec), name="samples")
        )
    )


def map_specs(specs: Any, make: Callable[[Any], Any]) -> Any:
    """The same nested structure with something made of each spec."""
    if isinstance(specs, keras_data.Spec):
        if None in specs.shape:
            raise ValueError("the size of its input is not known before training")
        return make(specs)
    if isinstance(specs, dict):
        return {key: map_specs(value, make) for key, value in specs.items()}
    return type(specs)(map_specs(value, make) for value in specs)


def dtype_of(keras: Any, spec: "keras_data.Spec") -> str:
    """What Keras makes of an input's dtype."""
    name = spec.dtype
    return "float32" if name == "float64" else "int32" if name == "int64" else name

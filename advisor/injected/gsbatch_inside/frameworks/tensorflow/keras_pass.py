"""FLOPs, layers and activations of Keras models on TensorFlow, read from the graph of a forward pass."""

from typing import Any, Callable, Dict, List

from ...dry_run.mistakes import in_brief
from ..keras import data as keras_data
from ..keras import model as keras_model
from ..keras.backends import ROWS, Traced
from ..keras.layers import LayerCounter
from . import graph_flops

# Facts of a model's own train_step, by the sample: (model, specs of what it is given, samples).
StepFacts = Callable[[Any, Any, int], Dict[str, Any]]


class GraphTracer:
    """Traces models; ``step_facts`` reads a training step that the author wrote."""

    def __init__(self, note: Callable[[str], None], step_facts: StepFacts) -> None:
        self._note = note
        self._step_facts = step_facts

    def traced(self, keras: Any, model: Any, data: "keras_data.Data") -> Traced:
        """Trace a forward pass on two symbolic samples."""
        counter = LayerCounter(keras)
        try:
            if not keras_model.is_built(model):
                _trace(model, data)  # building calls every layer too; only the second trace is one forward pass
            with counter:
                concrete, output = _trace(model, data)
        except Exception as exc:
            found = self._of_its_own_step(model, data)  # a GAN has no forward pass of its own
            if not found:
                self._note("the model could not be traced: %s" % in_brief(exc))
            return Traced(found)
        handles = [keras_model.handle(weight) for weight in model.trainable_weights]
        cost = graph_flops.cost_of(concrete, {id(one) for one in handles if one is not None})
        if cost.unknown:
            self._note("not counted in the FLOPs: " + ", ".join(cost.unknown[:5]))
        facts: Dict[str, Any] = counter.of(concrete.graph).facts(ROWS)
        if not cost.unknown:  # a sum that leaves something out would be wrong
            facts.update(forward_flops_per_sample=cost.forward / ROWS, training_flops_per_sample=cost.training / ROWS)
        if keras_model.has_own_step(keras, model):
            facts.update(self._of_its_own_step(model, data))
        return Traced(facts, output)

    def _of_its_own_step(self, model: Any, data: "keras_data.Data") -> Dict[str, Any]:
        """FLOPs of a training step that the author wrote (GAN, distillation): of all networks and gradients in it."""
        if not hasattr(model, "train_step") or data.specs is None:
            return {}
        try:
            import tensorflow

            specs = [_tensor_specs(tensorflow, data.specs)]
            if data.target_specs is not None:
                specs.append(_tensor_specs(tensorflow, data.target_specs))
            return self._step_facts(model, tuple(specs) if len(specs) > 1 else specs[0], ROWS)
        except Exception as exc:
            self._note("its train_step could not be traced: %s" % in_brief(exc))
            return {}


def _trace(model: Any, data: "keras_data.Data") -> Any:
    import tensorflow

    specs = _tensor_specs(tensorflow, keras_model.model_specs(model, data.specs))
    shapes: List[Any] = []

    def forward(inputs: Any) -> Any:
        try:
            outputs = model(inputs, training=True)
        except TypeError as exc:
            if "training" not in str(exc):
                raise
            outputs = model(inputs)
        flat = tensorflow.nest.flatten(outputs)
        shapes[:] = [tuple(tensor.shape.as_list()[1:]) for tensor in flat]
        return flat

    concrete = tensorflow.function(forward, autograph=False).get_concrete_function(specs)
    return concrete, (shapes[0] if len(shapes) == 1 else list(shapes))


def _tensor_specs(tensorflow: Any, specs: Any) -> Any:
    if isinstance(specs, keras_data.Spec):
        if any(size is None for size in specs.shape):
            raise ValueError("the size of its input is not known before training")
        dtype = "float32" if specs.dtype == "float64" else specs.dtype
        return tensorflow.TensorSpec((ROWS,) + tuple(specs.shape), dtype)
    if isinstance(specs, dict):
        return {key: _tensor_specs(tensorflow, value) for key, value in specs.items()}
    return type(specs)(_tensor_specs(tensorflow, value) for value in specs)

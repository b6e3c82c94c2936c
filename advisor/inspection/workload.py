"""What a training script will train: the value that inspection hands to placement and prediction."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Generic, TypeVar

T = TypeVar("T")


class Source(str, enum.Enum):
    """Where a fact came from, strongest first."""

    OPTION = "option"  # --set
    DIRECTIVE = "directive"  # a #GSBATCH line
    PROBE = "probe"  # the dry run
    PUBLISHED = "published"  # the size of a well-known data set that is not on this machine
    LAUNCHER = "launcher"  # srun, torchrun, mpirun ... in a batch script
    ARGUMENTS = "arguments"  # the script's own arguments and their defaults, read without running it
    CONFIGURATION = "configuration"  # a JSON, YAML or TOML file that the script reads
    SOURCE_CODE = "source_code"  # a constant in the source
    DEFAULT = "default"  # what the framework does when the script does not say
    TABLE = "table"  # a well-known model's figures
    HISTORY = "history"  # earlier jobs of the same script
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Contender(Generic[T]):
    """A value that a stronger source outdid, and where it came from."""

    value: T
    source: Source


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value and where it came from; ``others`` are the values that lost to it, strongest first.

    ``value`` is None exactly when ``source`` is UNKNOWN. A source that says the same is no contender.
    """

    value: T | None = None
    source: Source = Source.UNKNOWN
    others: tuple[Contender[T], ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) != (self.source is Source.UNKNOWN):
            raise ValueError(f"a fact needs both a value and a source: {self.value!r} from {self.source}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One training run, as far as it is known before it starts.

    FLOPs count one multiply-accumulate as two, per sample, matrix and convolution work only. ``input_shape`` is one
    sample without the batch axis, as the framework orders it. ``batch_size`` is global: what one optimizer step sees
    over all devices, gradient accumulation left out. ``activation_elements`` is the number of output elements of all
    layers for one sample; ``saved_bytes_per_sample`` are the bytes that its forward pass keeps for the backward pass,
    without weights, in the precision that it trains in. ``layers`` counts the layers that launch work (convolutions,
    matrix products, normalisations, ...), not containers. ``precision`` is ``float32``, ``tf32`` (float32 whose matrix
    products may use TF32 as convolutions do), ``mixed_float16``, ``mixed_bfloat16``, ``float16``, ``bfloat16`` or
    ``float64``. ``steps`` are the optimizer steps of the whole run. ``framework`` is what computes: ``pytorch`` for
    Keras on PyTorch. ``loader_workers`` are the processes that load data, 0 where the training process does;
    ``data_loading`` is ``memory`` or ``streamed``. ``strategy`` is how devices share the work (``single``, ``ddp``,
    ``fsdp``, ``deepspeed``, ``mirrored``, ...). ``activation_checkpointing`` says that the backward pass computes
    activations again instead of keeping them.
    """

    framework: Fact[str] = field(default_factory=Fact)
    model_name: Fact[str] = field(default_factory=Fact)
    parameters: Fact[int] = field(default_factory=Fact)
    trainable_parameters: Fact[int] = field(default_factory=Fact)
    forward_flops_per_sample: Fact[float] = field(default_factory=Fact)
    training_flops_per_sample: Fact[float] = field(default_factory=Fact)
    layers: Fact[int] = field(default_factory=Fact)
    activation_elements: Fact[int] = field(default_factory=Fact)
    saved_bytes_per_sample: Fact[int] = field(default_factory=Fact)
    input_shape: Fact[tuple[int, ...]] = field(default_factory=Fact)
    batch_size: Fact[int] = field(default_factory=Fact)
    gradient_accumulation: Fact[int] = field(default_factory=Fact)
    train_samples: Fact[int] = field(default_factory=Fact)
    validation_samples: Fact[int] = field(default_factory=Fact)
    epochs: Fact[int] = field(default_factory=Fact)
    optimizer: Fact[str] = field(default_factory=Fact)
    precision: Fact[str] = field(default_factory=Fact)
    devices: Fact[int] = field(default_factory=Fact)
    steps: Fact[int] = field(default_factory=Fact)
    loader_workers: Fact[int] = field(default_factory=Fact)
    data_loading: Fact[str] = field(default_factory=Fact)
    strategy: Fact[str] = field(default_factory=Fact)
    activation_checkpointing: Fact[bool] = field(default_factory=Fact)
    notes: tuple[str, ...] = ()

    def facts(self) -> Iterator[tuple[str, Fact[object]]]:
        """Every fact with its name, in the order of the fields."""
        for item in fields(self):
            if item.name != "notes":
                yield item.name, getattr(self, item.name)

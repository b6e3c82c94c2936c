"""What a script's data is, as its source says: how many samples, in what batches, loaded how."""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.inspection.reading.values import UNKNOWN, Instance, Made, Rows, Value, with_source

# Samples for training and for testing, as the data sets' own papers and pages give them.
_PUBLISHED = {
    "mnist": (60_000, 10_000), "fashion_mnist": (60_000, 10_000), "fashionmnist": (60_000, 10_000),
    "kmnist": (60_000, 10_000), "cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000), "imdb": (25_000, 25_000),
}  # fmt: skip
_LOADERS = ("DataLoader", "StatefulDataLoader")
_CHANGES_LENGTH = {"unbatch", "repeat", "filter", "flat_map", "window", "skip"}
_CREATORS = {
    "zeros", "ones", "empty", "rand", "randn", "full", "random_normal", "normal", "uniform", "random",
    "standard_normal", "random_sample", "randint", "integers", "choice",
}  # fmt: skip
# Those that take other arguments first, with the position of the size.
_SIZE_AT = {"randint": 2, "integers": 2, "normal": 2, "uniform": 2, "choice": 1}
_KEEPS_ROWS = {
    ".astype", ".float", ".long", ".to", ".cuda", ".cpu", ".double", ".half", ".clip", ".round", ".copy",
    ".requires_grad_",
    ".contiguous", ".int", ".bool", ".type", ".pin_memory", ".numpy", ".detach", ".clone",
}  # fmt: skip


@dataclass(frozen=True)
class Loader:
    """Batches of a data set; every part may be UNKNOWN, ``workers`` None where the loader has no such thing."""

    batch_size: Value = UNKNOWN
    samples: Value = UNKNOWN
    workers: Value = None
    drop_last: Value = False
    loading: Value = UNKNOWN


def created(made: Made) -> Rows | None:
    """The array that a call of NumPy, PyTorch, TensorFlow or JAX makes, where the call says its shape."""
    last = made.name.rpartition(".")[2]
    if made.name in _KEEPS_ROWS and isinstance(made.receiver, Rows):
        return made.receiver
    if last not in _CREATORS or not _of_arrays(made):
        return None
    size = made.kwargs.get("size", made.kwargs.get("shape"))
    # A list may be one of means where other arguments than the size may come first, but for TensorFlow.
    takes_lists = last not in _SIZE_AT or made.name.startswith("tensorflow")
    shapes = [item for item in made.args if isinstance(item, tuple) or (takes_lists and isinstance(item, list))]
    if size is None and last in _SIZE_AT:
        size = shapes[-1] if shapes and last != "choice" else next(iter(made.args[_SIZE_AT[last] :]), None)
    elif size is None and made.args:
        size = shapes[0] if shapes else tuple(made.args)
    if isinstance(size, int):
        return Rows((size,))
    return Rows(tuple(size)) if isinstance(size, tuple | list) else None


def _of_arrays(made: Made) -> bool:
    root = made.name.split(".")[0]
    if root in {"numpy", "torch", "tensorflow", "jax", "cupy"}:
        return True
    generator = made.receiver
    return isinstance(generator, Made) and generator.name.rpartition(".")[2] in {"default_rng", "RandomState"}


def published(made: Made) -> Value:
    """What ``keras.datasets.NAME.load_data()`` returns, as arrays of its rows; None where a call is none of that."""
    *_, name, last = ("", *made.name.split("."))
    if last != "load_data" or name not in _PUBLISHED:
        return None
    train, test = _PUBLISHED[name]
    return (Rows((train,)), Rows((train,))), (Rows((test,)), Rows((test,)))


def samples_of(data: Value) -> Value:
    """How many samples a data set holds, UNKNOWN where the source does not say."""
    if isinstance(data, Rows):
        return data.shape[0] if data.shape else UNKNOWN
    if isinstance(data, list | tuple) and data and isinstance(data[0], Rows):
        return samples_of(data[0])
    if isinstance(data, dict) and data:
        return samples_of(next(iter(data.values())))
    if isinstance(data, Instance):
        return data.measure(data)
    return _samples_of_made(data) if isinstance(data, Made) else UNKNOWN


def _samples_of_made(data: Made) -> Value:
    last = data.name.rpartition(".")[2]
    if last in {"TensorDataset", "from_tensor_slices"} and data.args:
        return samples_of(data.args[0])
    if last.lower() in _PUBLISHED and "datasets" in data.name:
        is_train = data.word("train", 1, default=True)
        return _PUBLISHED[last.lower()][not is_train] if isinstance(is_train, bool) else UNKNOWN
    return samples_of(data.receiver) if last in {"map", "shuffle", "cache", "prefetch", "with_options"} else UNKNOWN


def loader_of(value: Value) -> Loader | None:
    """The batches that a loop or a fit reads, None where the value is nothing that makes batches."""
    if isinstance(value, Instance):
        value = value.made if value.kind.derives_from(*_LOADERS) else None
    if not isinstance(value, Made):
        return None
    if value.name in {"builtins.enumerate", "builtins.iter", "builtins.zip"} or _is_progress_bar(value.name):
        return loader_of(value.args[0]) if value.args else None
    last = value.name.rpartition(".")[2]
    if last in _LOADERS:
        return _torch_loader(value)
    return _tensorflow_batches(value)


def _is_progress_bar(name: str) -> bool:
    return name.rpartition(".")[2] in {"tqdm", "trange", "track", "progress_bar"}


def _torch_loader(made: Made) -> Loader:
    is_drawn = made.word("batch_sampler") is not None or not _draws_all(made.word("sampler", 3))
    data = made.word("dataset", 0)
    return Loader(
        # A batch sampler has a batch size of its own.
        batch_size=made.word("batch_size", 1, 1) if made.word("batch_sampler") is None else UNKNOWN,
        samples=UNKNOWN if is_drawn else samples_of(data),
        workers=made.word("num_workers", 5, 0),
        drop_last=made.word("drop_last", default=False),
        loading="memory" if isinstance(data, Made) and data.name.endswith("TensorDataset") else UNKNOWN,
    )


def _draws_all(sampler: Value) -> bool:
    """Whether a loader reads every sample of its data once in a pass, by all processes together."""
    if not isinstance(sampler, Made):
        return sampler is None
    takes_data_only = sampler.complete and len(sampler.args) <= 1 and "num_samples" not in sampler.kwargs
    return takes_data_only and sampler.name.rpartition(".")[2] in {
        "RandomSampler",
        "SequentialSampler",
        "DistributedSampler",
    }


def _tensorflow_batches(made: Made) -> Loader | None:
    """The last ``batch`` of a tf.data pipeline; whatever changes the number of batches after it is left unknown."""
    batches: Value = None
    samples: Value = UNKNOWN
    loading: Value = UNKNOWN
    is_changed = False
    for call in made.chain():
        last = call.name.rpartition(".")[2]
        is_changed = is_changed or last in _CHANGES_LENGTH or (last == "take" and batches is None)
        if last in {"batch", "padded_batch", "ragged_batch"} and batches is None:
            batches = call.word("batch_size", 0, UNKNOWN)
            samples = samples_of(call.receiver)
        if last == "from_tensor_slices":
            loading = "memory"
        if last in {"TFRecordDataset", "list_files", "TextLineDataset"}:
            loading = "streamed"
    return None if batches is None else Loader(batches, UNKNOWN if is_changed else samples, loading=loading)


def batches_of(loader: Loader) -> Value:
    """How many batches a loader makes in one pass."""
    if not isinstance(loader.samples, int) or not isinstance(loader.batch_size, int) or loader.batch_size < 1:
        return UNKNOWN
    if not isinstance(loader.drop_last, bool):
        return UNKNOWN
    count = loader.samples // loader.batch_size if loader.drop_last else math.ceil(loader.samples / loader.batch_size)
    return with_source(count, loader.samples, loader.batch_size)

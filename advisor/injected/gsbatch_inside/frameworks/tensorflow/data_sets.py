"""Data sets of ``tensorflow_datasets`` that are not on this machine: as many samples as published, each of zeros.

What a sample looks like the package itself knows. How many there are it learns by downloading; the numbers here are
those of its catalogue (www.tensorflow.org/datasets/catalog). Of any other data set the number stays unknown.
"""

import re
from typing import Any, Dict, Optional

from ...dry_run.session import DryRun
from ...dry_run.unknown_sizes import doubt_number_of_samples
from ..keras.made_up import doubt_vocabularies

_MADE_UP = 2000
_ROWS: Dict[str, Dict[str, int]] = {
    "mnist": {"train": 60000, "test": 10000},
    "fashion_mnist": {"train": 60000, "test": 10000},
    "kmnist": {"train": 60000, "test": 10000},
    "cifar10": {"train": 50000, "test": 10000},
    "cifar100": {"train": 50000, "test": 10000},
    "svhn_cropped": {"train": 73257, "test": 26032, "extra": 531131},
    "tf_flowers": {"train": 3670},
    "oxford_flowers102": {"train": 1020, "validation": 1020, "test": 6149},
    "oxford_iiit_pet": {"train": 3680, "test": 3669},
    "cats_vs_dogs": {"train": 23262},
    "stanford_dogs": {"train": 12000, "test": 8580},
    "food101": {"train": 75750, "validation": 25250},
    "horses_or_humans": {"train": 1027, "test": 256},
    "rock_paper_scissors": {"train": 2520, "test": 372},
    "beans": {"train": 1034, "validation": 133, "test": 128},
    "imagenet2012": {"train": 1281167, "validation": 50000},
    "imagenette": {"train": 9469, "validation": 3925},
    "celeb_a": {"train": 162770, "validation": 19867, "test": 19962},
    "imdb_reviews": {"train": 25000, "test": 25000, "unsupervised": 50000},
    "ag_news_subset": {"train": 120000, "test": 7600},
}
# A side of an image whose size differs from image to image, and the length of any other such axis.
_SIDE = 256
_PART = re.compile(r"^(\w+)(?:\[(-?\d*)(%?):(-?\d*)(%?)\])?$")


def attach(module: Any, session: DryRun) -> None:
    """``tensorflow_datasets``: ``load``, and the builders that it is made of."""
    builder, info = module.core.DatasetBuilder, module.core.DatasetInfo
    as_dataset, splits = builder.as_dataset, info.splits.fget

    def download_and_prepare(self: Any, *_args: Any, **_kwargs: Any) -> None:
        """Nothing can be downloaded, and it would be tried for a long time."""

    def dataset(self: Any, split: Any = None, **given: Any) -> Any:
        try:
            return as_dataset(self, split, **given)
        except Exception:
            if split is None and self.name not in _ROWS:
                raise  # which splits it has is not known
        return _Made(session, self, given).of(split)

    def known_splits(self: Any) -> Any:
        found = splits(self)
        return found if found else _Splits(_ROWS.get(self.name, {}), session)

    builder.download_and_prepare, builder.as_dataset = download_and_prepare, dataset
    info.splits = property(known_splits)


class _Made:
    """A data set that is not here, as it is asked for."""

    def __init__(self, session: DryRun, builder: Any, given: Dict[str, Any]) -> None:
        self._given = given
        self._session = session
        self._info = builder.info
        self._rows = _ROWS.get(builder.name)
        if self._rows is None:
            session.report.note(
                "the data set %s is not on this machine: how many samples it has stays unknown" % builder.name
            )
            doubt_number_of_samples(session.ledger)
        else:
            session.report.note("the data set %s is not on this machine; its published size is used" % builder.name)

    def of(self, split: Any) -> Any:
        """The samples of a split, or a structure of them; of all splits where none is asked for."""
        if split is None:
            return {name: self.of(name) for name in self._rows or ()}
        if isinstance(split, (list, tuple)):
            return type(split)(self.of(one) for one in split)
        if isinstance(split, dict):
            return {name: self.of(one) for name, one in split.items()}
        return self._samples(sum(self._count(part) for part in str(split).split("+")))

    def _count(self, part: str) -> int:
        """Samples of ``train``, ``train[:10%]``, ``train[100:]``."""
        found = _PART.match(part.strip())
        if found is None or (self._rows is not None and found.group(1) not in self._rows):
            doubt_number_of_samples(self._session.ledger)
            return _MADE_UP
        rows = self._rows[found.group(1)] if self._rows is not None else _MADE_UP
        begin = _place(found.group(2), found.group(3), rows, 0)
        return max(_place(found.group(4), found.group(5), rows, rows) - begin, 0)

    def _samples(self, rows: int) -> Any:
        import tensorflow

        if self._rows is not None:
            self._session.ledger.publish(rows)
        specs = self._info.features.get_tensor_spec()
        if self._given.get("as_supervised") and self._info.supervised_keys:
            specs = tuple(specs[key] for key in self._info.supervised_keys)
        if any(spec.dtype == tensorflow.string for spec in tensorflow.nest.flatten(specs)):
            doubt_vocabularies(self._session)
        sample = tensorflow.nest.map_structure(_zeros, specs)
        data = tensorflow.data.Dataset.from_tensors(sample).repeat(rows)
        data = data.map(
            lambda *one: tensorflow.nest.map_structure(_of_any_size, specs, one[0] if len(one) == 1 else one)
        )
        batch = self._given.get("batch_size")
        return data.batch(rows if batch == -1 else batch) if batch else data


class _Splits(dict):  # type: ignore[type-arg]
    """The splits that are known; the size of any other is made up."""

    def __init__(self, rows: Dict[str, int], session: DryRun) -> None:
        super().__init__((name, _Split(number)) for name, number in rows.items())
        self._session = session

    def __missing__(self, name: str) -> "_Split":
        doubt_number_of_samples(self._session.ledger)
        return _Split(_MADE_UP)

    @property
    def total_num_examples(self) -> int:
        """Of all splits."""
        return sum(split.num_examples for split in self.values())


class _Split:
    def __init__(self, rows: int) -> None:
        self.num_examples = rows


def _place(text: Optional[str], percent: Optional[str], rows: int, otherwise: int) -> int:
    if not text:
        return otherwise
    place = round(rows * int(text) / 100) if percent else int(text)
    return min(max(place + rows if text.startswith("-") else place, 0), rows)


def _zeros(spec: Any) -> Any:
    import tensorflow

    if spec.dtype == tensorflow.string:
        return tensorflow.fill([size or 1 for size in spec.shape.as_list()], "a few words of text")
    is_image = len(spec.shape) == 3
    return tensorflow.zeros([size or (_SIDE if is_image else 1) for size in spec.shape.as_list()], spec.dtype)


def _of_any_size(spec: Any, tensor: Any) -> Any:
    """The tensor, of a size that is not known where that of the real samples is not."""
    import tensorflow

    if spec.shape.is_fully_defined():
        return tensor
    return tensorflow.compat.v1.placeholder_with_default(tensor, spec.shape)

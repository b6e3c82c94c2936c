"""Stand-ins for torchvision's data sets that are not on this machine: black images of their published number and size.

Sizes are those of torchvision's documentation (docs.pytorch.org/vision/stable/datasets.html) and of the data sets' own
pages. A data set that is on this machine is read as it is. A missing folder of images is recognised by its name; if the
name says nothing, black images stand in and their number stays unknown.
"""

import functools
import inspect
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy

from ...dry_run.session import DryRun
from ...dry_run.unknown_sizes import MadeUpClasses


class Known(NamedTuple):
    """Images by split (``train`` and ``test`` stand for the flag ``train=``), width and height, classes."""

    rows: Dict[str, int]
    size: Tuple[int, int]
    classes: int


_ARRAYS: Dict[str, Known] = {
    "MNIST": Known({"train": 60000, "test": 10000}, (28, 28), 10),
    "FashionMNIST": Known({"train": 60000, "test": 10000}, (28, 28), 10),
    "KMNIST": Known({"train": 60000, "test": 10000}, (28, 28), 10),
    "QMNIST": Known({"train": 60000, "test": 60000}, (28, 28), 10),
    "USPS": Known({"train": 7291, "test": 2007}, (16, 16), 10),
    "CIFAR10": Known({"train": 50000, "test": 10000}, (32, 32), 10),
    "CIFAR100": Known({"train": 50000, "test": 10000}, (32, 32), 100),
    "SVHN": Known({"train": 73257, "test": 26032, "extra": 531131}, (32, 32), 10),
    "STL10": Known({"train": 5000, "test": 8000, "unlabeled": 100000, "train+unlabeled": 105000}, (96, 96), 10),
}
_EMNIST: Dict[str, Tuple[int, int, int]] = {
    "balanced": (112800, 18800, 47), "byclass": (697932, 116323, 62), "bymerge": (697932, 116323, 47),
    "digits": (240000, 40000, 10), "letters": (124800, 20800, 37), "mnist": (60000, 10000, 10),
}  # fmt: skip
_FILES: Dict[str, Known] = {
    "ImageNet": Known({"train": 1281167, "val": 50000}, (500, 375), 1000),
    "Places365": Known({"train-standard": 1803460, "train-challenge": 8026628, "val": 36500}, (256, 256), 365),
    "Imagenette": Known({"train": 9469, "val": 3925}, (500, 375), 10),
    "CelebA": Known({"train": 162770, "valid": 19867, "test": 19962, "all": 202599}, (178, 218), 40),
    "Food101": Known({"train": 75750, "test": 25250}, (512, 512), 101),
    "Flowers102": Known({"train": 1020, "val": 1020, "test": 6149}, (500, 667), 102),
    "FGVCAircraft": Known({"train": 3334, "val": 3333, "trainval": 6667, "test": 3333}, (1024, 700), 100),
    "OxfordIIITPet": Known({"trainval": 3680, "test": 3669}, (500, 375), 37),
    "StanfordCars": Known({"train": 8144, "test": 8041}, (600, 400), 196),
    "DTD": Known({"train": 1880, "val": 1880, "test": 1880}, (500, 500), 47),
    "GTSRB": Known({"train": 26640, "test": 12630}, (50, 50), 43),
    "PCAM": Known({"train": 262144, "val": 32768, "test": 32768}, (96, 96), 2),
    "FER2013": Known({"train": 28709, "test": 7178}, (48, 48), 7),
    "EuroSAT": Known({"": 27000}, (64, 64), 10),
    "Caltech101": Known({"": 8677}, (300, 200), 101),
    "Caltech256": Known({"": 30607}, (370, 320), 257),
}
# Names in the path of a folder of images: the data set, by the parts that its folder may have.
_BY_PATH: Tuple[Tuple[str, Known], ...] = (
    (r"tiny-?_?imagenet", Known({"train": 100000, "val": 10000, "test": 10000}, (64, 64), 200)),
    (r"imagenette", _FILES["Imagenette"]),
    (r"imagewoof", Known({"train": 9025, "val": 3929}, (500, 375), 10)),
    (r"hymenoptera", Known({"train": 244, "val": 153}, (500, 375), 2)),
    (r"imagenet|ilsvrc", _FILES["ImageNet"]),
    (r"celeba(?!-?hq)", Known({"": 202599}, (178, 218), 1)),
)
_FOLDERS = ("ImageFolder",)
_NAMES = (*_ARRAYS, *_FILES, *_FOLDERS, "EMNIST")
# Those whose images lie as channels, rows, columns, with ``labels`` beside them.
_CHANNELS_FIRST = ("SVHN", "STL10")
_FEW = 8
_MADE_UP = Known({"": 10000}, (500, 375), 10)


def attach(module: Any, session: DryRun) -> None:
    """``torchvision.datasets``."""
    data_sets = _DataSets(module, session)
    for name in _NAMES:
        kind = getattr(module, name, None)
        if isinstance(kind, type) and "__init__" in vars(kind):
            kind.__init__ = data_sets.here_or_known(name, kind.__init__)  # type: ignore[misc]


class _DataSets:
    def __init__(self, module: Any, session: DryRun) -> None:
        self._base = module.VisionDataset
        self._session = session

    def here_or_known(self, name: str, original: Callable[..., None]) -> Callable[..., None]:
        """A constructor that makes a stand-in where the original fails."""
        bind = inspect.signature(original).bind
        stand_in = self._stand_in

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                original(self, *args, **kwargs)
            except Exception:
                given = bind(self, *args, **kwargs)
                given.apply_defaults()
                if not stand_in(self, name, given.arguments):
                    raise

        return __init__

    def _stand_in(self, dataset: Any, name: str, given: Dict[str, Any]) -> bool:
        # A data set may be made by the constructor of one that it builds on.
        name = next((kind.__name__ for kind in type(dataset).__mro__ if kind.__name__ in _NAMES), name)
        known, rows = _known(name, given)
        if rows is None:
            return False
        note = self._session.report.note
        is_known = known is not _MADE_UP
        if is_known:
            note("the data set %s is not on this machine; its published size is used" % name)
        else:
            note("the images of %s are not on this machine: how many there are stays unknown" % given.get("root"))
        self._base.__init__(
            dataset,
            given.get("root"),
            transform=given.get("transform"),
            target_transform=given.get("target_transform"),
        )
        dataset._gsbatch_published, dataset._gsbatch_made_up = is_known, not is_known
        names = [str(number) for number in range(known.classes)]
        dataset.classes = names if is_known else MadeUpClasses(self._session.ledger, known.classes)
        if name in _ARRAYS or name == "EMNIST":
            _as_arrays(dataset, name, known, rows)
            _remember_items(dataset)
        else:
            _as_files(dataset, known, rows, names)
        return True


def _known(name: str, given: Dict[str, Any]) -> Tuple[Known, Optional[int]]:
    """A data set, and how many rows are asked for; None where that is not known."""
    given = {**given, **given.get("kwargs", {})}
    train = given.get("train", True)
    if name == "EMNIST":
        train_rows, test_rows, classes = _EMNIST.get(given.get("split", ""), (0, 0, 0))
        return Known({}, (28, 28), classes), (train_rows if train else test_rows) or None
    if name in _FOLDERS:
        path = str(given.get("root", "")).lower()
        known = next((known for part, known in _BY_PATH if re.search(part, path)), _MADE_UP)
        split = next((split for split in known.rows if split and re.search(r"(^|[/_-])%s" % split, path)), "")
        rows = known.rows.get(split, known.rows.get("train"))
        return known, rows
    known = _ARRAYS.get(name) or _FILES[name]
    split = given.get("split") or ("train" if train else "test")
    return known, known.rows.get(split, known.rows.get(""))


def _as_arrays(dataset: Any, name: str, known: Known, rows: int) -> None:
    width, height = known.size
    labels = numpy.arange(rows) % known.classes
    if name in _CHANNELS_FIRST:
        dataset.data, dataset.labels = numpy.zeros((rows, 3, height, width), "uint8"), labels
    elif name.startswith("CIFAR"):
        dataset.data, dataset.targets = numpy.zeros((rows, height, width, 3), "uint8"), labels.tolist()
        dataset.class_to_idx = {label: number for number, label in enumerate(dataset.classes)}
    elif name == "USPS":
        dataset.data, dataset.targets = numpy.zeros((rows, height, width), "uint8"), labels.tolist()
    else:
        import torch

        dataset.data = torch.from_numpy(numpy.zeros((rows, height, width), "uint8"))
        dataset.targets = torch.from_numpy(labels)


def _as_files(dataset: Any, known: Known, rows: int, names: List[str]) -> None:
    classes = known.classes
    dataset.class_to_idx = {label: number for number, label in enumerate(names)}
    dataset.targets = [number % classes for number in range(rows)]
    dataset.samples = dataset.imgs = [("image-%d.jpg" % number, number % classes) for number in range(rows)]

    def item(self: Any, index: int) -> Tuple[Any, Any]:
        from PIL import Image

        image, target = Image.new("RGB", known.size), self.targets[index]
        return (image, target) if self.transforms is None else self.transforms(image, target)

    kind = type(dataset)
    dataset.__class__ = type(kind.__name__, (kind,), {"__len__": lambda self: rows, "__getitem__": item})
    _remember_items(dataset)


def _remember_items(dataset: Any) -> None:
    """Black images look alike: a few are made, and given again with the others' targets."""
    kind, made = type(dataset), {}

    def item(self: Any, index: int) -> Any:
        place = int(index) % _FEW
        if place not in made:
            made[place] = kind.__getitem__(self, place)
        found = made[place]
        targets = getattr(self, "targets", getattr(self, "labels", None))
        if targets is None or not isinstance(found, tuple) or not isinstance(found[1], int):
            return found
        return (found[0], int(targets[index]), *found[2:]) if self.target_transform is None else found

    dataset.__class__ = type(kind.__name__, (kind,), {"__getitem__": item})

"""Stand-ins for data sets of the Hugging Face hub that are not on this machine: equal rows, in the published number.

Sizes and columns are those of the data sets' own pages on the hub. A stand-in has a few rows, repeated. What a script
maps over them is computed for these few and repeated too.
"""

from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from ...dry_run.session import DryRun

# Words of a made-up text. No script asks for this length, so a batch of it was padded to its longest text.
TEXT_WORDS = 35
_TEXT = " ".join(["word"] * TEXT_WORDS)
_FEW = 8
_KEEPING = ("select", "shuffle", "remove_columns", "rename_column", "rename_columns", "with_format", "cast", "filter",
            "add_column", "flatten", "sort", "class_encode_column", "with_transform", "take", "skip", "shard",
            "select_columns", "cast_column", "train_test_split")  # fmt: skip


class _Known(NamedTuple):
    """Rows by split, a sample by column, and the names of the classes of ``label``."""

    rows: Dict[str, int]
    sample: Dict[str, Any]
    classes: int = 0


def _glue(train: int, validation: int, test: int, *columns: str, classes: int = 2) -> _Known:
    rows = {"train": train, "validation": validation, "test": test}
    return _Known(rows, {**dict.fromkeys(columns, _TEXT), "label": 0, "idx": 0}, classes)


_IMAGE = "an image"
_KNOWN: Dict[Tuple[str, Optional[str]], _Known] = {
    ("glue", "cola"): _glue(8551, 1043, 1063, "sentence"),
    ("glue", "mrpc"): _glue(3668, 408, 1725, "sentence1", "sentence2"),
    ("glue", "qnli"): _glue(104743, 5463, 5463, "question", "sentence"),
    ("glue", "qqp"): _glue(363846, 40430, 390965, "question1", "question2"),
    ("glue", "rte"): _glue(2490, 277, 3000, "sentence1", "sentence2"),
    ("glue", "sst2"): _glue(67349, 872, 1821, "sentence"),
    ("glue", "stsb"): _glue(5749, 1500, 1379, "sentence1", "sentence2", classes=1),
    ("glue", "wnli"): _glue(635, 71, 146, "sentence1", "sentence2"),
    ("glue", "mnli"): _Known(
        {"train": 392702, "validation_matched": 9815, "validation_mismatched": 9832, "test_matched": 9796,
         "test_mismatched": 9847}, {"premise": _TEXT, "hypothesis": _TEXT, "label": 0, "idx": 0}, 3),
    ("imdb", None): _Known({"train": 25000, "test": 25000, "unsupervised": 50000}, {"text": _TEXT, "label": 0}, 2),
    ("ag_news", None): _Known({"train": 120000, "test": 7600}, {"text": _TEXT, "label": 0}, 4),
    ("yelp_review_full", None): _Known({"train": 650000, "test": 50000}, {"text": _TEXT, "label": 0}, 5),
    ("yelp_polarity", None): _Known({"train": 560000, "test": 38000}, {"text": _TEXT, "label": 0}, 2),
    ("rotten_tomatoes", None): _Known(
        {"train": 8530, "validation": 1066, "test": 1066}, {"text": _TEXT, "label": 0}, 2),
    ("emotion", None): _Known({"train": 16000, "validation": 2000, "test": 2000}, {"text": _TEXT, "label": 0}, 6),
    ("tweet_eval", "sentiment"): _Known(
        {"train": 45615, "validation": 2000, "test": 12284}, {"text": _TEXT, "label": 0}, 3),
    ("wikitext", "wikitext-2-raw-v1"): _Known({"train": 36718, "validation": 3760, "test": 4358}, {"text": _TEXT}),
    ("wikitext", "wikitext-2-v1"): _Known({"train": 36718, "validation": 3760, "test": 4358}, {"text": _TEXT}),
    ("wikitext", "wikitext-103-raw-v1"): _Known({"train": 1801350, "validation": 3760, "test": 4358}, {"text": _TEXT}),
    ("squad", None): _Known({"train": 87599, "validation": 10570}, {
        "id": "0", "title": "word", "context": _TEXT, "question": _TEXT,
        "answers": {"text": ["word"], "answer_start": [0]}}),
    ("swag", "regular"): _Known({"train": 73546, "validation": 20006, "test": 20005}, {
        "sent1": _TEXT, "sent2": "word", "ending0": "word", "ending1": "word", "ending2": "word", "ending3": "word",
        "label": 0}, 4),
    ("cnn_dailymail", "3.0.0"): _Known({"train": 287113, "validation": 13368, "test": 11490}, {
        "article": _TEXT, "highlights": _TEXT, "id": "0"}),
    ("xsum", None): _Known({"train": 204045, "validation": 11332, "test": 11334}, {
        "document": _TEXT, "summary": _TEXT, "id": "0"}),
    ("samsum", None): _Known({"train": 14732, "validation": 818, "test": 819}, {
        "dialogue": _TEXT, "summary": _TEXT, "id": "0"}),
    ("mnist", None): _Known({"train": 60000, "test": 10000}, {"image": _IMAGE + " 28 28 L", "label": 0}, 10),
    ("fashion_mnist", None): _Known({"train": 60000, "test": 10000}, {"image": _IMAGE + " 28 28 L", "label": 0}, 10),
    ("cifar10", None): _Known({"train": 50000, "test": 10000}, {"img": _IMAGE + " 32 32 RGB", "label": 0}, 10),
    ("cifar100", None): _Known({"train": 50000, "test": 10000}, {
        "img": _IMAGE + " 32 32 RGB", "fine_label": 0, "coarse_label": 0}, 100),
    ("beans", None): _Known({"train": 1034, "validation": 133, "test": 128}, {
        "image": _IMAGE + " 500 500 RGB", "image_file_path": "", "labels": 0}, 3),
    ("food101", None): _Known(
        {"train": 75750, "validation": 25250}, {"image": _IMAGE + " 512 512 RGB", "label": 0}, 101),
    ("smithsonian_butterflies_subset", None): _Known({"train": 1000}, {"image": _IMAGE + " 640 480 RGB"}),
    ("flowers-102-categories", None): _Known({"train": 8189}, {"image": _IMAGE + " 500 667 RGB"}),
    ("pokemon-blip-captions", None): _Known({"train": 833}, {"image": _IMAGE + " 1280 1280 RGB", "text": _TEXT}),
}  # fmt: skip


def attach(module: Any, session: DryRun) -> None:
    """``datasets``. A file of the script's own may have the package's name."""
    if not (hasattr(module, "load_dataset") and hasattr(module, "Dataset")):
        return
    hub = _Hub(module, session)
    module.load_dataset = module.load.load_dataset = hub.load(module.load.load_dataset)
    for name in _KEEPING:
        if hasattr(module.Dataset, name):
            setattr(module.Dataset, name, hub.keeping(getattr(module.Dataset, name)))
    module.Dataset.map = hub.map(module.Dataset.map)


class _Hub:
    def __init__(self, module: Any, session: DryRun) -> None:
        self._datasets = module
        self._session = session

    def load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``load_dataset``, with a stand-in where the data set is known and not here."""

        def load_dataset(path: Any, name: Any = None, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(path, name, *args, **kwargs)
            except Exception:
                known = _KNOWN.get((str(path).split("/")[-1], name)) or _KNOWN.get((str(path).split("/")[-1], None))
                if known is None:
                    raise
            self._session.report.note("the data set %s is not on this machine; its published size is used" % path)
            self._session.ledger.publish(*known.rows.values())
            made = {split: self._made_up(known, rows) for split, rows in known.rows.items()}
            split = kwargs.get("split")
            if split is None:
                return self._datasets.DatasetDict(made)
            return self._part(made, str(split))

        return load_dataset

    def _part(self, made: Dict[str, Any], split: str) -> Any:
        """A split as it is asked for: ``train``, ``train[:10%]``, ``train[:1000]``, ``train+test``."""
        if "+" in split:
            parts = [self._part(made, part) for part in split.split("+")]
            return self._marked(self._datasets.concatenate_datasets(parts))
        name, _, limits = split.partition("[")
        data = made[name]
        if not limits:
            return data
        begin, _, end = limits.rstrip("]").partition(":")
        return data.select(range(_place(begin, len(data), 0), _place(end, len(data), len(data))))

    def _made_up(self, known: _Known, rows: int) -> Any:
        columns = {name: [_made(value)] * _FEW for name, value in known.sample.items()}
        few = self._datasets.Dataset.from_dict(columns)
        for name in ("label", "labels", "fine_label"):
            if known.classes > 1 and name in columns:
                names = [str(number) for number in range(known.classes)]
                few = few.cast_column(name, self._datasets.ClassLabel(names=names))
        return self._repeated(few, rows)

    def _repeated(self, few: Any, rows: int) -> Any:
        return self._marked(few.select([place % len(few) for place in range(rows)]))

    def _marked(self, made: Any) -> Any:
        for one in made.values() if isinstance(made, dict) else [made]:
            one._gsbatch_published = True
        return made

    def keeping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A method whose result is as made up as what it is called on."""
        marked = self._marked

        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            made = original(self, *args, **kwargs)
            return marked(made) if getattr(self, "_gsbatch_published", False) else made

        return called

    def map(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``map``, of a stand-in worked out for a few rows only."""
        hub = self

        def mapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs.pop("num_proc", None)
            if not getattr(self, "_gsbatch_published", False) or len(self) <= _FEW:
                return original(self, *args, **kwargs)
            few = original(self.select(range(_FEW)), *args, **kwargs)
            if len(few) != _FEW:  # texts are split or joined: the number of pieces depends on their real lengths
                hub._session.ledger.withhold("train_samples", "validation_samples", "steps")
            return hub._repeated(few, max(len(self) * len(few) // _FEW, 1)) if len(few) else few

        return mapped


def _place(text: str, rows: int, otherwise: int) -> int:
    if not text:
        return otherwise
    place = rows * int(text[:-1]) // 100 if text.endswith("%") else int(text)
    return min(place + rows if place < 0 else place, rows)


def _made(value: Any) -> Any:
    """A value of a sample; an image where its text says so."""
    if not isinstance(value, str) or not value.startswith(_IMAGE + " "):
        return value
    from PIL import Image

    width, height, mode = value[len(_IMAGE) + 1 :].split()
    return Image.new(mode, (int(width), int(height)))

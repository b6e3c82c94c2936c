"""Stand-ins for ``timm``'s data sets that are not on this machine: black images, of unknown number if not published."""

from typing import Any

from ...dry_run.session import DryRun

_ROWS = 10000
_SIZE = (500, 375)
_PUBLISHED = {"imagenet": (1281167, 50000), "cifar10": (50000, 10000), "cifar100": (50000, 10000)}


def attach(module: Any, session: DryRun) -> None:
    """``timm.data.dataset_factory``."""
    original = module.create_dataset

    def create_dataset(name: Any = "", root: Any = None, split: Any = "validation", *args: Any, **kwargs: Any) -> Any:
        try:
            return original(name, root, split, *args, **kwargs)
        except Exception:
            session.report.note("the images of %s are not on this machine" % (root or name))
        from torch.utils.data import Dataset

        path = ("%s %s" % (name, root)).lower()
        known = next((rows for part, rows in _PUBLISHED.items() if part in path), None)
        is_training = "train" in str(split)
        rows = _ROWS if known is None else known[0 if is_training else 1]

        class Images(Dataset):
            """Black images."""

            transform: Any = None
            target_transform: Any = None
            reader: Any = None
            _gsbatch_published, _gsbatch_made_up = known is not None, known is None

            def __len__(self) -> int:
                return rows

            def __getitem__(self, index: int) -> Any:
                from PIL import Image

                image: Any = Image.new("RGB", _SIZE)
                return image if self.transform is None else self.transform(image), 0

        return Images()

    module.create_dataset = create_dataset

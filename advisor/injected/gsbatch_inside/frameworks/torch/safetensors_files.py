"""``safetensors``, whose compiled code would write weights that have no values to files outside the scratch folder."""

import os
from typing import Any, Dict

from ...dry_run.session import DryRun


def attach(module: Any, _session: DryRun) -> None:
    """``safetensors.torch``: what is saved is kept, and given again to a script that loads it."""
    load = module.load_file
    kept: Dict[str, Any] = {}

    def save_file(tensors: Any, filename: Any, *_args: Any, **_kwargs: Any) -> None:
        kept[os.path.abspath(filename)] = dict(tensors)
        with open(filename, "wb"):
            pass  # scripts copy, link and rename what they saved

    def load_file(filename: Any, *args: Any, **kwargs: Any) -> Any:
        saved = kept.get(os.path.abspath(filename))
        return load(filename, *args, **kwargs) if saved is None else dict(saved)

    module.save_file, module.load_file = save_file, load_file
    module.save_model = lambda model, filename, *_args, **_kwargs: save_file(model.state_dict(), filename)
    module.load_model = lambda _model, _filename, *_args, **_kwargs: (set(), [])

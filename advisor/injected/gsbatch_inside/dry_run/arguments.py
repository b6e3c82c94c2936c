"""Keep what the script's own argument parser makes of its arguments."""

import argparse
from typing import Any

from . import report


def watch() -> None:
    """Record the namespace of every ``parse_args``."""
    original = argparse.ArgumentParser.parse_known_args

    def parse_known_args(self: Any, *args: Any, **kwargs: Any) -> Any:
        namespace, rest = original(self, *args, **kwargs)
        try:
            plain = {
                name: value for name, value in vars(namespace).items() if isinstance(value, (bool, int, float, str))
            }
            report.write({"arguments": plain})
        except Exception:
            pass
        return namespace, rest

    argparse.ArgumentParser.parse_known_args = parse_known_args  # type: ignore[method-assign]

"""Read a TOML file that a person wrote: a plain file of bounded size, whatever lies at its path."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

from advisor.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TomlError = tomllib.TOMLDecodeError
# The largest described clusters have some thousands of lines.
_MOST_BYTES = 4 * 1024**2


def read_toml_text(path: Path) -> str:
    """Read the file's text; a pipe, a device or a folder at its path is not read.

    Raises:
        OSError: it cannot be read or is not there.
        ConfigurationError: it is no plain file, is too large, or is not UTF-8.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # without waiting for the writer of a pipe
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISFIFO(status.st_mode):
            raise ConfigurationError(f"{path} is a pipe, not a file.")
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == Path(os.devnull).stat().st_rdev:
            return ""  # a way to say that there is none
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{path} is no plain file.")
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(f"{path} is larger than {_MOST_BYTES // 1024**2} MiB.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text.") from None


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Parse the text of a file.

    Raises:
        TomlError: it is not TOML.
        ConfigurationError: its values are nested too deep.
    """
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError(f"{path}: its values are nested too deep.") from None
    except TomlError:
        raise
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise ConfigurationError(f"{path}: a number in it is too long.") from None
    return found

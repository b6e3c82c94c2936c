"""Every setting, in one table, and where its value came from.

Layers, strongest first: command line, environment (``GSBATCH_NAME``), directives (``#GSBATCH``), user file
(``$XDG_CONFIG_HOME/gsbatch/config.toml``), site file (``/etc/gsbatch/config.toml``, or the file that
``GSBATCH_SITE_CONFIG`` names), defaults. Files are flat TOML: ``name = value``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.account import user_name
from advisor.errors import ConfigurationError, UsageError
from advisor.toml_file import TomlError, parse_toml, read_toml_text
from advisor.units import GainRule, energy_j_from_text, gain_rule_from_text

OBJECTIVES = ("energy", "time", "edp", "carbon", "cost")
BUDGET_ON = ("spent", "projected")
BUDGET_SIGNALS = ("USR1", "USR2", "INT", "TERM", "HUP")
SITE_FILE = Path("/etc/gsbatch/config.toml")
# What a site's file says of dry runs and nothing else outdoes.
NEVER = "never"
# Beyond this no rate or time of a site is meant, and products of them would leave the numbers that JSON has.
_MOST = 1e9
_VARIABLE = re.compile(r"\$(?:(?P<name>\w+)|\{(?P<braced>[^}]*)\})", re.ASCII)
_ACCOUNT_VARIABLES = frozenset({"USER", "LOGNAME"})
# A dry run where the kernel can confine it, and none for root.
AUTO = "auto"
# A dry run beside the training, in the job, and none before.
IN_JOB = "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one call, typed; ``sources`` names the layer that each value came from.

    Money is in the site's own currency; ``carbon_intensity_g_per_kwh`` is gCO2e; ``pue`` multiplies energy for carbon
    and cost only, never for what is compared with a measurement.
    """

    spool_dir: Path
    corpus: Path
    models_dir: Path
    template_dir: Path
    inventory: Path | None
    gpu_catalogue: Path | None
    backend: str
    objective: str
    probe: str
    record: bool
    energy_budget: float | None
    budget_on: str
    budget_signal: str | None
    min_gain: GainRule | None
    python: Path | None
    sbatch: Path | None
    gpu_readings: Path | None
    carbon_intensity_g_per_kwh: float | None
    price_per_kwh: float | None
    price_per_gpu_hour: float | None
    currency: str
    pue: float
    slurm_timeout_s: float
    advice_timeout_s: float
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: ``read`` turns text into the value, ``default`` makes the value where no layer has one."""

    name: str
    kind: str
    help: str
    read: Callable[[str], Any]
    default: Callable[[Mapping[str, str]], Any]

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"GSBATCH_{self.name.upper()}"


def data_path(name: str) -> Path:
    """The folder ``sbatch_templates`` or ``models`` that ships: inside the wheel, or beside the package in a checkout.

    The wheel's place is looked at first: beside an installed package lies site-packages, where ``models`` may be
    anyone's.

    Raises:
        ConfigurationError: it is in neither place.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_data" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigurationError(f"The folder '{name}' that ships with gsbatch is missing.", hint="Install gsbatch again.")


def _text(text: str) -> str:
    if not text.strip():
        raise UsageError("is empty.")
    return text.strip()


def _path(text: str) -> Path:
    return Path(_VARIABLE.sub(_variable, _text(text))).expanduser().absolute()


def _variable(match: re.Match[str]) -> str:
    """The value of ``$NAME`` or ``${NAME}``; a folder that bears the name itself would be made by no intention."""
    name = match["name"] or match["braced"]
    if name in _ACCOUNT_VARIABLES:  # unset under cron, and another's under some sudo
        return user_name()
    if not os.environ.get(name):
        raise UsageError(f"names ${name}, which is not set.")
    return os.environ[name]


def _boolean(text: str) -> bool:
    values = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.strip().lower() not in values:
        raise UsageError(f"must be true or false, not '{text}'.")
    return values[text.strip().lower()]


def _number(low: float, *, above: bool = False, high: float = _MOST) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise UsageError(f"must be a number, not '{text}'.") from None
        if not low <= number <= high or (above and number == low):
            raise UsageError(f"must be {'above' if above else 'at least'} {low:g} and at most {high:g}, not {text}.")
        return number

    return read


def _choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.strip() not in choices:
            raise UsageError(f"must be one of {', '.join(choices)}, not '{text}'.")
        return text.strip()

    return read


def _always(value: object) -> Callable[[Mapping[str, str]], Any]:
    return lambda _environment: value


def _in_data_home(name: str) -> Callable[[Mapping[str, str]], Path]:
    return lambda environment: _home(environment, "XDG_DATA_HOME", ".local/share") / "gsbatch" / name


def _home(environment: Mapping[str, str], variable: str, below_home: str) -> Path:
    named = environment.get(variable, "")
    if named.startswith("/"):  # the XDG specification has relative paths ignored
        return Path(named)
    try:
        return Path(environment["HOME"]) / below_home if environment.get("HOME") else Path.home() / below_home
    except RuntimeError:
        raise ConfigurationError("No home folder is known for this user.", hint=f"Set {variable}.") from None


SETTINGS: tuple[Setting, ...] = (
    Setting("spool_dir", "folder", "where job nodes write traces and tickets lie", _path, _in_data_home("spool")),
    Setting("corpus", "file", "the SQLite store of measured runs", _path, _in_data_home("corpus.db")),
    Setting("models_dir", "folder", "retrained models", _path, _in_data_home("models")),
    Setting(
        "template_dir", "folder", "batch script templates", _path, lambda _environment: data_path("sbatch_templates")
    ),
    Setting("inventory", "file", "a described cluster (TOML) in place of Slurm", _path, _always(None)),
    Setting("gpu_catalogue", "file", "the site's own GPU entries and corrections", _path, _always(None)),
    Setting(
        "backend",
        "auto|commands|pyslurm",
        "how Slurm is asked",
        _choice("auto", "commands", "pyslurm"),
        _always("auto"),
    ),
    Setting(
        "objective", "|".join(OBJECTIVES), "what placements are ranked by", _choice(*OBJECTIVES), _always("energy")
    ),
    Setting(
        "probe",
        "auto|on|fresh|job|off|never",
        "dry-run the script for its facts; job: only in the job; never, in the site file, forbids it",
        _choice(AUTO, "on", "fresh", IN_JOB, "off", NEVER),
        _always(AUTO),
    ),
    Setting("record", "true|false", "measure the job while it runs", _boolean, _always(True)),
    Setting(
        "energy_budget", "energy", "stop after the epoch that passes this, e.g. 2MJ", energy_j_from_text, _always(None)
    ),
    Setting(
        "budget_on",
        "|".join(BUDGET_ON),
        "which energy the budget is about",
        _choice(*BUDGET_ON),
        _always("spent"),
    ),
    Setting(
        "budget_signal",
        "|".join(BUDGET_SIGNALS),
        "tells a loop of one's own, at an epoch's end, to stop",
        _choice(*BUDGET_SIGNALS),
        _always(None),
    ),
    Setting(
        "min_gain",
        "gain[:metric[:epochs]]",
        "stop when epochs gain less per kJ, e.g. 0.001:val_accuracy:3",
        gain_rule_from_text,
        _always(None),
    ),
    Setting("python", "file", "the interpreter that runs Python scripts in the job", _path, _always(None)),
    Setting(
        "sbatch", "file", "submits the jobs; else the first sbatch on PATH that is not gsbatch", _path, _always(None)
    ),
    Setting(
        "gpu_readings", "file", "recorded readings in place of NVML, to try it without a GPU", _path, _always(None)
    ),
    Setting(
        "carbon_intensity_g_per_kwh", "number", "of the site's electricity, gCO2e per kWh", _number(0.0), _always(None)
    ),
    Setting("price_per_kwh", "number", "of electricity, in the site's currency", _number(0.0), _always(None)),
    Setting("price_per_gpu_hour", "number", "in the site's currency", _number(0.0), _always(None)),
    Setting("currency", "text", "what the prices are in", _text, _always("EUR")),
    Setting(
        "pue", "number", "facility energy per IT energy, for carbon and cost", _number(1.0, high=10.0), _always(1.0)
    ),
    Setting(
        "slurm_timeout_s", "seconds", "the longest a Slurm query may take", _number(0.0, above=True), _always(15.0)
    ),
    Setting(
        "advice_timeout_s",
        "seconds",
        "the longest advice may take before the job is submitted without it",
        _number(0.0, above=True),
        _always(90.0),
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def load_settings(
    *,
    command_line: Mapping[str, str] | None = None,
    directives: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read all layers; the strongest that names a setting wins.

    Args:
        command_line: setting name to text, from options.
        directives: setting name to text, from ``#GSBATCH`` lines.
        environment: in place of ``os.environ``.

    Raises:
        ConfigurationError: a layer holds an unknown name or a value that cannot be used; every file that exists is
            checked whole, so that a mistake is found when it is made and not when another layer is removed.
    """
    variables = os.environ if environment is None else environment
    layers = [
        _from_file(site_file(variables), "site file"),
        _from_file(user_file(variables), "user file"),
        _from_texts(directives or {}, "directive", lambda name: "#GSBATCH " + _option_name(name)),
        _from_environment(variables),
        _from_texts(command_line or {}, "command line", _option_name),
    ]  # fmt: skip
    values = {setting.name: (setting.default(variables), "default") for setting in SETTINGS}
    for layer in layers:  # weakest first
        values.update(layer)
    site_probe = layers[0].get("probe")
    if site_probe is not None and site_probe[0] == NEVER:
        values["probe"] = site_probe
    return Settings(
        **{name: value for name, (value, _source) in values.items()},
        sources={name: source for name, (_value, source) in values.items()},
    )


def check_texts(texts: Mapping[str, str]) -> None:
    """Read options of the command line without any other layer.

    Raises:
        ConfigurationError: a value cannot be used.
    """
    _from_texts(texts, "command line", _option_name)


def user_file(environment: Mapping[str, str]) -> Path:
    """The user's own settings file, there or not."""
    return _home(environment, "XDG_CONFIG_HOME", ".config") / "gsbatch" / "config.toml"


def site_file(environment: Mapping[str, str]) -> Path:
    """The site's settings file, there or not."""
    return Path(environment.get("GSBATCH_SITE_CONFIG") or SITE_FILE)


def _option_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _from_texts(texts: Mapping[str, str], source: str, place: Callable[[str], str]) -> dict[str, tuple[Any, str]]:
    return {name: (_read(_BY_NAME[name], text, place(name)), source) for name, text in texts.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    return {
        setting.name: (
            _read(setting, environment[setting.variable], setting.variable),
            f"environment {setting.variable}",
        )
        for setting in SETTINGS
        if environment.get(setting.variable)
    }


def _read(setting: Setting, text: str, place: str) -> Any:
    try:
        return setting.read(text)
    except UsageError as exc:
        raise ConfigurationError(f"{place}: {exc}", hint=exc.hint) from exc


def _from_file(path: Path, label: str) -> dict[str, tuple[Any, str]]:
    try:
        text = read_toml_text(path)
        entries = parse_toml(text, path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}.", hint="Check its permissions.") from exc
    except TomlError as exc:
        raise ConfigurationError(f"{path} is not TOML: {exc}.", hint='Write lines like: objective = "time"') from exc
    return {name: (_entry(path, text, name, value), f"{label} {path}") for name, value in entries.items()}


def _entry(path: Path, text: str, name: str, value: object) -> Any:
    place = f"{path}, line {_line_of(text, name)}, {name}"
    if name not in _BY_NAME:
        raise ConfigurationError(f"{place}: there is no such setting.", hint=f"Settings: {', '.join(_BY_NAME)}.")
    if not isinstance(value, str | int | float):
        raise ConfigurationError(f"{place}: must be a single value.")
    return _read(_BY_NAME[name], str(value), place)


def _line_of(text: str, name: str) -> int:
    pattern = re.compile(rf"""\s*(\[+\s*)?["']?{re.escape(name)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)

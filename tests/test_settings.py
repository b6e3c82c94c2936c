"""Settings come from layers, and each value knows which."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from advisor.errors import ConfigurationError, UsageError
from advisor.settings import SETTINGS, check_texts, data_path, load_settings
from advisor.units import gain_rule_from_text


def _environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "GSBATCH_SITE_CONFIG": str(tmp_path / "site.toml"),
        **variables,
    }


def _user_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config" / "gsbatch" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_account_in_a_path_comes_from_the_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cron sets no $USER, and no folder of that name may be made; another variable that is not set is an error."""
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.setenv("LOGNAME", "somebody")
    account = pwd.getpwuid(os.getuid()).pw_name
    for text in ("/spool/$USER", "/spool/${USER}", "/spool/$LOGNAME"):
        assert Path("/spool") / account == load_settings(command_line={"spool_dir": text}).spool_dir
    monkeypatch.delenv("SCRATCH", raising=False)

    with pytest.raises(ConfigurationError, match=r"\$SCRATCH, which is not set"):
        load_settings(command_line={"spool_dir": "$SCRATCH/spool"})


def test_defaults_follow_xdg_and_say_so(tmp_path: Path) -> None:
    """With nothing set, data lies under the user's data home and every source is "default"."""
    settings = load_settings(environment={"HOME": str(tmp_path)})

    assert tmp_path / ".local/share/gsbatch/spool" == settings.spool_dir
    assert "energy" == settings.objective
    assert {"default"} == set(settings.sources.values())


@pytest.mark.parametrize("strongest", range(5))
def test_the_strongest_layer_wins(tmp_path: Path, strongest: int) -> None:
    """Command line, environment, directive, user file, site file: each beats all that follow it."""
    values = ["energy", "time", "edp", "carbon", "cost"]
    layers = ["command line", "environment GSBATCH_OBJECTIVE", "directive", "user file", "site file"]
    if strongest <= 3:
        _user_file(tmp_path, f'objective = "{values[3]}"\n')
    (tmp_path / "site.toml").write_text(f'objective = "{values[4]}"\n', encoding="utf-8")

    settings = load_settings(
        command_line={"objective": values[0]} if strongest <= 0 else {},
        environment=_environment(tmp_path, **({"GSBATCH_OBJECTIVE": values[1]} if strongest <= 1 else {})),
        directives={"objective": values[2]} if strongest <= 2 else {},
    )

    assert values[strongest] == settings.objective
    assert settings.sources["objective"].startswith(layers[strongest])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('objectve = "time"', "there is no such setting"),
        ('objective = "speed"', "must be one of energy, time, edp, carbon, cost, not 'speed'"),
        ("slurm_timeout_s = 0", "must be above 0"),
        ("pue = 0.5", "must be at least 1"),
        ("pue = 1e308", "at most 10"),
        ("price_per_kwh = inf", "at most 1e+09"),
        ("slurm_timeout_s = nan", "must be above 0"),
        ('price_per_kwh = "cheap"', "must be a number"),
        ("record = [1]", "must be a single value"),
        ('min_gain = "a:lot"', "'a:lot' is not GAIN"),
        ('budget_signal = "KILL"', "must be one of USR1"),
        ('energy_budget = "2 apples"', "'2 apples' is not an energy"),
        ("[objective]\nx = 1", "must be a single value"),
    ],
)
def test_a_mistake_in_a_file_names_file_line_and_field(tmp_path: Path, line: str, said: str) -> None:
    """Whoever wrote the file finds the place at once."""
    path = _user_file(tmp_path, f"# settings\n\n{line}\n")

    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment=_environment(tmp_path))

    field = line.strip("[").split()[0].rstrip("]")
    assert f"{path}, line 3, {field}: " in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    """A syntax error keeps the parser's own line."""
    path = _user_file(tmp_path, "objective = \n")

    with pytest.raises(ConfigurationError, match="line 1") as caught:
        load_settings(environment=_environment(tmp_path))

    assert str(path) in str(caught.value)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """Settings are read before anything has a time limit; /dev/null is a way to say "none"."""
    pipe = tmp_path / "config.toml"
    os.mkfifo(pipe)

    with pytest.raises(ConfigurationError, match="is a pipe"):
        load_settings(environment={"HOME": str(tmp_path), "GSBATCH_SITE_CONFIG": str(pipe)})
    load_settings(environment={"HOME": str(tmp_path), "GSBATCH_SITE_CONFIG": os.devnull})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("/dev/zero", "no plain file"),
        ("x = " + "[" * 50_000 + "]" * 50_000, "nested too deep"),
        ("# " + "x" * 5 * 1024**2, "larger than 4 MiB"),
        (b"\xff", "not UTF-8"),
    ],
    ids=["device", "nested", "large", "bytes"],
)
def test_whatever_lies_at_its_path_a_settings_file_is_read_in_bounds(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    """Settings are read before a job is submitted: no file may end or stop that."""
    path = Path("/dev/zero") if content == "/dev/zero" else tmp_path / "config.toml"
    if content != "/dev/zero":
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(ConfigurationError, match=said):
        load_settings(environment={"HOME": str(tmp_path), "GSBATCH_SITE_CONFIG": str(path)})


def test_a_mistake_in_a_variable_names_the_variable(tmp_path: Path) -> None:
    """GSBATCH_PROBE=maybe is found by its name."""
    refusal = "GSBATCH_PROBE: must be one of auto, on, fresh, job, off, never, not 'maybe'"
    with pytest.raises(ConfigurationError, match=refusal):
        load_settings(environment=_environment(tmp_path, GSBATCH_PROBE="maybe"))


def test_a_mistake_on_the_command_line_names_the_option() -> None:
    """What was typed is what the message speaks of."""
    with pytest.raises(ConfigurationError, match="--energy-budget: 'much' is not an energy"):
        check_texts({"energy_budget": "much"})


def test_values_have_their_type(tmp_path: Path) -> None:
    """Text of any layer becomes a number, a truth value, a path or joules."""
    settings = load_settings(
        environment=_environment(
            tmp_path, GSBATCH_RECORD="no", GSBATCH_ENERGY_BUDGET="2MJ", GSBATCH_SPOOL_DIR="~/spool", GSBATCH_PUE="1.3"
        )
    )

    assert settings.record is False
    assert 2e6 == settings.energy_budget
    assert Path("~/spool").expanduser() == settings.spool_dir
    assert 1.3 == settings.pue


def test_every_setting_is_explained_once() -> None:
    """The table is complete: a name, a kind and a line of help each, no name twice."""
    names = [setting.name for setting in SETTINGS]

    assert len(names) == len(set(names))
    assert all(setting.help and setting.kind for setting in SETTINGS)


def test_templates_are_found_and_a_missing_folder_is_an_error() -> None:
    """What ships is found from any working folder."""
    assert (data_path("sbatch_templates") / "python.sbatch.j2").is_file()

    with pytest.raises(ConfigurationError, match="no_such_folder"):
        data_path("no_such_folder")


@pytest.mark.parametrize(
    ("text", "per_kj", "metric", "patience"),
    [("0.001", 0.001, None, 3), ("1e-3:val_accuracy", 0.001, "val_accuracy", 3), ("2::5", 2.0, None, 5)],
)
def test_a_least_gain_is_read_and_written_alike(text: str, per_kj: float, metric: str | None, patience: int) -> None:
    """The recorder in the job gets the rule as text."""
    rule = gain_rule_from_text(text)

    assert (per_kj, metric, patience) == (rule.per_kj, rule.metric, rule.patience)
    assert rule == gain_rule_from_text(str(rule))


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1.2.3", "0.1:acc:0", "0.1:acc:3:4", "0.1:a b"])
def test_what_is_no_gain_is_refused(text: str) -> None:
    """A rule that was misread would stop a training."""
    with pytest.raises(UsageError):
        gain_rule_from_text(text)

"""sbatch's options are read as sbatch reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.request.sbatch_options import Option, arguments_without_quiet, split_options


def _read(*arguments: str) -> list[tuple[str, str | None]]:
    return [(option.name, option.value) for option in split_options(arguments).options]


@pytest.mark.parametrize(
    "arguments", [("-p", "gpu"), ("-pgpu",), ("--partition", "gpu"), ("--partition=gpu",), ("--part=gpu",)]
)
def test_every_spelling_of_an_option_is_the_same_option(arguments: tuple[str, ...]) -> None:
    """Short, joined, long, with "=" and cut to an unambiguous beginning."""
    assert [("partition", "gpu")] == _read(*arguments)


def test_a_bundle_of_short_options_is_several_options() -> None:
    """-QHn4 is --quiet --hold --ntasks=4, and the arguments stay together."""
    found = split_options(["-QHn4", "job.sh"])

    assert [("quiet", None), ("hold", None), ("ntasks", "4")] == [(o.name, o.value) for o in found.options]
    assert ("-QHn4",) == tuple(word for o in found.options for word in o.arguments)
    assert ("job.sh",) == found.rest


def test_the_first_word_that_is_no_option_is_the_script_and_the_rest_is_its_own() -> None:
    """--epochs after train.py belongs to train.py, and so does --advise."""
    found = split_options(["-t", "10", "train.py", "--epochs", "5", "--advise", "-p", "x"], own={"advise"})

    assert ("train.py", "--epochs", "5", "--advise", "-p", "x") == found.rest
    assert () == found.own


@pytest.mark.parametrize("option", ["--nice", "--exclusive", "--requeue", "--propagate", "--get-user-env", "-k"])
def test_an_optional_value_stands_only_behind_an_equals_sign(option: str) -> None:
    """--nice 5 is --nice and a script named 5."""
    assert ("5",) == split_options([option, "5"]).rest


def test_an_optional_value_with_equals_sign_is_read() -> None:
    """--nice=5 has the value 5."""
    assert [("nice", "5")] == _read("--nice=5")


def test_two_dashes_end_the_options() -> None:
    """What follows -- is the script, whatever it looks like."""
    assert ("--odd.py", "x") == split_options(["-n", "1", "--", "--odd.py", "x"]).rest


def test_unknown_options_pass_through_with_and_without_a_value() -> None:
    """A plugin's or a future release's option is kept as typed; only a site's own help says that it takes a value."""
    as_flag = split_options(["--new-thing", "train.py"])
    with_value = split_options(["--image", "x.sif", "train.py"], unknown_takes_value=lambda name: name == "image")
    joined = split_options(["--image=x.sif", "train.py"])

    assert (Option("new-thing", None, ("--new-thing",)),) == as_flag.options
    assert ("train.py",) == as_flag.rest == with_value.rest == joined.rest
    assert (Option("image", "x.sif", ("--image", "x.sif")),) == with_value.options
    assert (Option("image", "x.sif", ("--image=x.sif",)),) == joined.options


def test_own_options_are_set_aside_in_both_spellings() -> None:
    """Ours never reach sbatch; sbatch's keep their order."""
    found = split_options(
        ["-p", "a", "--objective", "time", "--advise", "--set=epochs=5", "-n1", "x.py"],
        own={"advise"},
        own_with_value={"objective", "set"},
    )

    assert [("objective", "time"), ("advise", None), ("set", "epochs=5")] == [(o.name, o.value) for o in found.own]
    assert ["-p", "a", "-n1"] == [word for o in found.options for word in o.arguments]


@pytest.mark.parametrize("arguments", [["--objective"], ["--advise=yes"]])
def test_own_options_with_a_value_too_few_or_too_many_are_refused(arguments: list[str]) -> None:
    """Our own options are ours to refuse."""
    with pytest.raises(UsageError):
        split_options(arguments, own={"advise"}, own_with_value={"objective"})


def test_an_ambiguous_beginning_stays_as_it_is() -> None:
    """--mem-p could be --mem-per-cpu or --mem-per-gpu: sbatch will say so."""
    assert [("mem-p", "4")] == _read("--mem-p=4")


WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            ["-p", "--mem=4G", "--nice", "-Qn4", "--", "-", ":", "--advise", "--set", "a=b", "x.py", "--odd"]
        ),
        st.text(max_size=6),
        st.text(max_size=4).map("--".__add__),
    )
)


@given(WORDS)
def test_no_word_is_lost_changed_or_moved(arguments: list[str]) -> None:
    """Whatever is typed, sbatch gets every word that is not ours, in its order."""
    found = split_options(arguments)

    kept = [word for option in found.options for word in option.arguments]
    end = ["--"] if len(kept) + len(found.rest) < len(arguments) else []
    assert arguments == [*kept, *end, *found.rest]


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("-Q", ""),
        ("--quiet", ""),
        ("--qui -n4 -QQ", "-n4"),
        ("-QHn4", "-Hn4"),
        ("-HQn 4 -p QQ", "-Hn 4 -p QQ"),
        ("-HQ", "-H"),
        ("-JQQ -p Q", "-JQQ -p Q"),
    ],
)
def test_quiet_is_taken_out_of_what_was_typed(typed: str, left: str) -> None:
    """Alone, cut short or in a bundle; a value that looks like it stays."""
    assert left.split() == list(arguments_without_quiet(split_options(typed.split()).options))

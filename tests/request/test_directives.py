"""A script's header is read by sbatch's rules."""

from __future__ import annotations

import pytest

from advisor.errors import ScriptError, UsageError
from advisor.request.directives import own_directives, read_header, split_directive


def test_directives_end_at_the_first_command() -> None:
    """An #SBATCH line below a command is a comment to sbatch, and to us."""
    header = read_header("#!/bin/bash\n\n#SBATCH -p a\n# note\n#SBATCH --mem=4G -n 2\necho hi\n#SBATCH -p b\n")

    assert [("partition", "a"), ("mem", "4G"), ("ntasks", "2")] == [(o.name, o.value) for o in header.options]
    assert "echo hi\n#SBATCH -p b\n" == header.body
    assert ("#SBATCH -p a", "#SBATCH --mem=4G -n 2") == header.directives


def test_header_and_body_together_are_the_whole_text() -> None:
    """Nothing of the user's script is lost or changed."""
    text = "#!/bin/sh\n# a\n\n#SBATCH -n1\n  set -e\ncat <<E\n#x\nE\n"
    header = read_header(text)

    assert text == "".join(line + "\n" for line in header.lines) + header.body


def test_a_script_of_comments_only_has_no_body() -> None:
    """A file without a command, and without a last line end, is all header."""
    header = read_header("#!/bin/sh\n#SBATCH -n1")

    assert ("#!/bin/sh", "#SBATCH -n1") == header.lines
    assert "" == header.body


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (' --comment="two words" -n1', ["--comment=two words", "-n1"]),
        (" -J 'a \"b\" c'", ["-J", 'a "b" c']),
        (" --job-name=a\\ b", ["--job-name=a b"]),
        (" -p gpu # the fast one", ["-p", "gpu"]),
        (" --output=$HOME/%j", ["--output=$HOME/%j"]),
        ("", []),
    ],
)
def test_words_are_split_with_sbatch_quoting_and_never_expanded(line: str, arguments: list[str]) -> None:
    """Quotes group, a backslash keeps a blank, # ends the line, $HOME stays $HOME."""
    assert arguments == split_directive(line)


def test_an_unmatched_quote_is_an_error() -> None:
    """It is refused, as sbatch refuses it."""
    with pytest.raises(ScriptError, match="unmatched"):
        read_header('#!/bin/sh\n#SBATCH --comment="open\ntrue\n')


def test_own_directives_are_read_and_strays_refused() -> None:
    """#GSBATCH holds our options and nothing else."""
    good = read_header("#!/bin/sh\n#GSBATCH --set epochs=50 --no-record\ntrue\n")
    bad = read_header("#!/bin/sh\n#GSBATCH --partition=a\ntrue\n")
    own, with_value = frozenset({"no-record"}), frozenset({"set"})

    assert [("set", "epochs=50"), ("no-record", None)] == [
        (o.name, o.value) for o in own_directives(good, own=own, own_with_value=with_value)
    ]
    with pytest.raises(UsageError, match="--partition=a"):
        own_directives(bad, own=own, own_with_value=with_value)


@pytest.mark.parametrize("line", ["#SBATCH hetjob", "#SBATCH packjob"])
def test_heterogeneous_jobs_are_recognised(line: str) -> None:
    """Their meaning is sbatch's alone."""
    assert read_header(f"#!/bin/sh\n#SBATCH -n1\n{line}\n#SBATCH -n2\ntrue\n").is_heterogeneous

"""The shell reader against bash itself: what bash starts is what is found, with every argument; the rest is unknown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.inspection.shell import grammar
from advisor.inspection.shell.grammar import ShellNotReadable
from advisor.inspection.shell.outcome import Command
from advisor.inspection.shell.run import commands
from advisor.inspection.shell.state import HOLE, fresh

_RECORDER = '#!/bin/bash\nprintf "%s\\0" "$PWD" "$MARK" "$@" >> "$RECORD"; printf "\\n\\0" >> "$RECORD"\n'

KNOWN = [
    'EPOCHS=7\nwhile [[ $# -gt 0 ]]; do case "$1" in -e|--ep) EPOCHS="$2"; shift 2;; *) shift;; esac; done\np $EPOCHS',
    "while getopts 'e:vn:' o; do case $o in e) E=$OPTARG;; v) V=1;; n) N=$OPTARG;; esac; done\nshift $((OPTIND-1)); p $E $V $@",  # noqa: E501 (one script)
    "E=1; ((E++)); let E+=2; ((E*=3, F=E-1)); p $E $F $((E<<2)) $(( E > 3 ? 1 : 0 )) $((010 + 0x10))",
    'unset A; A=1; unset A; p "${A-unset}" "${A:-x y}" ${A:-x y} "${A:+no}"',
    "p {1..3} a{b,c}d {01..03} {a..c} x{1..2}y{3,4}",
    "p $'\\t' $'a\\nb' $'it\\'s' 'a\\nb' \"a\\nb\" a\\ b",
    "(cd sub; p inside); p outside; if true; then cd sub; fi; p there; cd -; p back",
    'f() { local X=$1; Y=$2; shift; p "$X" "$@"; }\nX=before; f \'a b\' c; p $X $Y',
    'A=(1 \'x y\' 3); A+=(4); A[1]=z; p "${A[@]}" ${#A[@]} ${A[-1]} "${A[@]:1:2}" "${!A[@]}"',
    "declare -A M=([a]=1 [b]=2); K=b; p ${M[$K]} ${M[a]}",
    "N=a/b.tar.gz; p ${N##*/} ${N#*/} ${N%.*} ${N%%.*} ${N/b/c} ${N//[ab]/x} ${#N} ${N^^} ${N:2:1}",
    "for i in 1 2 3; do [ $i = 2 ] && continue; p $i; done; for i; do p arg $i; done",
    "for ((i=0; i<3; i++)); do p $i; if ((i == 1)); then break; fi; done; p after $i",
    "N=5; until [ $N -le 3 ]; do p $N; N=$((N-1)); done",
    'X=" a  b "; p $X; p "$X"; p pre$X"post"',
    "case ${1} in -*) p dash;; a|b) p ab;; *) p other;; esac; case ab.c in *.c) p c;; esac",
    "if [ \"$1\" == -e ] && [[ -n $2 ]]; then p yes; elif true; then p no; fi; [ -z '' -a 1 -lt 2 ] && p both",
    "E=3; p $E | cat; E=4 p $E; p $E & wait; { E=5; p $E; }",
    "read -r A B <<< '1 2 3'; p $A \"$B\"",
    "CMD='p --lr 1'; $CMD; eval \"$CMD 'x y'\"; C=(p a 'b c'); \"${C[@]}\"",
    'set -- a \'b c\'; p "$@" $# $2; shift; p "$1"',
    'cat <<EOF > made.sh\np made $1 \\$X "q"\nEOF\nX=5; . ./made.sh',
    "MARK=1; p a; export MARK; p b; MARK=2 p c; p d",
    ': ${ZED:=4}; p $ZED; p ${1:-none} ${9:-none} ${9-x} "$9"',
    'p $(basename a/b.py .py) $(dirname a/b) $(seq 2 4) "$(echo x y)" `echo z` $(expr 2 + 3) "$(pwd)"',
    "true && p 1 || p 2; false && p 3 || p 4; ! false && p 5",
    "f() { if [ $1 -gt 2 ]; then return; fi; p $1; f $(($1+1)); }; f 1; p end",
    "[[ abc == a* ]] && p glob; [[ abc =~ ^a.c$ ]] && p regex; [[ 'a*' == 'a*' && ! x == y ]] && p and",
    'A=x; A+=y; A+="z"; p $A; p "$A"\'$A\'"\\$A"',
    "p a # comment\n  # p b\np \\\n  c \\\n  d",
    "exec p last; p never",
    "p before; exit 0; p never",
    'p ~ ~/x "~"',
    "while read -r x; do :; done <<< 'a'; p done",
    "A=1\nif [ $A -eq 1 ]; then\n  B=2\nelse\n  B=3\nfi\np $B",
    'A=xyz; p "$(( ${#A} + 1 ))" "${1:0:1}"; i=1; B=(a b c); p ${B[$i+1]} ${B[i]}',
]


@pytest.mark.parametrize("text", KNOWN)
def test_what_bash_starts_is_found(text: str, tmp_path: Path) -> None:
    """Every start of the program ``p``, its arguments, folder and one variable, as bash itself runs it."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "p").write_text(_RECORDER, encoding="utf-8")
    (tmp_path / "bin" / "p").chmod(0o755)
    record = tmp_path / "record"
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "RECORD": str(record)}
    given = ["-e", "3", "-v", "rest"]
    subprocess.run(["bash", "-c", text, "script", *given], env=environment, cwd=tmp_path, check=False, timeout=20)
    ran = [item.split("\0")[:-1] for item in record.read_text(encoding="utf-8").split("\n\0")[:-1]]
    found = [
        [command.shell.environment["PWD"].text, *_mark(command), *(word.text for word in command.words[1:])]
        for command in commands(text, fresh({**environment, "PWD": str(tmp_path)}, given))
        if command.words[0].text == "p" or [word.text for word in command.words[:2]] == ["exec", "p"]
    ]
    found = [[*item[:2], *item[3:]] if item[2:3] == ["p"] else item for item in found]

    assert sorted(ran) == sorted(found)  # what stands after & may run later


def _mark(command: Command) -> list[str]:
    word = command.environment.get("MARK")
    return ["" if word is None else word.text]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("read A; p $A", "read from a file"),
        ("while read A; do p $A; done < list", "read from a file"),
        ("p <(sort x)", "a file that only the shell makes"),
        ("if [ -f x ]; then A=1; else A=2; fi; p $A", "set under a condition"),
        ("for x in *.py; do A=$x; done; p $A", "differs in each round of a loop"),
        ("A=0; while ./more; do ((A++)); done; p $A", "differs in each round of a loop"),
        ("A=1; [ -d y ] && A=2; p $A", "set under a condition"),
        ("f() { [ -f x ] && return; A=1; }; A=0; f; p $A", "set under a condition"),
        ("for i in 1 2 3; do [ -f $i ] && break; done; p $i", "differs in each round of a loop"),
        ("case $(uname) in L*) A=1;; *) A=2;; esac; p $A", "set under a condition"),
        ("mapfile -t A < list; p ${A[0]}", "read from a file"),
        ("A=$((X + 1)); p $A", "set nowhere that can be seen"),
        ("shift $N; p $1", "a number is taken off"),
        ("A=(1 2); A[$X]=3; p ${A[0]}", "an item is set that is not known"),
    ],
)
def test_what_only_running_it_would_tell_is_unknown(text: str, reason: str) -> None:
    """A value is never guessed; the reason says what would have to be run."""
    command = next(item for item in commands(text, fresh({}, ["a", "b"])) if item.words[0].text == "p")

    assert HOLE in command.words[1].text
    assert [] != [item for item in command.words[1].unknown if reason in item]


def test_a_script_that_never_ends_is_left() -> None:
    """A loop without an end, and functions that call each other, cost a bounded number of steps."""
    assert [] == [item for item in commands("while true; do :; done; p", fresh({}, [])) if item.words[0].text == "q"]
    assert [] != commands("f() { p; f; }; f", fresh({}, []))


def test_deep_nesting_is_an_error_of_the_script() -> None:
    """No stack overflow for a script that somebody has nested without end."""
    with pytest.raises(ShellNotReadable, match="nested too deep"):
        commands("(" * 3000 + "p" + ")" * 3000, fresh({}, []))


def test_without_the_parser_one_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without a wheel: batch scripts are not read, and that is said."""
    monkeypatch.setitem(sys.modules, "tree_sitter_bash", None)

    with pytest.raises(ShellNotReadable, match="not installed"):
        grammar.parse("p")


def test_what_is_no_bash_is_passed_over(tmp_path: Path) -> None:
    """A syntax error ends nothing: the commands around it are found."""
    found = [
        command.words[0].text for command in commands("a\nif then (( \nb\n", fresh({"PWD": os.fspath(tmp_path)}, []))
    ]

    assert "a" in found

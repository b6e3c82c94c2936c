"""Which nodes --exclude names, and which constraints can be judged."""

from __future__ import annotations

import pytest

from advisor.request.node_selection import is_listed, is_plain_constraint, listed


@pytest.mark.parametrize(
    ("node", "hostlist", "listed"),
    [
        ("n1", "n1", True),
        ("n1", "m1,n1", True),
        ("n10", "n1", False),
        ("n2", "n[1-3],m7", True),
        ("m7", "n[1-3],m7", True),
        ("n4", "n[1-3,5]", False),
        ("n5", "n[1-3,5]", True),
        ("n07", "n[01-12]", True),
        ("n7", "n[01-12]", False),
        ("n07", "n[1-12]", False),
        ("n123", "n[99-130]", True),
        ("r2n3-ib", "r[1-2]n[3-4]-ib", True),
        ("r3n3-ib", "r[1-2]n[3-4]-ib", False),
        ("n0", "n[0-999999999999]", True),
        ("n1", "n[1-", False),
        ("n1", "", False),
    ],
)
def test_host_lists_are_read_as_slurm_writes_them(node: str, hostlist: str, listed: bool) -> None:
    """Commas inside brackets, leading zeros, several brackets; a range is never expanded."""
    assert listed == is_listed(node, hostlist)


@pytest.mark.parametrize(
    ("constraint", "plain"),
    [("a", True), ("a&b", True), ("a,b", True), ("a|b", True), ("a|b&c", False), ("[a|b]", False), ("a*2", False)],
)
def test_only_plain_constraints_are_judged(constraint: str, plain: bool) -> None:
    """Whatever else Slurm may be asked for binds nodes together, which one node cannot answer."""
    assert plain == is_plain_constraint(constraint)


@pytest.mark.parametrize(
    ("hostlist", "count"),
    [("n1", 1), ("n[1-3,07],m2", 5), ("r[1-2]n[01-10]", 20), ("a,b,c", 3), ("n[x]", 1), ("n[3-1]", 1)],
)
def test_nodes_of_a_list_are_counted(hostlist: str, count: int) -> None:
    """Without expanding them."""
    assert count == listed(hostlist)

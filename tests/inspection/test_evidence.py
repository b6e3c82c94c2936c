"""Which of several values of a fact wins, and which are kept beside it."""

from __future__ import annotations

import pytest

from advisor.inspection.evidence import Facts, agree, completed, merge
from advisor.inspection.workload import Contender, Fact, Source, Workload


def test_strongest_source_wins_and_what_differs_is_kept() -> None:
    """A conflict is never silent: the values that lost stay, strongest first; those that agree do not."""
    layers: list[Facts] = [
        {"epochs": Fact(5, Source.HISTORY)},
        {"epochs": Fact(30, Source.PROBE), "optimizer": Fact("adam", Source.PROBE)},
        {"epochs": Fact(3, Source.SOURCE_CODE)},
        {"epochs": Fact(30, Source.OPTION)},
    ]
    others = (Contender(3, Source.SOURCE_CODE), Contender(5, Source.HISTORY))

    assert {"epochs": Fact(30, Source.OPTION, others), "optimizer": Fact("adam", Source.PROBE)} == merge(layers)


def test_unknown_facts_win_nothing() -> None:
    """A layer that does not know leaves the word to the others."""
    known = Fact(8, Source.TABLE)

    assert {"epochs": Fact(), "layers": known} == merge([{"epochs": Fact(), "layers": Fact()}, {"layers": known}])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Contender(64, Source.PROBE), Contender(65, Source.ARGUMENTS), False),
        (Contender(8.2e9, Source.PROBE), Contender(8.0e9, Source.HISTORY), True),
        (Contender(23_520_842, Source.PROBE), Contender(25_557_032, Source.TABLE), True),
        (Contender(11_181_642, Source.PROBE), Contender(25_557_032, Source.TABLE), False),
        (Contender("AdamW", Source.PROBE), Contender("adam_w", Source.SOURCE_CODE), True),
        (Contender("adam", Source.PROBE), Contender("sgd", Source.SOURCE_CODE), False),
        (Contender((3, 224, 224), Source.PROBE), Contender((224, 224, 3), Source.TABLE), False),
    ],
)
def test_values_agree_as_far_as_their_sources_can_tell(
    one: Contender[object], other: Contender[object], *, same: bool
) -> None:
    """Counts are exact; FLOPs depend on what is left out; a table knows the network with its published head."""
    assert same is agree(one, other)


def test_what_is_found_later_fills_gaps_and_outdoes_the_weaker() -> None:
    """What a person stated stands, whatever the later finding says of itself."""
    before = Workload(
        epochs=Fact(70, Source.OPTION), batch_size=Fact(16, Source.SOURCE_CODE), optimizer=Fact("sgd", Source.PROBE)
    )
    found = Workload(
        epochs=Fact(9, Source.OPTION), batch_size=Fact(32, Source.PROBE), parameters=Fact(27, Source.PROBE)
    )

    together = completed(before, found)

    assert Fact(70, Source.OPTION) == together.epochs
    assert Fact(32, Source.PROBE, (Contender(16, Source.SOURCE_CODE),)) == together.batch_size
    assert ("sgd", 27) == (together.optimizer.value, together.parameters.value)
    assert before == completed(before, None)

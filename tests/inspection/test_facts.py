"""Facts as people state them."""

from __future__ import annotations

import pytest

from advisor.errors import UsageError
from advisor.inspection.facts import READERS, read_facts
from advisor.inspection.workload import Fact, Source, Workload


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("parameters", "25.6e6", 25_600_000),
        ("batch_size", "1_024", 1024),
        ("input_shape", "224,224,3", (224, 224, 3)),
        ("input_shape", "(1024,)", (1024,)),
        ("input_shape", "3x224x224", (3, 224, 224)),
        ("validation_samples", "0", 0),
        ("precision", "mixed_float16", "mixed_float16"),
        ("forward_flops_per_sample", "8.2e9", 8.2e9),
    ],
)
def test_stated_facts_are_read(name: str, text: str, value: object) -> None:
    """Numbers as people write them become the fact's own type, with the source that stated them."""
    assert {name: Fact(value, Source.OPTION)} == read_facts({name: text}, Source.OPTION)


@pytest.mark.parametrize(
    ("name", "text"),
    [("batch_size", "0"), ("epochs", "-3"), ("epochs", "ten"), ("batch_size", "1.5"), ("parameters", "nan"),
     ("parameters", "inf"), ("precision", "float31"), ("input_shape", "224,,a"), ("optimizer", " ")],
)  # fmt: skip
def test_absurd_facts_are_refused(name: str, text: str) -> None:
    """A silent wrong value is the worst answer; the message names the fact and what was said."""
    with pytest.raises(UsageError, match=name):
        read_facts({name: text}, Source.OPTION)


def test_misspelt_fact_is_named_with_what_was_meant() -> None:
    """The next step stands in the message."""
    with pytest.raises(UsageError, match="Did you mean batch_size"):
        read_facts({"batchsize": "3"}, Source.OPTION)


def test_every_fact_of_a_workload_can_be_stated() -> None:
    """What a dry run may find, a person may say."""
    assert {name for name, _fact in Workload().facts()} == set(READERS)

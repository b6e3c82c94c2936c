"""A cached answer is believed only while it is recent, private and of the form that this program writes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.storage.json_cache import JsonCache

QUESTION = ["which", {"cluster": 1}]


@pytest.fixture
def cache(tmp_path: Path) -> JsonCache:
    """An empty cache in a folder that is not there yet."""
    return JsonCache(folder=tmp_path / "c", kind="test", version=1, max_age_s=60.0, most_bytes=500, most_entries=3)


def test_an_answer_is_read_back_for_its_question_alone(cache: JsonCache) -> None:
    """Another question has no answer; the file and the folder are the user's alone."""
    cache.save(QUESTION, {"a": [1, None]}, now_s=1000.0)
    (file,) = cache.folder.iterdir()

    assert {"a": [1, None]} == cache.load(QUESTION, now_s=1060.0)
    assert cache.load(["which", {"cluster": 2}], now_s=1060.0) is None
    assert (0o700, 0o600) == (cache.folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777)


@pytest.mark.parametrize("now_s", [1061.0, 999.0])
def test_an_old_answer_or_one_from_the_future_is_none(cache: JsonCache, now_s: float) -> None:
    """A clock that was set back makes an answer of unknown age."""
    cache.save(QUESTION, {}, now_s=1000.0)

    assert cache.load(QUESTION, now_s=now_s) is None


def test_another_version_is_none(cache: JsonCache) -> None:
    """The form of the answer may have changed."""
    cache.save(QUESTION, {}, now_s=1000.0)

    assert replace(cache, version=2).load(QUESTION, now_s=1000.0) is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "[" * 100_000, '{"version": 1, "written_at_s": 1000, "answer": 3}']
)
def test_a_broken_file_is_none(cache: JsonCache, content: str) -> None:
    """Cut, of another shape, or nested until the reader gives up."""
    cache = replace(cache, most_bytes=10**6)
    cache.save(QUESTION, {}, now_s=1000.0)
    (file,) = cache.folder.iterdir()
    file.write_text(content)

    assert cache.load(QUESTION, now_s=1000.0) is None


def test_a_file_that_another_may_have_written_is_none(cache: JsonCache) -> None:
    """Writable by the group, a link, or a FIFO, at which an ordinary open would wait for ever."""
    cache.save(QUESTION, {}, now_s=1000.0)
    (file,) = cache.folder.iterdir()
    file.chmod(0o660)
    writable = cache.load(QUESTION, now_s=1000.0)
    file.chmod(0o600)
    link = cache.folder.parent / "elsewhere"
    file.rename(link)
    file.symlink_to(link)
    linked = cache.load(QUESTION, now_s=1000.0)
    file.unlink()
    os.mkfifo(file, 0o600)

    assert (None, None, None) == (writable, linked, cache.load(QUESTION, now_s=1000.0))


def test_a_large_answer_is_not_kept(cache: JsonCache) -> None:
    """Nothing is written rather than something that will not be read."""
    cache.save(QUESTION, {"a": "x" * 500}, now_s=1000.0)

    assert not cache.folder.exists()


def test_the_oldest_answers_are_dropped(cache: JsonCache) -> None:
    """A home folder has a quota."""
    for number in range(5):
        cache.save(number, {"n": number}, now_s=1000.0)
        newest = max(cache.folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (number, number))

    assert 3 == len(list(cache.folder.iterdir()))
    assert {"n": 4} == cache.load(4, now_s=1000.0)


def test_a_folder_that_cannot_be_made_costs_the_copy_alone(cache: JsonCache) -> None:
    """Nothing is raised: a cache is never needed."""
    cache.folder.write_text("a file")

    cache.save(QUESTION, {}, now_s=1000.0)

    assert cache.load(QUESTION, now_s=1000.0) is None

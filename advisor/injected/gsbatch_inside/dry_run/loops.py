"""Go over the script's training loops in a few iterations, and count what the whole loops would have done.

When the iterations of an innermost loop repeat themselves, the next ones are passed over: the iterator is moved on,
what the body counts up (``step``, running sums) is moved on with it, and the tally is increased as the iterations
passed over would have done. The last iterations run again, so that ``i == len(loader) - 1`` and ``if step >= most:
break`` come true as they would have. Loops around others are run in full as long as there is time. See loop_source.py
for who calls.
"""

import collections
import itertools
import math
import operator
import time
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Tuple

from . import report, tally

_COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
}  # fmt: skip
_WAIT_FOR_ALL = 16  # iterations after which an optimizer that has not stepped is taken as one that will not
_OUTER_S = 1.5
_DRAIN_S = 3.0
_REMEMBERED = 512
_FAR = 1 << 62


class _Loop:
    """One execution of a loop. ``history`` holds, for each iteration begun, what was known when it began."""

    def __init__(self, number: int, target: str = "") -> None:
        self.number = number
        self.target = target
        self.begun = time.process_time()
        self.history: Deque[Tuple[Any, Dict[Any, int]]] = collections.deque(maxlen=_REMEMBERED)
        self.done = 0
        self.bounds: Dict[int, List[Tuple[int, float, float, str, bool]]] = {}
        self.has_inner = False
        self.passed_over = 0
        self.warp: Optional[Tuple[int, int]] = None
        self.strided = False

    @property
    def iterations(self) -> int:
        """How many iterations it has had, or would have had."""
        return self.done + self.passed_over

    def window(self) -> Optional[int]:
        """How many iterations the loop takes to repeat itself, once it has; None before."""
        now = tally.snapshot()
        steppers = [key for key in now if isinstance(key, tuple) and key[0] == "steps"]
        last = self.history[-1][1] if self.history else now
        if self.done < 2 or self.passed_over or all(now[key] == last.get(key, 0) for key in steppers):
            return None
        window = 0
        for key in steppers:
            counts = [before.get(key, 0) for _values, before in self.history] + [now[key]]
            stepped = [place for place in range(1, len(counts)) if counts[place] > counts[place - 1]]
            if len(stepped) >= 2:
                window = max(window, stepped[-1] - stepped[-2])
            elif stepped or self.done < _WAIT_FOR_ALL:
                return None
        return window or None


_stack: List[_Loop] = []
_on_iteration: List[Callable[[], None]] = []
_ask_left: List[Callable[[_Loop], Optional[int]]] = []


def on_iteration(callback: Callable[[], None]) -> None:
    """Call back whenever an iteration of a training loop begins."""
    _on_iteration.append(callback)


def ask_left(callback: Callable[[_Loop], Optional[int]]) -> None:
    """Ask this for how many things are left of a loop over something that has no length itself."""
    _ask_left.append(callback)


def nest() -> List[_Loop]:
    """The loops that are being run, outermost first."""
    return list(_stack)


def begin(number: int, target: str = "") -> _Loop:
    """A loop begins; one of the same number that was left by ``return`` is gone."""
    for place, loop in enumerate(_stack):
        if loop.number == number:
            del _stack[place:]
            break
    loop = _Loop(number, target)
    _stack.append(loop)
    return loop


def leave(number: int) -> None:
    """A ``while`` loop has ended."""
    loop = _active(number)
    if loop is not None:
        _end(loop)


def _end(loop: _Loop) -> None:
    if loop not in _stack:
        return
    place = _stack.index(loop)
    if loop.history and _steps(tally.snapshot()) != _steps(loop.history[0][1]):
        for outer in _stack[:place]:
            outer.has_inner = True
    del _stack[place:]


def _steps(counts: Dict[Any, int]) -> int:
    return sum(count for key, count in counts.items() if isinstance(key, tuple) and key[0] == "steps")


def each(number: int, things: Any, target: str) -> Iterator[Any]:
    """The things, less those that are passed over."""
    loop = begin(number, target)
    loop.strided = isinstance(things, range) and things.step != 1
    items = iter(things)
    try:
        while True:
            window = _may_pass_over(loop)
            if window:
                items = _pass_over_items(loop, things, items, window)
            try:
                item = next(items)
            except StopIteration:
                return
            _keep_until(loop)
            yield item
    finally:
        _end(loop)


def again(number: int) -> bool:
    """One more round of a ``while`` loop, always; it is passed over by moving what its test compares."""
    loop = _active(number)
    if loop is not None:
        _keep_until(loop)
        window = _may_pass_over(loop)
        left = _left_by_bounds(loop, window) if window else None
        if window and left is not None:
            _warp(loop, window, left)
    return True


def mark(number: int, values: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """An iteration begins; what it counts up, moved on by what was passed over."""
    loop = _active(number)
    if loop is None:
        return values
    if loop.warp is not None:
        window, skipped = loop.warp
        loop.warp = None
        before = loop.history[-window][0]
        values = tuple(_moved(old, new, skipped // window) for old, new in zip(before, values))
    loop.history.append((values, tally.snapshot()))
    loop.done += 1
    for callback in _on_iteration:
        callback()
    return values


def compare(number: int, site: int, kind: str, leaving: bool, left: Any, right: Any) -> Any:  # noqa: PLR0917
    """The comparison that ends a loop, kept to tell how far it is from its end."""
    loop = _active(number)
    if loop is not None and _is_number(left) and _is_number(right):
        loop.bounds.setdefault(site, []).append((loop.done, float(left), float(right), kind, leaving))
    return _COMPARE[kind](left, right)


def stops_early(number: int, test: Any) -> bool:
    """Early stopping never happens in a dry run, whose losses are made up."""
    report.note("the training may stop early; epochs is the most it will do")
    loop = _active(number)
    return loop is not None and not loop.history and bool(test)


def _active(number: int) -> Optional[_Loop]:
    for loop in reversed(_stack):
        if loop.number == number:
            return loop
    return None


def _keep_until(loop: _Loop) -> None:
    # An inner loop that was left by return is still on the stack when the outer one goes on.
    if loop in _stack:
        del _stack[_stack.index(loop) + 1 :]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _moved(old: Any, new: Any, times: int) -> Any:
    if _is_number(old) and _is_number(new):
        return new + (new - old) * times
    return new


def _may_pass_over(loop: _Loop) -> Optional[int]:
    if not loop.history:
        return None
    if loop.has_inner and (time.process_time() - loop.begun < _OUTER_S or loop.done < 3):
        return None
    window = loop.window()
    if window and loop.has_inner:
        report.note("its loop over epochs was not run to the end; later epochs are taken to be as the ones before")
    return window


def _left_by_bounds(loop: _Loop, window: int) -> Optional[int]:
    """Iterations until a comparison ends the loop; None where none is on its way to."""
    left: Optional[int] = None
    for seen in loop.bounds.values():
        if len(seen) <= window or seen[-1][0] - seen[-1 - window][0] != window:
            continue
        _iteration, value, bound, kind, leaving = seen[-1]
        rate = (value - seen[-1 - window][1]) / window
        if not rate or (bound - value) * rate < 0:
            continue
        rounds = (bound - value) / rate
        # `while a < b` and `if a >= b: break` end when b is reached, the others when it is passed.
        reached = kind in ("<", ">", "==", "!=") if not leaving else kind in (">=", "<=", "==")
        rounds = math.ceil(rounds) if reached else math.floor(rounds) + 1
        left = rounds if left is None else min(left, rounds)
    return left


def _pass_over_items(loop: _Loop, things: Any, items: Iterator[Any], window: int) -> Iterator[Any]:
    most = _left_by_bounds(loop, window)
    limit = _FAR if most is None else (most - 1) // window * window
    left = len(things) - loop.done if isinstance(things, (range, list, tuple)) else None
    for ask in _ask_left:
        left = ask(loop) if left is None else left
    if left is None:
        return _read_ahead(loop, items, window, limit)
    skipped = max(min((left - 1) // window * window, limit), 0)
    _warp(loop, window, skipped + 1)
    if isinstance(things, range):
        return iter(things[loop.done + skipped :])
    for _item in itertools.islice(items, skipped):
        pass
    return items


def _read_ahead(loop: _Loop, items: Iterator[Any], window: int, limit: int) -> Iterator[Any]:
    """Go to the end of something of unknown length; the last window is kept, to be run."""
    kept: Any = collections.deque()
    taken, until = 0, time.process_time() + _DRAIN_S
    while len(kept) + taken < limit + 1:
        try:
            kept.append(next(items))
        except StopIteration:
            break
        if len(kept) > window:
            kept.popleft()
            taken += 1
        if taken % 64 == 0 and time.process_time() > until:
            tally.forget_the_end("how many batches its data has could not be counted in time")
            return iter(())
    while taken % window and kept:
        kept.popleft()
        taken += 1
    _warp(loop, window, taken // window * window + 1)
    return _chained(kept, items)


def _chained(kept: Any, items: Iterator[Any]) -> Iterator[Any]:
    while kept:
        yield kept.popleft()
    for item in items:
        yield item


def _warp(loop: _Loop, window: int, left: int) -> None:
    """Count ``left - 1`` iterations, in whole windows, as done."""
    skipped = max(left - 1, 0) // window * window
    if not skipped:
        return
    loop.passed_over += skipped
    loop.warp = (window, skipped)
    before, now = loop.history[-window][1], tally.snapshot()
    for key, number in now.items():
        tally.add_passed_over(key, (number - before.get(key, 0)) * (skipped // window))

"""Run the script's training loops in a few iterations, and count what the whole loops would have done.

When the iterations of an innermost loop repeat themselves, the next ones are passed over. The iterator is moved on,
what the body counts up (``step``, running sums) is moved on with it, and the tally is increased by what the iterations
passed over would have done. At first half of them are passed over. If the iterations after that do not behave as
before, the number of steps is not known. The last iterations are run again, so that ``i == len(loader) - 1`` and
``if step >= most: break`` become true as they would in the job. Outer loops are run in full as long as there is time.
The calls of ``Loops`` are put into the script by loop_source.py.
"""

import collections
import itertools
import math
import operator
import time
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .report import Report
from .tally import Tally

_COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
}  # fmt: skip
_WAIT_FOR_ALL = 16  # iterations; an optimizer that has not stepped by then is taken never to step in this loop
_OUTER_S = 1.5
_SLOW_S = 4.0
_DRAIN_S = 1.5
_REMEMBERED = 512
_FAR = 1 << 62
_WORTH_LOOKING = 8  # windows; where fewer are left, they are passed over at once and not first half of them


class _Bound(NamedTuple):
    """A comparison that may end the loop, in one iteration."""

    iteration: int
    value: float
    bound: float
    kind: str
    leaving: bool


class Loop:
    """One execution of a loop. ``history`` holds, for each iteration begun, what was known when it began."""

    def __init__(self, number: int, target: str = "") -> None:
        self.number = number
        self.target = target
        self.begun = time.process_time()
        self.history: Deque[Tuple[Dict[str, Any], Dict[Any, int]]] = collections.deque(maxlen=_REMEMBERED)
        self.done = 0
        self.bounds: Dict[int, List[_Bound]] = {}
        self.has_inner = False
        self.passed_over = 0
        self.warp: Optional[Tuple[int, int]] = None  # iterations of a window, and how many were passed over
        self.shift: Optional[Tuple[Dict[str, Any], int]] = None  # what counters were a window ago, and windows
        self.expected: Optional[Tuple[int, Dict[Any, int]]] = None  # a window's steps, until they are seen again
        self.is_over = False
        self.strided = False

    @property
    def iterations(self) -> int:
        """How many iterations it has had, or would have had."""
        return self.done + self.passed_over

    def window(self, now: Dict[Any, int]) -> Optional[int]:
        """How many iterations the loop takes to repeat itself, once it has; None before."""
        steppers = [key for key in now if isinstance(key, tuple) and key[0] == "steps"]
        last = self.history[-1][1] if self.history else now
        if self.done < 2 or self.is_over or all(now[key] == last.get(key, 0) for key in steppers):
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

    def steps_of(self, window: int, now: Dict[Any, int]) -> Dict[Any, int]:
        """Steps of each optimizer in the last window."""
        before = self.history[-window][1]
        return {key: count - before.get(key, 0) for key, count in _steps(now).items() if count != before.get(key, 0)}


class Loops:
    """The loops that are being run. The rewritten script calls the methods."""

    def __init__(self, tally: Tally, report: Report) -> None:
        self._tally = tally
        self._report = report
        self._stack: List[Loop] = []
        self._on_iteration: List[Callable[[], None]] = []
        self._ask_left: List[Callable[[Loop, Any], Optional[int]]] = []

    def on_iteration(self, callback: Callable[[], None]) -> None:
        """Call back whenever an iteration of a training loop begins."""
        self._on_iteration.append(callback)

    def ask_left(self, callback: Callable[[Loop, Any], Optional[int]]) -> None:
        """Ask this callback how many items a loop has left, where what it goes over has no length."""
        self._ask_left.append(callback)

    def nest(self) -> List[Loop]:
        """The loops that are being run, outermost first."""
        return list(self._stack)

    def begin(self, number: int, target: str = "") -> Loop:
        """A loop begins. If one of the same number is still on the stack, it was left by ``return`` and is dropped."""
        for place, loop in enumerate(self._stack):
            if loop.number == number:
                del self._stack[place:]
                break
        loop = Loop(number, target)
        self._stack.append(loop)
        return loop

    def leave(self, number: int) -> None:
        """A ``while`` loop has ended."""
        loop = self._active(number)
        if loop is not None:
            self._end(loop)

    def each(self, number: int, things: Any, target: str) -> Iterator[Any]:
        """The items of ``things``, without those that are passed over."""
        loop = self.begin(number, target)
        loop.strided = isinstance(things, range) and things.step != 1
        items = iter(things)
        try:
            while True:
                window = self._may_pass_over(loop)
                if window:
                    items = self._pass_over_items(loop, things, items, window)
                try:
                    item = next(items)
                except StopIteration:
                    return
                self._keep_until(loop)
                yield item
        finally:
            self._end(loop)

    def again(self, number: int) -> bool:
        """One more round of a ``while`` loop, always; it is passed over by moving what its test compares."""
        loop = self._active(number)
        if loop is not None:
            self._keep_until(loop)
            window = self._may_pass_over(loop)
            left = _left_by_bounds(loop, window) if window else None
            if window and left is not None:
                self._pass_over(loop, window, (left - 1) // window)
        return True

    def mark(self, number: int) -> None:
        """An iteration begins."""
        loop = self._active(number)
        if loop is None:
            return
        loop.shift = None
        if loop.warp is not None:
            window, skipped = loop.warp
            loop.shift, loop.warp = (loop.history[-window][0], skipped // window), None
            loop.history.clear()
        loop.history.append(({}, self._tally.snapshot()))
        loop.done += 1
        for callback in self._on_iteration:
            callback()

    def moved(self, number: int, name: str, value: Any) -> Any:
        """What the body counts up, moved on by what was passed over."""
        loop = self._active(number)
        if loop is None or not loop.history:
            return value
        if loop.shift is not None and name in loop.shift[0]:
            value = _moved(loop.shift[0][name], value, loop.shift[1])
        loop.history[-1][0][name] = value
        return value

    def compare(self, number: int, site: int, kind: str, leaving: bool, left: Any, right: Any) -> Any:  # noqa: PLR0917
        """The comparison that ends a loop, kept to tell how far it is from its end."""
        loop = self._active(number)
        if loop is not None and _is_number(left) and _is_number(right):
            loop.bounds.setdefault(site, []).append(_Bound(loop.done, float(left), float(right), kind, leaving))
        return _COMPARE[kind](left, right)

    def stops_early(self, number: int, test: Any) -> bool:
        """Early stopping never happens in a dry run, whose losses are made up."""
        self._report.may_stop_early()
        loop = self._active(number)
        return loop is not None and not loop.history and bool(test)

    def _end(self, loop: Loop) -> None:
        if loop not in self._stack:
            return
        place = self._stack.index(loop)
        if loop.history and (loop.passed_over or _steps(self._tally.snapshot()) != _steps(loop.history[0][1])):
            for outer in self._stack[:place]:
                outer.has_inner = True
        del self._stack[place:]

    def _active(self, number: int) -> Optional[Loop]:
        for loop in reversed(self._stack):
            if loop.number == number:
                return loop
        return None

    def _keep_until(self, loop: Loop) -> None:
        # An inner loop that was left by return is still on the stack when the outer one goes on.
        if loop in self._stack:
            del self._stack[self._stack.index(loop) + 1 :]

    def _may_pass_over(self, loop: Loop) -> Optional[int]:
        """How many iterations repeat themselves, if the next ones may be passed over; None otherwise."""
        if not loop.history:
            return None
        now = self._tally.snapshot()
        if loop.expected is not None:
            return self._seen_again(loop, now)
        spent_s = time.process_time() - loop.begun
        if loop.has_inner and (spent_s < _OUTER_S or loop.done < 3):
            # If the first round of an outer loop takes long, the others are taken to be like it.
            is_slow = loop.done == 1 and spent_s > _SLOW_S and not loop.is_over and bool(loop.steps_of(1, now))
            window = 1 if is_slow else None
        else:
            window = loop.window(now)
        if window and loop.has_inner:
            self._report.note("its loop over epochs was not run to the end; later epochs are taken to be as before")
        return window

    def _seen_again(self, loop: Loop, now: Dict[Any, int]) -> Optional[int]:
        """The window again, once it has been run after half of the iterations were passed over; None before."""
        window, expected = loop.expected or (0, {})
        is_known = all(_a_window_ago(seen, window) for seen in loop.bounds.values())
        if len(loop.history) <= (window if is_known else 2 * window):
            return None
        if loop.steps_of(window, now) != expected:
            self._tally.forget_the_end("how many batches a step takes changes as the training goes on")
            loop.expected, loop.is_over = None, True
            return None
        return window

    def _pass_over_items(self, loop: Loop, things: Any, items: Iterator[Any], window: int) -> Iterator[Any]:
        most = _left_by_bounds(loop, window)
        limit = _FAR if most is None else (most - 1) // window
        left = self._left_of(loop, things)
        if left is None:
            return self._read_ahead(loop, items, window, limit * window)
        skipped = self._pass_over(loop, window, min((left - 1) // window, limit))
        if isinstance(things, range):
            return iter(things[loop.iterations :])
        return items if self._skip(items, skipped) else iter(())

    def _left_of(self, loop: Loop, things: Any) -> Optional[int]:
        if isinstance(things, (range, list, tuple)):
            return len(things) - loop.iterations
        things = _unwrapped(things)
        for ask in self._ask_left:
            left = ask(loop, things)
            if left is not None:
                return left
        return None

    def _skip(self, items: Iterator[Any], number: int) -> bool:
        until = time.process_time() + _DRAIN_S
        for place, _item in enumerate(itertools.islice(items, number)):
            if place % 64 == 0 and time.process_time() > until:
                self._tally.forget_the_end("its data has more batches than could be gone through in time")
                return False
        return True

    def _read_ahead(self, loop: Loop, items: Iterator[Any], window: int, limit: int) -> Iterator[Any]:
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
                self._tally.forget_the_end("how many batches its data has could not be counted in time")
                return iter(())
        while taken % window and kept:
            kept.popleft()
            taken += 1
        self._warp(loop, window, taken // window)
        loop.is_over = True
        return _chained(kept, items)

    def _pass_over(self, loop: Loop, window: int, windows: int) -> int:
        """Pass over so many windows, at first half of them; how many iterations these are."""
        windows = max(windows, 0)
        if loop.expected is None and windows >= _WORTH_LOOKING:
            windows //= 2
            loop.expected = (window, loop.steps_of(window, self._tally.snapshot()))
        else:
            loop.expected, loop.is_over = None, True
        self._warp(loop, window, windows)
        return windows * window

    def _warp(self, loop: Loop, window: int, windows: int) -> None:
        """Count so many windows as done."""
        if windows <= 0:
            return
        loop.passed_over += windows * window
        loop.warp = (window, windows * window)
        loop.bounds.clear()
        before, now = loop.history[-window][1], self._tally.snapshot()
        for key, number in now.items():
            self._tally.add(key, (number - before.get(key, 0)) * windows)


def _steps(counts: Dict[Any, int]) -> Dict[Any, int]:
    return {key: count for key, count in counts.items() if isinstance(key, tuple) and key[0] == "steps"}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _moved(old: Any, new: Any, times: int) -> Any:
    if _is_number(old) and _is_number(new):
        return new + (new - old) * times
    return new


def _unwrapped(things: Any) -> Any:
    """What ``enumerate`` and progress bars go over."""
    for _depth in range(8):
        if type(things) is enumerate:
            things = things.__reduce__()[1][0]
        elif hasattr(things, "iterable") and "tqdm" in type(things).__module__:
            things = things.iterable
        else:
            break
    return things


def _left_by_bounds(loop: Loop, window: int) -> Optional[int]:
    """Iterations until a comparison ends the loop; None where none is on its way to."""
    left: Optional[int] = None
    for seen in loop.bounds.values():
        last, before = seen[-1], _a_window_ago(seen, window)
        if before is None:
            continue
        rate = (last.value - before.value) / window
        if not _is_steady(seen, window, rate):
            continue
        if not rate or (last.bound - last.value) * rate < 0:
            continue
        rounds = (last.bound - last.value) / rate
        # `while a < b` and `if a >= b: break` end when b is reached, the others when it is passed.
        reached = last.kind in ("<", ">", "==", "!=") if not last.leaving else last.kind in (">=", "<=", "==")
        rounds = math.ceil(rounds) if reached else math.floor(rounds) + 1
        left = rounds if left is None else min(left, rounds)
    return left


def _is_steady(seen: List[_Bound], window: int, rate: float) -> bool:
    """Whether what is compared moved as much in the window before: counters do, losses do not."""
    last = seen[-1].iteration
    values = {bound.iteration: bound.value for bound in seen if bound.iteration in (last - window, last - 2 * window)}
    if len(values) < 2:
        return seen[-1].value.is_integer()
    return math.isclose(values[last - window] - values[last - 2 * window], rate * window, rel_tol=1e-9, abs_tol=1e-12)


def _a_window_ago(seen: List[_Bound], window: int) -> Optional[_Bound]:
    """The same comparison a window before the last time that it was made."""
    for bound in reversed(seen):
        if bound.iteration <= seen[-1].iteration - window:
            return bound if bound.iteration == seen[-1].iteration - window else None
    return None


def _chained(kept: Any, items: Iterator[Any]) -> Iterator[Any]:
    while kept:
        yield kept.popleft()
    for item in items:
        yield item

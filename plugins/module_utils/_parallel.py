# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Many requests at once, and an end to all of them when one fails or the task is interrupted."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
import typing as t
from concurrent.futures import Future

Key = t.TypeVar("Key")
Item = t.TypeVar("Item")
Result = t.TypeVar("Result")
Error = t.TypeVar("Error", bound=Exception)

# How long an interrupted task waits for what its threads are doing, in seconds: a request that is sent is soon answered.
_GRACE = 2.0
_SIGNAL_PAUSE = 0.5
# The seconds before each look of poll().
_PAUSES = (0, 0.5, 1, 2)

_current = threading.local()


# How many threads begin, and how many there are at most, where the user gives no number.
_FIRST = 8
_MOST = 32
# So many items are all begun at once.
_FEW = 16
# With twice as many threads, so much more has to be done in the same time for them to stay.
_GAIN = 1.15
# So many looks later it is tried again.
_PATIENCE = 8
# Where less than this part of the most that was done in a time is done in it, the server has slowed down.
_SLOWER = 0.6


class Concurrency(int):
    """How many threads map_concurrent() has at a time: a number that it changes with what it sees.

    As an integer it is how many blobs are moved at a time, whose memory counts. Requests begin with 8 at a time, and become
    up to 32, or what the user gave, as long as that makes them faster; fewer, once the server asks for a pause. Up to
    16 whose answers need little memory are sent at once: they are over before anything can be learned from them.
    """

    def __new__(cls, given: int | None = None) -> Concurrency:
        """``given`` is the user's number, which is the limit."""
        self = super().__new__(cls, given or _FIRST)
        self.limit = given or _MOST
        self.width = min(_FIRST, self.limit)
        return self

    limit: int
    width: int

    def first(self, count: int) -> int:
        """Return how many threads begin with ``count`` items: one for each if these are few."""
        return count if count <= min(self.limit, _FEW) else self.width

    def grow(self) -> None:
        """Allow twice as many threads, up to the limit."""
        self.width = min(self.width * 2, self.limit)

    def shrink(self) -> None:
        """Allow half as many threads, but no fewer than in the beginning."""
        self.width = min(max(self.width // 2, _FIRST), self.limit)

    def slow_down(self) -> None:
        """Allow half as many threads, two at least, from now on."""
        self.width = self.limit = min(max(self.width // 2, 2), self.limit)


class Stopped(BaseException):
    """Ends a thread whose work has become pointless. No Exception, so nothing that handles errors goes on with it."""


@t.overload
def map_concurrent(
    function: t.Callable[[Item], Result], items: t.Iterable[Item], concurrency: int, *, light: bool = ...
) -> list[Result]: ...


@t.overload
def map_concurrent(
    function: t.Callable[[Item], Result], items: t.Iterable[Item], concurrency: int, returned: type[Error]
) -> list[Result | Error]: ...


def map_concurrent(
    function: t.Callable[[Item], t.Any],
    items: t.Iterable[Item],
    concurrency: int,
    returned: type[Exception] | tuple[()] = (),
    light: bool = False,
) -> list[t.Any]:
    """Return ``function`` of each item, in order, computed by up to ``concurrency`` threads.

    After a failure nothing more is begun, and what is under way ends where it next calls check_stopped(). The first
    exception, by the order of items, is raised. An exception of the kind ``returned`` is no failure: it is returned as
    the result of its item. An interruption does not wait for threads that hang: they end with the process.

    The number of threads changes on the way where it is a Concurrency, unless this is called by a thread of another call.
    ``light`` says that an item needs little memory, so that a few more may begin at once.
    """
    work = list(items)
    if concurrency <= 1 or len(work) <= 1:
        results = []
        for item in work:
            try:
                results.append(function(item))
            except returned as error:
                results.append(error)
        return results
    batch = _Batch(function, work, returned, concurrency, light)
    with _within(batch):
        try:
            batch.start()
            batch.join()
        except BaseException:
            batch.stop()
            batch.wait(_GRACE)
            raise
    return batch.results()


def check_stopped() -> None:
    """Raise Stopped in a thread of map_concurrent() whose work has become pointless. To be called wherever time passes."""
    batch = _batch()
    if batch and batch.stopped.is_set():
        raise Stopped


def slow_down() -> None:
    """Say that a server asked for a pause, or failed for being overloaded: fewer threads send requests then."""
    batch = _batch()
    if batch:
        batch.slow_down()


def sleep(seconds: float) -> None:
    """Wait, but no longer than until check_stopped() has something to raise, which is raised."""
    batch = _batch()
    if batch:
        batch.stopped.wait(seconds)
        check_stopped()
    else:
        time.sleep(seconds)


class Claim(t.Generic[Result]):
    """The result of one key of a SingleFlight: to be made by its owner, who uses the claim as a context, or waited for.

    An owner who leaves the context without a result hands the exception to those who wait.
    """

    def __init__(self, future: Future[Result], owned: bool, drop: t.Callable[[], None]) -> None:
        self.owned = owned
        self._future = future
        self._drop = drop

    def wait(self) -> Result:
        """Return what the owner made. Raises what the owner failed with."""
        return self._future.result()

    def make(self, result: Result) -> Result:
        """Give the result to all who wait, and return it."""
        self._future.set_result(result)
        return result

    def __enter__(self) -> Claim[Result]:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not self._future.done():
            self._drop()
            lost = error is None or isinstance(error, GeneratorExit)
            self._future.set_exception(Stopped() if lost else t.cast(BaseException, error))


def poll() -> t.Iterator[None]:
    """Yield for each look at whether something has happened, after growing pauses; 3.5 seconds in all."""
    for pause in _PAUSES:
        sleep(pause)
        yield


class SingleFlight(t.Generic[Key, Result]):
    """Results by their keys. Each is made by one thread, and others that need it wait; what failed is made anew.

    No lock is held while one is made.
    """

    def __init__(self) -> None:
        self._made: dict[Key, Future[Result]] = {}
        self._lock = threading.Lock()

    def get(
        self, key: Key, make: t.Callable[[], Result], usable: t.Callable[[Result], bool] = lambda result: True
    ) -> Result:
        """Return what ``make`` returned for ``key``, made now unless there is one that is ``usable``."""
        claim = self.claim(key, usable)
        if not claim.owned:
            return claim.wait()
        with claim:
            return claim.make(make())

    def claim(self, key: Key, usable: t.Callable[[Result], bool] = lambda result: True) -> Claim[Result]:
        """Return the claim to the result of ``key``: owned by the caller unless there is one that is ``usable``."""
        with self._lock:
            pending = self._made.get(key)
            owned = pending is None or (pending.done() and not _serves(pending, usable))
            if pending is None or owned:
                pending = self._made[key] = Future()
        return Claim(pending, owned, lambda: self._forget(key))

    def _forget(self, key: Key) -> None:
        with self._lock:
            self._made.pop(key, None)


class _Batch(t.Generic[Item, Result]):
    """What one call of map_concurrent() has to do. It stops with the batch whose thread made that call."""

    def __init__(
        self,
        function: t.Callable[[Item], Result],
        items: t.Sequence[Item],
        returned: type[Exception] | tuple[()],
        concurrency: int,
        light: bool,
    ) -> None:
        self.stopped = threading.Event()
        self.inner: list[_Batch[t.Any, t.Any]] = []
        self._function = function
        self._returned = returned
        self._waiting = collections.deque(enumerate(items))
        self._results: dict[int, Result | Exception] = {}
        self._errors: dict[int, BaseException] = {}
        self._busy = 0
        self._change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._outer = _batch()
        self._concurrency = concurrency if isinstance(concurrency, Concurrency) else None
        self._width = self._concurrency.width if self._concurrency else concurrency
        if self._concurrency and light:
            self._width = self._concurrency.first(len(items))
        if self._concurrency and self._outer:
            # The inner ones of several threads would be too many together.
            self._concurrency, self._width = None, min(self._width, _FIRST)
        self._running = 0
        self._pace = _Pace()

    def start(self) -> None:
        """Start as many threads as are allowed and have something to do."""
        with self._change:
            while self._running < self._width and len(self._waiting) > self._running - self._busy:
                thread = threading.Thread(target=self.run, daemon=True)
                thread.start()
                self._threads.append(thread)
                self._running += 1

    def join(self) -> None:
        """Wait until all threads have ended."""
        # One that starts others adds them to the list before it ends.
        for thread in self._threads:
            while thread.is_alive():
                # A signal that comes right before a wait does not end it.
                thread.join(_SIGNAL_PAUSE)

    def slow_down(self) -> None:
        """Go on with fewer threads, also of the batch whose thread began this one."""
        if self._outer:
            self._outer.slow_down()
        with self._change:
            if self._concurrency and self._pace.slow_down():
                self._concurrency.slow_down()
                self._width = self._concurrency.width

    def _adjust(self) -> None:
        """Change the number of threads by how fast items are done."""
        with self._change:
            faster = self._pace.note(self._width, time.monotonic()) if self._concurrency else None
            if self._concurrency and faster is not None:
                self._concurrency.grow() if faster else self._concurrency.shrink()
                self._width = self._concurrency.width
        if faster:
            # Where the system has no more threads, those that there are go on.
            with contextlib.suppress(RuntimeError):
                self.start()

    def stop(self) -> None:
        """Let all threads end that work on it; none begins with another item."""
        with self._change:
            self.stopped.set()
        for batch in list(self.inner):
            batch.stop()

    def wait(self, seconds: float) -> None:
        """Wait until no thread works on an item, for as long as ``seconds``."""
        with self._change:
            self._change.wait_for(lambda: not self._busy, seconds)

    def run(self) -> None:
        """Work on items until none is left, or threads are too many: what each thread does."""
        _current.batch = self
        while True:
            with self._change:
                if self.stopped.is_set() or not self._waiting or self._running > self._width:
                    self._running -= 1
                    return
                number, item = self._waiting.popleft()
                self._busy += 1
            try:
                self._results[number] = self._function(item)
            except self._returned as error:
                self._results[number] = error
            except BaseException as error:
                self._errors[number] = error
                self.stop()
            finally:
                with self._change:
                    self._busy -= 1
                    self._change.notify_all()
            self._adjust()

    def results(self) -> list[Result | Exception]:
        """Return the results in the order of the items, or raise the first error that is one."""
        errors = [self._errors[number] for number in sorted(self._errors)]
        for error in errors:
            if not isinstance(error, Stopped):
                raise error
        if self.stopped.is_set():
            raise Stopped
        return [self._results[number] for number in range(len(self._results))]


class _Pace:
    """How fast the items of a batch are done, with more threads and with fewer."""

    def __init__(self) -> None:
        self._done = 0
        self._began = 0.0
        self._best = 0.0
        # Whether it is known what more threads are good for, and how often that was looked at since.
        self._settled = False
        self._windows = 0
        # So many items are left that may belong to what the server asked a pause for.
        self._slowed = 0

    def note(self, width: int, now: float) -> bool | None:
        """Note that an item is done at ``now``, in seconds. Return whether there should be more threads or fewer, mostly None.

        After each change the first items do not count: new threads make their connections.
        """
        self._done += 1
        self._slowed = max(self._slowed - 1, 0)
        if self._done <= width:
            self._began = now
            return None
        if self._done < 2 * width:
            return None
        rate = width / max(now - self._began, 1e-9)
        self._done = 0
        if self._settled:
            if rate <= self._best * _SLOWER:
                self._best = rate
                return False
            self._windows = (self._windows + 1) % _PATIENCE
            if self._windows:
                return None
            # What was slow then may have been something else.
            self._settled, self._best = False, rate
            return True
        self._settled = rate < self._best * _GAIN
        self._best = max(rate, self._best)
        return not self._settled

    def slow_down(self) -> bool:
        """Note that the server asked for a pause. Return whether that is new: all requests under way meet it."""
        is_new = not self._slowed
        self._slowed, self._settled, self._done, self._best = max(self._slowed, _MOST), True, 0, 0.0
        return is_new


def _serves(done: Future[Result], usable: t.Callable[[Result], bool]) -> bool:
    return done.exception() is None and usable(done.result())


def _batch() -> _Batch[t.Any, t.Any] | None:
    """Return the batch that the current thread works for."""
    return getattr(_current, "batch", None)


@contextlib.contextmanager
def _within(batch: _Batch[t.Any, t.Any]) -> t.Iterator[None]:
    """Let ``batch`` stop with the one that the current thread works for."""
    outer = _batch()
    if outer is None:
        yield
        return
    outer.inner.append(batch)
    try:
        if outer.stopped.is_set():
            batch.stop()
        yield
    finally:
        outer.inner.remove(batch)

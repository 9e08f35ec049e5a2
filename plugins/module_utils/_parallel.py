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

_here = threading.local()


class Stopped(BaseException):
    """Ends a thread whose work has become pointless. No Exception, so nothing that handles errors goes on with it."""


@t.overload
def map_concurrent(
    function: t.Callable[[Item], Result], items: t.Iterable[Item], concurrency: int
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
) -> list[t.Any]:
    """Return ``function`` of each item, in order, computed by up to ``concurrency`` threads.

    After a failure nothing more is begun, and what is under way ends where it next calls check_stopped(). The first
    exception, by the order of items, is raised. An exception of the kind ``returned`` is no failure: it is returned as
    the result of its item. An interruption does not wait for threads that hang: they die with the process.
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
    batch = _Batch(function, work, returned)
    with _within(batch):
        threads = [
            threading.Thread(target=batch.run, daemon=True) for _number in range(min(concurrency, len(work)))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    # A signal that comes right before a wait does not end it.
                    thread.join(_SIGNAL_PAUSE)
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
        """Work on items until none is left: what each thread does."""
        _here.batch = self
        while True:
            with self._change:
                if self.stopped.is_set() or not self._waiting:
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

    def results(self) -> list[Result | Exception]:
        """Return the results in the order of the items, or raise the first error that is one."""
        errors = [self._errors[number] for number in sorted(self._errors)]
        for error in errors:
            if not isinstance(error, Stopped):
                raise error
        if self.stopped.is_set():
            raise Stopped
        return [self._results[number] for number in range(len(self._results))]


def _serves(done: Future[Result], usable: t.Callable[[Result], bool]) -> bool:
    return done.exception() is None and usable(done.result())


def _batch() -> _Batch[t.Any, t.Any] | None:
    """Return the batch that the current thread works for."""
    return getattr(_here, "batch", None)


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

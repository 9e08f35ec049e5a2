# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many requests at once."""

from __future__ import annotations

import signal
import threading
import time
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import (
    Concurrency,
    check_stopped,
    map_concurrent,
    sleep,
    slow_down,
)


@pytest.mark.parametrize("concurrency", [0, 1, 2, 64])
def test_results_come_in_the_order_of_the_items(concurrency: int) -> None:
    assert map_concurrent(lambda number: number * 2, range(50), concurrency) == [
        number * 2 for number in range(50)
    ]
    assert map_concurrent(str, [], concurrency) == []


def test_items_are_worked_on_at_the_same_time() -> None:
    # Each call waits for the three others: one after the other they would never end.
    barrier = threading.Barrier(4, timeout=20)
    map_concurrent(lambda _item: barrier.wait(), range(4), 4)


def test_no_more_threads_than_asked_for() -> None:
    running, most, lock = set(), [0], threading.Lock()

    def work(item: int) -> None:
        with lock:
            running.add(item)
            most[0] = max(most[0], len(running))
        with lock:
            running.discard(item)

    map_concurrent(work, range(200), 3)
    assert 1 <= most[0] <= 3


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_first_error_by_order_is_raised_and_the_rest_is_not_begun(concurrency: int) -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item in (1, 2):
            raise ValueError(f"item {item}")
        time.sleep(0.001)

    with pytest.raises(ValueError, match="item 1"):
        map_concurrent(work, range(10000), concurrency)
    assert len(begun) < 10000


@pytest.mark.parametrize("concurrency", [1, 4])
def test_errors_of_the_kind_that_is_returned_stop_nothing(concurrency: int) -> None:
    def invert(item: int) -> float:
        return 1 / item

    results = map_concurrent(invert, [1, 0, 2, 0], concurrency, returned=ZeroDivisionError)
    assert [type(result) for result in results] == [float, ZeroDivisionError, float, ZeroDivisionError]
    with pytest.raises(ValueError, match="invalid literal"):
        map_concurrent(int, ["1", "x"], concurrency, returned=ZeroDivisionError)


def go_on() -> None:
    """Work that has no end of its own, in small steps."""
    while True:
        check_stopped()
        time.sleep(0.001)


def wait() -> None:
    """Wait as a request does that shall be sent again later."""
    sleep(600)


@pytest.mark.parametrize("work", [go_on, wait])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_failure_ends_what_is_under_way(work: t.Callable[[], None], depth: int) -> None:
    """Also what is under way in calls within calls."""
    both = threading.Barrier(2, timeout=20)

    def one(item: int) -> None:
        both.wait()
        if item:
            raise ValueError("item 1")
        dig(depth)

    def dig(left: int) -> None:
        if left == 1:
            work()
        else:
            map_concurrent(lambda _item: dig(left - 1), range(2), 2)

    with pytest.raises(ValueError, match="item 1"):
        map_concurrent(one, range(2), 2)


def test_nobody_stops_a_thread_of_no_batch() -> None:
    check_stopped()
    with pytest.raises(ValueError, match="item 0"):
        map_concurrent(fail, range(2), 2)
    check_stopped()


def fail(item: int) -> None:
    raise ValueError(f"item {item}")


def test_what_hangs_is_left_behind_by_an_interruption() -> None:
    """A thread that cannot be stopped does not keep the others, nor the process."""
    hung, release, main = threading.Barrier(3, timeout=20), threading.Event(), threading.get_ident()

    def hang(_item: int) -> None:
        hung.wait()
        release.wait(600)

    def interrupt() -> None:
        hung.wait()
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        map_concurrent(hang, range(2), 2)
    assert not release.is_set()
    release.set()


# How many threads there are, where the user gives no number or only a limit


def test_threads_become_more_while_that_makes_requests_faster() -> None:
    pace, now = _parallel._Pace(), [0.0]

    def work(width: int, seconds: float) -> bool | None:
        """Do items, one each so many seconds, until the number of threads is judged; return the verdict."""
        for _number in range(2 * width):
            now[0] += seconds
            verdict = pace.note(width, now[0])
            if verdict is not None:
                return verdict
        return None

    assert work(8, 0.010) is True
    assert work(16, 0.005) is True
    assert work(32, 0.005) is False, "twice as many were no faster"
    assert work(16, 0.005) is None
    assert work(16, 0.020) is False, "the server slowed down"
    assert [work(8, 0.020) for _number in range(8)] == [None] * 6 + [True, False], "tried again later"


def test_the_numbers_of_threads() -> None:
    automatic, given, few = Concurrency(), Concurrency(20), Concurrency(3)
    assert (automatic, given, few) == (8, 20, 3)
    assert [one.width for one in (automatic, given, few)] == [8, 8, 3]
    for one in (automatic, given, few):
        for _number in range(3):
            one.grow()
    assert [one.width for one in (automatic, given, few)] == [32, 20, 3]
    for one in (automatic, given, few):
        for _number in range(3):
            one.shrink()
    assert [one.width for one in (automatic, given, few)] == [8, 8, 3]
    for one in (automatic, given, few):
        one.slow_down()
        one.grow()
    assert [one.width for one in (automatic, given, few)] == [4, 4, 2]


def test_threads_are_added_while_a_call_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel._Pace, "note", lambda *_unused: True)
    # Only with 32 threads do they all come together.
    barrier = threading.Barrier(32, timeout=20)
    map_concurrent(lambda item: item < 8 or barrier.wait(), range(8 + 32), Concurrency())


@pytest.mark.parametrize(("given", "number"), [(None, 16), (12, 12)])
def test_few_light_items_all_begin_at_once(given: int | None, number: int) -> None:
    barrier = threading.Barrier(number, timeout=20)
    map_concurrent(lambda _item: barrier.wait(), range(number), Concurrency(given), light=True)


@pytest.mark.parametrize("given", [1, 3, 12])
def test_a_number_of_the_user_is_the_limit(monkeypatch: pytest.MonkeyPatch, given: int) -> None:
    monkeypatch.setattr(_parallel._Pace, "note", lambda *_unused: True)
    running: set[int] = set()
    most, lock = [0], threading.Lock()

    def work(item: int) -> None:
        with lock:
            running.add(item)
            most[0] = max(most[0], len(running))
        time.sleep(0)
        with lock:
            running.discard(item)

    map_concurrent(work, range(300), Concurrency(given))
    assert 1 <= most[0] <= given


def test_inner_calls_add_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel._Pace, "note", lambda *_unused: True)
    concurrency = Concurrency()

    def work(_item: int) -> set[int]:
        return {*map_concurrent(lambda _inner: threading.get_ident(), range(100), concurrency)}

    assert all(len(threads) <= 8 for threads in map_concurrent(work, range(4), concurrency))


def test_a_pause_that_the_server_asks_for_halves_the_threads_once() -> None:
    concurrency = Concurrency()
    barrier = threading.Barrier(8, timeout=20)

    def work(item: int) -> None:
        if item < 8:
            # All requests under way meet it.
            barrier.wait()
            slow_down()

    map_concurrent(work, range(20), concurrency)
    assert concurrency.width == concurrency.limit == 4


def test_an_inner_call_slows_the_outer_one_down() -> None:
    concurrency = Concurrency()
    map_concurrent(
        lambda _item: map_concurrent(lambda _inner: slow_down(), range(2), 2), range(2), concurrency
    )
    assert concurrency.width == 4
    slow_down()

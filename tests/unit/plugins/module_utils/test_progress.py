# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task tells of its work: counts, rate, time left and totals, by a clock that the tests set."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _progress
from ansible_collections.ocikit.registry.plugins.module_utils._progress import Progress, size_text, time_text

MIB = 1 << 20


class Told:
    """A task's progress, by a clock that is set by hand, and the lines that it showed."""

    def __init__(self, each_image: bool = False) -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self.progress = Progress(self.lines.append, each_image, lambda: self.now)

    def after(self, seconds: float) -> str:
        """Return the line that is told so much later."""
        self.now += seconds
        self.progress.tell()
        return self.lines[-1]


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_line_has_what_is_done_of_how_much_the_rate_and_the_time_left(told: Told) -> None:
    transfer = told.progress.transfer([100 * MIB, 300 * MIB])
    assert transfer
    transfer.reach("a", 50 * MIB, 50 * MIB)
    assert told.after(5) == "transferred 50.0 MiB of 400.0 MiB (12%), 0 of 2 blobs, 10.0 MiB/s, 35 s left"
    transfer.reach("a", 100 * MIB, 50 * MIB)
    transfer.finish("a", 100 * MIB, by_bytes=True)
    assert told.after(5) == "transferred 100.0 MiB of 400.0 MiB (25%), 1 of 2 blobs, 10.0 MiB/s, 30 s left"


def test_the_rate_is_that_of_the_last_lines(told: Told) -> None:
    """A transfer that became slow is not shown as fast as it once was."""
    stage = told.progress.stage("a/b: read", "tags", 100_000)
    stage.advance(50_000)
    assert told.after(5) == "a/b: read 50,000 of 100,000 tags (50%), 10,000/s, 5 s left"
    for _line in range(6):
        told.after(5)
    stage.advance(30)
    assert told.after(5) == "a/b: read 50,030 of 100,000 tags (50%), 1.0/s, 13 h 52 min left"


def test_without_any_progress_no_time_is_left_to_be_told(told: Told) -> None:
    told.progress.transfer([MIB])
    assert told.after(5) == "transferred 0 bytes of 1.0 MiB (0%), 0 of 1 blobs, 0 bytes/s"


def test_what_was_resumed_is_done_but_makes_no_rate(told: Told) -> None:
    transfer = told.progress.transfer([100 * MIB])
    assert transfer
    transfer.reach("a", 90 * MIB)
    transfer.reach("a", 95 * MIB, 5 * MIB)
    assert told.after(5) == "transferred 95.0 MiB of 100.0 MiB (95%), 0 of 1 blobs, 1.0 MiB/s, 5 s left"


def test_a_blob_that_begins_again_is_not_counted_twice(told: Told) -> None:
    transfer = told.progress.transfer([10 * MIB])
    assert transfer
    transfer.reach("a", 8 * MIB, 8 * MIB)
    transfer.reach("a", 0)
    transfer.reach("a", 2 * MIB, 2 * MIB)
    assert told.after(5).startswith("transferred 2.0 MiB of 10.0 MiB (20%)")


def test_mounted_blobs_leave_the_total(told: Told) -> None:
    transfer = told.progress.transfer([100 * MIB, 10 * MIB])
    assert transfer
    transfer.finish("a", 100 * MIB, by_bytes=False)
    transfer.reach("b", 5 * MIB, 5 * MIB)
    assert told.after(5).startswith("transferred 5.0 MiB of 10.0 MiB (50%), 1 of 2 blobs")


def test_the_total_is_told_when_it_is_known(told: Told) -> None:
    """Each repository is planned for when it is its turn."""
    transfer = told.progress.transfer([10 * MIB], is_last=False)
    assert transfer
    transfer.reach("a", 5 * MIB, 5 * MIB)
    assert told.after(5) == "transferred 5.0 MiB, 0 blobs, 1.0 MiB/s"
    assert told.progress.transfer([10 * MIB]) is transfer
    assert told.after(5) == "transferred 5.0 MiB of 20.0 MiB (25%), 0 of 2 blobs, 512.0 KiB/s, 30 s left"


def test_a_stage_of_unknown_length_has_no_time_left(told: Told) -> None:
    told.progress.stage("a/b: read", "manifests").advance(1250)
    assert told.after(5) == "a/b: read 1,250 manifests, 250/s"


def test_a_stage_can_be_counted_by_others(told: Told) -> None:
    stage = told.progress.stage("a/b: deleted", "tags", 4)
    stage.counter = lambda: 3
    assert told.after(5) == "a/b: deleted 3 of 4 tags (75%), 0.6/s, 2 s left"


def test_several_images_are_counted(told: Told) -> None:
    told.progress.expect_images(3)
    told.progress.transfer([MIB])
    told.progress.finish_image("a/b:1")
    assert told.after(5).endswith(" (1 of 3 images)")
    assert len(told.lines) == 1


def test_each_image_is_told_where_that_is_asked_for() -> None:
    told = Told(each_image=True)
    told.progress.expect_images(2)
    told.progress.finish_image("a/b:1")
    assert told.lines == ["a/b:1 is finished (1 of 2 images)"]


def test_the_totals_come_last_if_anything_was_told(told: Told) -> None:
    with told.progress as progress:
        transfer = progress.transfer([60 * MIB, MIB])
        assert transfer
        transfer.reach("a", 60 * MIB, 60 * MIB)
        told.after(30)
        transfer.finish("a", 60 * MIB, by_bytes=True)
        transfer.finish("b", MIB, by_bytes=False)
        progress.finish_image("a/b:1")
        told.now += 30
    assert told.lines[1:] == ["60.0 MiB, 2 blobs, 1.0 MiB/s, 1 image in 1 min 0 s"]


def test_the_totals_of_stages_are_added_up(told: Told) -> None:
    with told.progress as progress:
        for repository in ("a", "b"):
            progress.stage(f"{repository}: read", "tags", 10).advance(10)
            progress.stage(f"{repository}: deleted", "digests", 0)
        told.after(10)
        progress.stage("b: deleted", "tags", 2).advance(2)
    assert told.lines[1:] == ["read 20 tags, deleted 2 tags in 10 s"]


def test_a_short_task_tells_nothing(told: Told) -> None:
    with told.progress as progress:
        assert progress.transfer([MIB])
    assert told.lines == []


def test_a_failed_task_has_no_totals(told: Told) -> None:
    with pytest.raises(KeyboardInterrupt), told.progress as progress:
        progress.transfer([MIB])
        told.after(10)
        raise KeyboardInterrupt
    assert len(told.lines) == 1


def test_a_thread_tells_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "INTERVAL", 0.01)
    twice = threading.Event()
    lines: list[str] = []

    def show(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            twice.set()

    before = set(threading.enumerate())
    with Progress(show) as progress:
        assert set(threading.enumerate()) == before
        progress.stage("a: read", "tags", 3)
        assert twice.wait(60)
    assert lines[0].startswith("a: read 0 of 3 tags (0%)")
    assert set(threading.enumerate()) == before


def test_without_anybody_who_wants_to_know_nothing_is_counted() -> None:
    with Progress() as progress:
        assert progress.transfer([MIB]) is None
        progress.stage("a: read", "tags", 3).advance()
        progress.finish_image("a/b:1")
        progress.tell()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1.5 * (1 << 30), "1.5 GiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_size_text(count: float, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.5, "1 min 0 s"),
        (80, "1 min 20 s"),
        (3600, "1 h 0 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_time_text(seconds: float, text: str) -> None:
    assert time_text(seconds) == text

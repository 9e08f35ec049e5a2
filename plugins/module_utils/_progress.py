# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""How much of a task's work is done, how fast it goes and how long it will take, as lines of text."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
import typing as t

# Seconds between two lines, and before the first one: shorter tasks show none.
INTERVAL = 5.0
# The rate is that of the last so many lines.
_SAMPLES = 6
_SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB")
# Until then a rate is chance.
_SHORTEST = 1.0

# The option of modules whose work may take long.
ARGUMENTS: dict[str, dict[str, t.Any]] = {"progress": {"type": "bool", "default": True}}

Show = t.Callable[[str], None]
Clock = t.Callable[[], float]


def takes_long(argument_spec: t.Mapping[str, t.Any]) -> bool:
    """Tell whether a module with this argument spec is one whose work may take long."""
    return ARGUMENTS.keys() <= argument_spec.keys()


class Stage:
    """A part of the work in which ``unit`` are counted, such as tags that are read. Safe for threads.

    ``activity`` stands before the counts. Without ``total`` it is not known how many there are. ``counter``, if it is set,
    returns how many are done; otherwise advance() counts them.
    """

    def __init__(
        self, activity: str = "", unit: str = "", total: int | None = None, clock: Clock = time.monotonic
    ) -> None:
        self.activity = activity
        self.unit = unit
        self.total = total
        self.counter: t.Callable[[], int] | None = None
        self._done = 0
        self._lock = threading.Lock()
        self._clock = clock
        # When so much was done.
        self._samples = collections.deque([(clock(), 0)], maxlen=_SAMPLES)

    @property
    def done(self) -> int:
        """How many are done."""
        return self.counter() if self.counter else self._done

    def advance(self, count: int = 1) -> None:
        """Count ``count`` that are done."""
        with self._lock:
            self._done += count

    def line(self) -> str:
        """Return what is done, the rate since the last lines, and the time that is left at that rate."""
        with self._lock:
            done = self.done
            counts = _of_total(done, self.total, lambda count: f"{count:,}")
            pace = self._pace(done, done, self.total)
            return ", ".join([f"{self.activity} {counts} {self.unit}{_share(done, self.total)}", *pace])

    def _pace(self, moved: int, done: int, total: int | None) -> t.Iterator[str]:
        """Yield the rate and the time left; ``moved`` is what the rate is made of."""
        now = self._clock()
        since, before = self._samples[0]
        self._samples.append((now, moved))
        if now - since < _SHORTEST:
            return
        rate = (moved - before) / (now - since)
        yield self._rate_text(rate)
        if rate and total is not None:
            yield f"{time_text(max(total - done, 0) / rate)} left"

    @staticmethod
    def _rate_text(rate: float) -> str:
        return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


class Transfer(Stage):
    """The blobs that a task moves, by their digests. Blobs that a registry mounts leave the total of bytes."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__("transferred", "bytes", clock=clock)
        self.blobs = 0
        self.finished = 0
        # How far each blob is; a transfer that begins again goes back.
        self._positions: dict[str, int] = {}
        self._moved = 0
        self._planned = 0
        self._open = True

    def expect(self, sizes: t.Iterable[int], last: bool = True) -> None:
        """Add blobs of ``sizes`` bytes that have to be moved. The total is known with the ``last`` ones."""
        with self._lock:
            for size in sizes:
                self.blobs += 1
                self._planned += size
            self._open = not last
            self.total = None if self._open else self._planned

    def reach(self, digest: str, position: int, moved: int = 0) -> None:
        """Note that a blob is there up to byte ``position``, of which ``moved`` bytes were moved just now."""
        with self._lock:
            self._done += position - self._positions.get(digest, 0)
            self._positions[digest] = position
            self._moved += moved

    def finish(self, digest: str, size: int, by_bytes: bool) -> None:
        """Note that a blob of ``size`` bytes is where it belongs, ``by_bytes`` or by other means."""
        with self._lock:
            self.finished += 1
            at = self._positions.pop(digest, 0)
            if by_bytes:
                self._done += size - at
            else:
                self._done -= at
                self._planned -= size
                self.total = None if self._open else self._planned

    def line(self) -> str:
        with self._lock:
            blobs = _of_total(self.finished, None if self._open else self.blobs, str)
            size = _of_total(self.done, self.total, size_text)
            share = _share(self.done, self.total)
            pace = self._pace(self._moved, self.done, self.total)
            return ", ".join([f"{self.activity} {size}{share}", f"{blobs} blobs", *pace])

    def summary(self, seconds: float) -> list[str]:
        """Return what was moved in ``seconds``."""
        with self._lock:
            rate = [self._rate_text(self._moved / seconds)] if self._moved and seconds else []
            return [f"{size_text(self.done)}, {_counted(self.finished, 'blob')}", *rate]

    @staticmethod
    def _rate_text(rate: float) -> str:
        return f"{size_text(rate)}/s"


class Progress:
    """What a task tells while it works: a line every INTERVAL seconds, and the totals if it told any. Safe for threads.

    ``show`` takes each line; without it nothing is told. With ``each_image``, images are told as they are finished. It is a
    context: a thread of it tells the lines, from the first stage until the end.
    """

    def __init__(
        self, show: Show | None = None, each_image: bool = False, clock: Clock = time.monotonic
    ) -> None:
        self._show = show
        self._each_image = each_image
        self._clock = clock
        self._began = clock()
        self._stage: Stage | None = None
        self._transfer: Transfer | None = None
        # What was counted, by what was done with it and what it is.
        self._stages: list[Stage] = []
        self._images = 0
        self._finished = 0
        self._told = False
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._active = False

    def stage(self, activity: str, unit: str, total: int | None = None) -> Stage:
        """Begin the next part of the work, which the lines are about from now on."""
        stage = Stage(activity, unit, total, self._clock)
        self._stages.append(stage)
        self._begin(stage)
        return stage

    def transfer(self, sizes: t.Iterable[int], is_last: bool = True) -> Transfer | None:
        """Return the transfer of the task, which expects blobs of ``sizes`` bytes from now on; None where nobody wants to know.

        All copies of a task are one transfer. Its total is known with the last of them.
        """
        if not self._show:
            return None
        if self._transfer is None:
            self._transfer = Transfer(self._clock)
        self._transfer.expect(sizes, is_last)
        self._begin(self._transfer)
        return self._transfer

    def expect_images(self, count: int) -> None:
        """Say how many images there are to be finished."""
        self._images = count

    def finish_image(self, name: str) -> None:
        """Note that an image is complete, and has its names."""
        self._finished += 1
        if self._each_image and self._show:
            self._show(f"{name} is finished{self._image_counts()}")

    def tell(self) -> None:
        """Show a line about the stage."""
        stage = self._stage
        if self._show and stage:
            self._told = True
            self._show(f"{stage.line()}{self._image_counts()}")

    def tell_totals(self) -> None:
        """Show what was done in all, if the task took long enough to show a line before."""
        if self._show and self._told:
            seconds = self._clock() - self._began
            totals = self._transfer.summary(seconds) if self._transfer else list(self._stage_totals())
            self._show(f"{', '.join([*totals, *self._image_totals()])} in {time_text(seconds)}")

    def __enter__(self) -> Progress:
        self._active = True
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        self._active = False
        self._end.set()
        if self._thread:
            self._thread.join()
        if kind is None:
            self.tell_totals()

    def _begin(self, stage: Stage) -> None:
        self._stage = stage
        if self._show and self._active and self._thread is None:
            thread = threading.Thread(target=self._tell_on, daemon=True)
            # A system without another thread shows no progress.
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _tell_on(self) -> None:
        wait = max(self._began + INTERVAL - self._clock(), 0)
        while not self._end.wait(wait):
            self.tell()
            wait = INTERVAL

    def _image_counts(self) -> str:
        return f" ({self._finished} of {self._images} images)" if self._images > 1 else ""

    def _image_totals(self) -> t.Iterator[str]:
        if self._finished:
            yield _counted(self._finished, "image")

    def _stage_totals(self) -> t.Iterator[str]:
        counts: dict[tuple[str, str], int] = {}
        for stage in self._stages:
            key = (stage.activity.rpartition(": ")[2], stage.unit)
            counts[key] = counts.get(key, 0) + stage.done
        for (activity, unit), count in counts.items():
            if count:
                yield f"{activity} {count:,} {unit}"


def size_text(count: float) -> str:
    """Return a number of bytes as people write it, such as ``1.5 GiB``."""
    power = 0
    while count >= 1024 and power < len(_SIZES) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.1f} {_SIZES[power]}" if power else f"{count:.0f} bytes"


def time_text(seconds: float) -> str:
    """Return a time as people write it, such as ``1 min 20 s``; from an hour on without seconds."""
    whole = max(int(seconds + 0.5), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _of_total(done: int, total: int | None, text: t.Callable[[int], str]) -> str:
    return text(done) if total is None else f"{text(done)} of {text(total)}"


def _share(done: int, total: int | None) -> str:
    return f" ({100 * done // total}%)" if total else ""


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"

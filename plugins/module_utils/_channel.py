# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Between a running module and its play: the lines that it shows, and whether anybody waits for its result.

In the worker process of Ansible, lines are shown at once. A module process has nothing but its output, which Ansible reads
when the process has ended. So it writes lines to a file that the action plugin names and reads on the way, and returns them as
well: what was not read by then is shown with the result.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import threading
import typing as t

# The file that a module writes its lines to.
FILE_VARIABLE = "OCIKIT_PROGRESS_FILE"
# The key of the lines in a result; the action plugin takes it out.
RESULT_KEY = "_ocikit_progress"
# Each line begins with this and its number, as a terminal or sudo may write something of their own between them.
MARK = "progress:"
_FILE = re.compile(r"/[^\0\n]*/\.ocikit-progress-[0-9a-f]{32}\Z")
# How many lines a result has at most: those of more seconds than pass between two looks at the file.
_LAST = 1000
# Seconds between two looks at whether the output is still read, and the looks between two empty lines.
_PAUSE = 1.0
_LOOKS = 5


class Channel:
    """Where the lines of a task go. This one drops them."""

    is_open = False

    def show(self, line: str) -> None:
        """Show a line to the user."""

    @property
    def result(self) -> dict[str, t.Any]:
        """What the result of a module has to hold for the action plugin."""
        return {}

    def close(self) -> None:
        """Remove what the channel made."""


class WorkerChannel(Channel):
    """Shows lines by a function of the process that Ansible shows things from."""

    is_open = True

    def __init__(self, show: t.Callable[[str], None]) -> None:
        self._show = show

    def show(self, line: str) -> None:
        self._show(line)


class FileChannel(Channel):
    """Writes lines to a file of its own, which nobody else can read. Where that fails, they are in the result."""

    is_open = True

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: list[str] = []
        self._count = 0
        self._lock = threading.Lock()
        self._file: int | None = None
        with contextlib.suppress(OSError):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)

    def show(self, line: str) -> None:
        with self._lock:
            self._count += 1
            self._lines = [*self._lines[1 - _LAST :], line]
            if self._file is not None:
                with contextlib.suppress(OSError):
                    os.write(self._file, f"{MARK}{self._count}:{line}\n".encode("utf-8", "replace"))

    @property
    def result(self) -> dict[str, t.Any]:
        return {RESULT_KEY: {"count": self._count, "lines": self._lines}} if self._count else {}

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            with contextlib.suppress(OSError):
                os.unlink(self._path)


# Of the modules that run in this process: it is the worker process of Ansible.
_worker: list[Channel] = []


@contextlib.contextmanager
def in_worker(show: t.Callable[[str], None] | None) -> t.Iterator[None]:
    """Let modules that run inside this context, in the worker process of Ansible, show their lines by ``show``, if at all."""
    _worker.append(WorkerChannel(show) if show else Channel())
    try:
        yield
    finally:
        _worker.pop()


def is_in_worker() -> bool:
    """Tell whether a module runs in the worker process of Ansible."""
    return bool(_worker)


def open_channel(environment: t.Mapping[str, str]) -> Channel:
    """Return the channel of a module: its file is the one that ``environment`` names."""
    if _worker:
        return _worker[-1]
    path = environment.get(FILE_VARIABLE, "")
    return FileChannel(path) if _FILE.match(path) else Channel()


@contextlib.contextmanager
def ending_with_reader(number: int = signal.SIGTERM) -> t.Iterator[None]:
    """Send this process the signal ``number`` when nobody reads its output any longer: the play was interrupted.

    A connection does not always pass on that its play has ended. A process whose Ansible was killed has an output
    without a reader, which can be seen at once where it is a pipe. A client such as ssh, which Ansible leaves behind, ends when
    it has something to pass on; so an empty line is written now and then. Ansible drops what stands before a result.
    """
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        looks = 0
        while not ended.wait(_PAUSE):
            looks += 1
            try:
                if looks % _LOOKS == 0:
                    os.write(output, b"\n")
                lost = _has_no_reader(output)
            except OSError:
                lost = True
            if lost:
                os.kill(os.getpid(), number)
                return

    thread = threading.Thread(target=watch, daemon=True)
    with contextlib.suppress(RuntimeError):
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if thread.is_alive():
            # An output that takes nothing, as nobody reads it, must not keep the module.
            thread.join(_PAUSE)


def _has_no_reader(output: int) -> bool:
    poll = select.poll()
    poll.register(output, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _file, event in poll.poll(0))

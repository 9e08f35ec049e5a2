# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this plugin_utils is PRIVATE to the collection.
"""Shows the progress of a module that runs on a target, while the connection waits for its result.

A connection returns what a command printed when it has ended, so the lines of a module come another way: it writes them to a
file, and a thread reads that by commands of its own. Running the module as an asynchronous job, to ask for its state in between,
would cost each task more commands, and the job would go on when the play is interrupted. This way a task that ends within
seconds costs no command at all.
"""

from __future__ import annotations

import contextlib
import copy
import re
import secrets
import shlex
import threading
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ocikit.registry.plugins.module_utils._channel import MARK, RESULT_KEY
from ansible_collections.ocikit.registry.plugins.module_utils._errors import printable
from ansible_collections.ocikit.registry.plugins.module_utils._progress import INTERVAL

# These start a process for each command, so that a copy of one runs commands beside it.
CONNECTIONS = ("ansible.plugins.connection.local", "ansible.plugins.connection.ssh")
# Seconds: a module has begun, and written its first line, by then.
_FIRST = INTERVAL + 1
# A file that was not there so many times will not come: the module shows nothing, or has ended.
_MISSES = 6
# So many lines are read at a time.
_LINES = 500
# Seconds that a command that is under way is waited for at the end.
_GRACE = 1.0
_LINE = re.compile(rf"{MARK}([0-9]{{1,9}}):(.*)")

display = Display()


class Screen:
    """Shows the lines of one task on ``host``.

    They go to the standard error output: what a callback prints as JSON stays that, and they are seen at once where the
    output is no terminal.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        # The number of the last line that was shown.
        self._count = 0
        self._lock = threading.Lock()

    def show(self, line: str) -> None:
        """Show a line."""
        display.display(
            f"progress: [{self._host}] {printable(line)}",
            color=constants.config.get_config_value("COLOR_VERBOSE"),
            stderr=True,
        )

    @property
    def count(self) -> int:
        """The number of lines of a module that were shown."""
        return self._count

    def show_numbered(self, number: int, line: str) -> None:
        """Show line ``number`` of a module, unless it was shown."""
        with self._lock:
            if number > self._count:
                self._count = number
                self.show(line)

    def show_rest(self, result: dict[str, t.Any]) -> None:
        """Take the lines of a module out of its ``result``, and show those that nobody read in time."""
        rest = result.pop(RESULT_KEY, None)
        count, lines = (rest.get("count"), rest.get("lines")) if isinstance(rest, dict) else (None, None)
        if isinstance(count, int) and isinstance(lines, list):
            for number, line in enumerate(lines, count - len(lines) + 1):
                self.show_numbered(number, str(line))


class Follower:
    """Reads the lines of a module from ``file``, from a thread, as long as its context lasts.

    ``action`` runs commands on the target. What goes wrong ends the reading, never the task.
    """

    def __init__(self, action: ActionBase, file: str, screen: Screen) -> None:
        self._action = action
        self._file = shlex.quote(file)
        self._screen = screen
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Follower:
        # Where the system has no more threads, nothing is shown.
        with contextlib.suppress(RuntimeError):
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(_GRACE)

    def _follow(self) -> None:
        misses, wait = 0, _FIRST
        while misses < _MISSES and not self._end.wait(wait):
            try:
                misses = 0 if self._read() else misses + 1
            except Exception as error:
                display.vvv(f"progress is not shown: {error}")
                return
            wait = INTERVAL

    def _read(self) -> bool:
        """Show the new lines. Return whether the file is there."""
        command = (
            f"tail -n +{self._screen.count + 1} {self._file} 2>&1 | head -n {_LINES}; test -f {self._file}"
        )
        answer = self._action._low_level_execute_command(command)
        for line in answer["stdout_lines"]:
            match = _LINE.search(line)
            if match and not self._end.is_set():
                self._screen.show_numbered(int(match[1]), match[2])
        return bool(answer["rc"] == 0)


def progress_file(action: ActionBase) -> str | None:
    """Return a new path for the lines of a module on the target of ``action``; None over connections that cannot follow it."""
    connection = action._connection
    if (
        type(connection).__module__ not in CONNECTIONS
        or getattr(connection._shell, "SHELL_FAMILY", None) != "sh"
    ):
        return None
    folders = [str(folder) for folder in action.get_shell_option("system_tmpdirs", default=None) or ["/tmp"]]
    folder = "/tmp" if "/tmp" in folders else folders[0]
    return f"{folder.rstrip('/')}/.ocikit-progress-{secrets.token_hex(16)}"


def parallel_action(action: ActionBase, kind: type[ActionBase]) -> ActionBase:
    """Return an action of the same task whose commands run beside those of ``action``, by the same way and as the same user."""
    connection = copy.copy(action._connection)
    # A become plugin keeps what it waits for in the output of its last command.
    connection.become = copy.copy(connection.become)
    return kind(
        task=action._task,
        connection=connection,
        play_context=action._play_context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=action._shared_loader_obj,
    )

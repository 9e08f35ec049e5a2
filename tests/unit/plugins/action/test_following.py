# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that reads the lines of a module on a target, by an action that answers as a test wants."""

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.plugin_utils import _progress
from ansible_collections.ocikit.registry.plugins.plugin_utils._progress import Follower, Screen

FILE = "/tmp/.ocikit-progress-00"
PATIENCE = 60


class Target:
    """Gives one answer after the other to commands: lines and an exit code, or an exception. Then ``done`` is set."""

    def __init__(self, *answers: tuple[list[str], int] | Exception) -> None:
        self.commands: list[str] = []
        self.done = threading.Event()
        self._answers = list(answers)

    def _low_level_execute_command(self, command: str) -> dict[str, t.Any]:
        self.commands.append(command)
        if len(self._answers) < 2:
            self.done.set()
        if not self._answers:
            return {"stdout_lines": [], "rc": 0}
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"stdout_lines": answer[0], "rc": answer[1]}


class Shown(Screen):
    """A screen that keeps what it shows."""

    def __init__(self) -> None:
        super().__init__("host")
        self.lines: list[str] = []

    def show(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def screen() -> Shown:
    return Shown()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_FIRST", 0.001)
    monkeypatch.setattr(_progress, "INTERVAL", 0.001)


def follow(target: Target, screen: Screen) -> Follower:
    return Follower(t.cast(t.Any, target), FILE, screen)


def test_a_module_that_ends_soon_is_sent_no_command(monkeypatch: pytest.MonkeyPatch, screen: Shown) -> None:
    monkeypatch.setattr(_progress, "_FIRST", 1e6)
    target = Target()
    with follow(target, screen):
        pass
    assert target.commands == []


@pytest.mark.usefixtures("at_once")
def test_each_line_is_shown_once(screen: Shown) -> None:
    """Whatever a terminal, sudo or the login shell write between them."""
    target = Target(
        (["Welcome!", "progress:1:one", "progress:2:two\r"], 0),
        (["progress:2:two", "[sudo] progress:3:three"], 0),
        ([], 0),
    )
    with follow(target, screen):
        assert target.done.wait(PATIENCE)
    assert [line.strip() for line in screen.lines] == ["one", "two", "three"]
    starts = [command.split()[2] for command in target.commands[:3]]
    assert starts == ["+1", "+3", "+4"]


@pytest.mark.usefixtures("at_once")
def test_what_goes_wrong_ends_the_reading_only(screen: Shown) -> None:
    target = Target((["progress:1:one"], 0), RuntimeError("unreachable"))
    follower = follow(target, screen)
    with follower:
        assert target.done.wait(PATIENCE)
        follower._thread.join(PATIENCE)
        assert not follower._thread.is_alive()
    assert screen.lines == ["one"]
    assert len(target.commands) == 2


@pytest.mark.usefixtures("at_once")
def test_a_module_that_shows_nothing_is_not_asked_for_ever(screen: Shown) -> None:
    target = Target(*[([], 1)] * 1000)
    follower = follow(target, screen)
    with follower:
        follower._thread.join(PATIENCE)
        assert not follower._thread.is_alive()
    assert len(target.commands) == _progress._MISSES


def test_the_result_has_the_rest_and_loses_it(screen: Shown) -> None:
    screen.show_numbered(3, "three")
    result = {"changed": True, "_ocikit_progress": {"count": 5, "lines": ["three", "four", "five"]}}
    screen.show_rest(result)
    assert result == {"changed": True}
    assert screen.lines == ["three", "four", "five"]


@pytest.mark.parametrize(
    "rest", [None, [], "text", {"count": 1}, {"lines": "text"}, {"count": "x", "lines": []}]
)
def test_a_result_that_makes_no_sense_shows_nothing(screen: Shown, rest: t.Any) -> None:
    result = {"_ocikit_progress": rest}
    screen.show_rest(result)
    assert result == {}
    assert screen.lines == []


def test_lines_of_a_target_cannot_control_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        _progress.display, "display", lambda line, **options: shown.append(line), raising=False
    )
    Screen("host").show("one\x1b[2Jtwo\nthree")
    assert shown == ["progress: [host] one [2Jtwo three"]

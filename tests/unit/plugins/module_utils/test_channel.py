# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a running module, and its end when nobody reads its output any longer."""

from __future__ import annotations

import pathlib
import stat
import subprocess
import sys

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _channel
from ansible_collections.ocikit.registry.plugins.module_utils._channel import (
    FILE_VARIABLE,
    RESULT_KEY,
    in_worker,
    is_in_worker,
    open_channel,
)
from tests.unit.running import ROOT

NAME = f".ocikit-progress-{'0a' * 16}"


def test_lines_stand_in_a_private_file_and_in_the_result(tmp_path: pathlib.Path) -> None:
    path = tmp_path / NAME
    channel = open_channel({FILE_VARIABLE: str(path)})
    assert channel.is_open
    assert channel.result == {}
    channel.show("one")
    channel.show("zwei €")
    assert path.read_text(encoding="utf-8") == "progress:1:one\nprogress:2:zwei €\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert channel.result == {RESULT_KEY: {"count": 2, "lines": ["one", "zwei €"]}}
    channel.close()
    assert not path.exists()
    channel.show("three")
    channel.close()
    assert channel.result[RESULT_KEY]["count"] == 3


@pytest.mark.parametrize("make", ["file", "link"])
def test_what_somebody_else_put_there_is_left_alone(tmp_path: pathlib.Path, make: str) -> None:
    path, other = tmp_path / NAME, tmp_path / "other"
    other.write_text("theirs", encoding="utf-8")
    if make == "link":
        path.symlink_to(other)
    else:
        path.write_text("theirs", encoding="utf-8")
    channel = open_channel({FILE_VARIABLE: str(path)})
    channel.show("one")
    channel.close()
    assert path.read_text(encoding="utf-8") == other.read_text(encoding="utf-8") == "theirs"
    assert channel.result[RESULT_KEY]["lines"] == ["one"]


def test_a_result_has_the_last_lines_only(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(_channel, "_LAST", 2)
    channel = open_channel({FILE_VARIABLE: str(tmp_path / NAME)})
    for line in "abc":
        channel.show(line)
    channel.close()
    assert channel.result == {RESULT_KEY: {"count": 3, "lines": ["b", "c"]}}


@pytest.mark.parametrize("value", ["", "/etc/passwd", f"relative/{NAME}", f"/tmp/{NAME}/x", f"/tmp/{NAME}\n"])
def test_only_a_file_of_this_kind_is_written(value: str) -> None:
    channel = open_channel({FILE_VARIABLE: value})
    assert not channel.is_open
    channel.show("one")
    channel.close()
    assert channel.result == {}


def test_in_the_worker_lines_are_shown_at_once(tmp_path: pathlib.Path) -> None:
    lines: list[str] = []
    assert not is_in_worker()
    with in_worker(lines.append):
        assert is_in_worker()
        channel = open_channel({FILE_VARIABLE: str(tmp_path / NAME)})
        assert channel.is_open
        channel.show("one")
    assert lines == ["one"]
    assert channel.result == {}
    with in_worker(None):
        assert is_in_worker()
        assert not open_channel({}).is_open
    assert not is_in_worker()


CODE = """\
import signal, sys, time
from ansible_collections.ocikit.registry.plugins.module_utils._channel import ending_with_reader
def stop(*_):
    print("stopped", file=sys.stderr)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
with ending_with_reader():
    print("begun", flush=True)
    for _second in range({seconds}):
        time.sleep(1)
print("done", flush=True)
"""


def start(seconds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE.replace("{seconds}", str(seconds))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT / ".cache" / "dev")},
    )


def test_a_module_ends_when_its_output_has_no_reader() -> None:
    process = start(600)
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == "begun\n"
    process.stdout.close()
    try:
        assert process.wait(60) == 3
        assert process.stderr.read() == "stopped\n"
    finally:
        process.kill()
        process.stderr.close()


def test_a_module_whose_output_is_read_goes_on() -> None:
    """Empty lines tell connections that end only when they have something to pass on."""
    output, errors = start(6).communicate(timeout=60)
    assert (output, errors) == ("begun\n\ndone\n", "")

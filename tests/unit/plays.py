# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays run by the real ansible-playbook, and the results of their tasks."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import yaml

from tests.unit.expressions import COLLECTIONS, FOREIGN

CALLBACKS = pathlib.Path(__file__).resolve().parent / "callbacks"


class Played(t.NamedTuple):
    """What a play gave: exit code, everything printed, and the recorded outcomes."""

    code: int
    output: str
    outcomes: list[dict[str, t.Any]]


def command(*arguments: str) -> list[str]:
    """Return the command that runs ansible-playbook of the Python that runs the tests."""
    return [sys.executable, "-m", "ansible", "playbook", *arguments]


def environment(folder: pathlib.Path, **variables: str) -> dict[str, str]:
    """Return the environment of ansible-playbook: that of the tests without anybody's settings, and ``variables``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {
        **inherited,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "recorded",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_ASYNC_DIR": str(folder / "async"),
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(folder),
        "RECORDED": str(folder / "recorded"),
        **variables,
    }


def run(
    folder: pathlib.Path,
    *arguments: str,
    variables: t.Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
    timeout: float = 170,
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook with ``arguments``, in the environment of ``folder`` and ``variables``.

    ``timeout`` is in seconds. Raises TimeoutExpired.
    """
    return subprocess.run(
        command(*arguments),
        env=environment(folder, **(variables or {})),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def play(
    folder: pathlib.Path,
    tasks: list[dict[str, t.Any]],
    *arguments: str,
    settings: dict[str, t.Any] | None = None,
    **variables: str,
) -> Played:
    """Run ``tasks`` on localhost and return what they gave; ``settings`` are keywords of the play."""
    folder.mkdir(parents=True, exist_ok=True)
    playbook = folder / "play.yml"
    content = [{"hosts": "localhost", "gather_facts": False, **(settings or {}), "tasks": tasks}]
    playbook.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    recorded = folder / "recorded"
    recorded.unlink(missing_ok=True)
    done = run(folder, str(playbook), *arguments, variables=variables)
    lines = recorded.read_text(encoding="utf-8").splitlines() if recorded.exists() else []
    return Played(done.returncode, done.stdout + done.stderr, [json.loads(line) for line in lines])

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks by ansible-playbook, over several hosts in batches, while tags move."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest

from tests.hostile import HostileRegistry
from tests.hostile.server import Request
from tests.registries import images

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRST = images.image({"a": "first"})
SECOND = images.image({"a": "second"})
HOSTS = ("one", "two", "three")


@pytest.fixture
def moving() -> t.Iterator[HostileRegistry]:
    """A registry whose tag a/b:1 is another image after it has been looked up."""

    def move(request: Request) -> None:
        if "/manifests/1" in request.path:
            looks.append(request.path)
            server.add("a/b", FIRST if len(looks) == 1 else SECOND, "1")

    looks: list[str] = []
    with HostileRegistry(before=move) as server:
        server.add("a/b", SECOND)
        server.add("a/b", FIRST, "1")
        yield server


def play(tmp_path: pathlib.Path, playbook: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run a playbook of the collection over HOSTS, each of which is this machine. Return its code and what it printed."""
    inventory = tmp_path / "hosts"
    inventory.write_text("".join(f"{host} ansible_connection=local\n" for host in HOSTS))
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    given = [part for name, value in variables.items() for part in ("-e", f"{name}={value}")]
    done = subprocess.run(
        [program, "-i", str(inventory), f"ocikit.registry.{playbook}", *given, *arguments],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "dev"),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def deployed(output: str) -> list[str]:
    return re.findall(r"Deploying \S*@(sha256:[0-9a-f]{64})", output)


def assert_digest(
    server: HostileRegistry, tmp_path: pathlib.Path, expected: images.Image, *arguments: str, batch: str = "1"
) -> tuple[int, str]:
    """Run the playbook of that name over all hosts."""
    variables = {"image": f"{server.host}/a/b:1", "expected_digest": expected.digest, "batch": batch}
    return play(tmp_path, "assert_digest", *arguments, target="all:!localhost", **variables)


@pytest.mark.parametrize("batch", ["1", "2", "100%"])
def test_assert_digest_deploys_one_digest_with_serial(
    moving: HostileRegistry, tmp_path: pathlib.Path, batch: str
) -> None:
    code, output = assert_digest(moving, tmp_path, FIRST, batch=batch)
    assert code == 0, output
    assert deployed(output) == [FIRST.digest] * len(HOSTS)
    assert len([request for request in moving.requests if "/manifests/1" in request.path]) == 1


def test_assert_digest_with_limit_needs_localhost(moving: HostileRegistry, tmp_path: pathlib.Path) -> None:
    code, output = assert_digest(moving, tmp_path, FIRST, "--limit", "two")
    assert code != 0 and deployed(output) == []
    code, output = assert_digest(moving, tmp_path, FIRST, "--limit", "two,localhost")
    assert code == 0, output
    assert deployed(output) == [FIRST.digest]


def test_assert_digest_stops_before_any_host(moving: HostileRegistry, tmp_path: pathlib.Path) -> None:
    code, output = assert_digest(moving, tmp_path, SECOND)
    assert code != 0 and deployed(output) == []

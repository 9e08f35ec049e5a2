# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks on a target over SSH, as another user, and with a Python that lacks what modules need."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import typing as t

import pytest

from tests.hostile import HostileRegistry
from tests.matrix import Unavailable, find_python
from tests.registries import ToolMissing, images
from tests.unit import plays
from tests.unit.ssh import ssh_server

IMAGE = images.image({"file": "1"})
TAG = "ocikit.registry.registry_tag"
OTHER_USER = "nobody"
# What requests needs; charset_normalizer or chardet, whichever the installed version has.
LIBRARIES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer", "chardet")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, str]]:
    """The variables that reach a target over SSH."""
    try:
        with ssh_server(tmp_path_factory.mktemp("ssh")) as variables:
            yield variables
    except ToolMissing as error:
        pytest.skip(str(error))


@pytest.fixture(params=["ssh", "local"])
def either_target(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables that reach a target over SSH, and one that is this host."""
    return request.getfixturevalue("target") if request.param == "ssh" else {"ansible_connection": "local"}


@pytest.fixture
def registry() -> t.Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "1")
        yield server


@pytest.fixture
def shared_folder() -> t.Iterator[pathlib.Path]:
    """A folder that any user may read."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shared-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def play_on(
    folder: pathlib.Path, variables: dict[str, str], *tasks: dict[str, t.Any], **environment: str
) -> plays.Played:
    """Run ``tasks`` on one host with ``variables``."""
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"remote": variables}}}), encoding="utf-8")
    return plays.play(
        folder, [*tasks], "-vvv", "-i", str(inventory), settings={"hosts": "remote"}, **environment
    )


def retag(registry: HostileRegistry) -> dict[str, t.Any]:
    return {TAG: {"image": "a/b:1", "tags": ["2"], "registry": registry.url, "retries": 0}}


def empty_python(folder: pathlib.Path) -> str:
    """Make a virtual environment without any library; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "empty")], check=True)
    return str(folder / "empty" / "bin" / "python")


def test_a_task_runs_over_ssh(
    target: dict[str, str], registry: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    variables = {**target, "ansible_python_interpreter": sys.executable}
    played = play_on(tmp_path, variables, retag(registry), retag(registry))
    assert "runs as a module (the connection is not local)" in played.output
    assert [outcome["result"]["changed"] for outcome in played.outcomes] == [True, False], played.output
    assert registry.repositories["a/b"].tags == {"1": IMAGE.digest, "2": IMAGE.digest}


def test_a_lookup_runs_on_the_controller_for_a_target_without_requests(
    target: dict[str, str], registry: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    variables = {**target, "ansible_python_interpreter": empty_python(tmp_path)}
    message = "{{ lookup('ocikit.registry.registry_digest', '" + registry.host + "/a/b:1') }}"
    played = play_on(tmp_path, variables, {"ansible.builtin.debug": {"msg": message}})
    assert played.outcomes[-1]["result"]["msg"] == f"{registry.host}/a/b@{IMAGE.digest}", played.output


def test_delegation_to_the_controller_needs_nothing_on_the_target(
    target: dict[str, str], registry: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    variables = {**target, "ansible_python_interpreter": "/no/python"}
    played = play_on(tmp_path, variables, {**retag(registry), "delegate_to": "localhost"})
    assert f"{TAG} runs in the worker process" in played.output
    assert played.outcomes[-1]["result"]["changed"], played.output


def test_a_target_without_requests_gets_a_sentence(
    either_target: dict[str, str], registry: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    variables = {**either_target, "ansible_python_interpreter": empty_python(tmp_path)}
    played = play_on(tmp_path, variables, {**retag(registry), "ignore_errors": True})
    message = played.outcomes[-1]["result"]["msg"]
    assert message.startswith("Failed to import the required Python library (requests >= 2.19.1) on "), (
        message
    )
    assert f"Python {variables['ansible_python_interpreter']}." in message
    assert "install it in the appropriate location" in message and "Traceback" not in message
    assert registry.requests == []


def test_a_target_with_python_3_7_gets_a_sentence(
    either_target: dict[str, str], registry: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    try:
        python = find_python("3.7")
    except Unavailable as error:
        pytest.skip(str(error))
    variables = {**either_target, "ansible_python_interpreter": str(python)}
    played = play_on(tmp_path, variables, {**retag(registry), "ignore_errors": True})
    message = played.outcomes[-1]["result"]["msg"]
    assert message.startswith("The Python that runs this task is older than 3.8"), message
    assert "set ansible_python_interpreter to a newer one on that host" in message
    assert registry.requests == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user without a password")
def test_become_runs_the_task_as_that_user(
    target: dict[str, str], registry: HostileRegistry, tmp_path: pathlib.Path, shared_folder: pathlib.Path
) -> None:
    """The file belongs to that user, as does the right to write it."""
    user = pwd.getpwnam(OTHER_USER)
    python = shared_python(shared_folder)
    destination = shared_folder / "own"
    destination.mkdir()
    os.chown(destination, user.pw_uid, user.pw_gid)
    variables = {
        **target,
        "ansible_python_interpreter": python,
        # The files of the task have to be readable for both users.
        "ansible_pipelining": "false",
        "ansible_become_method": "ansible.builtin.su",
        # The account has no shell to log in with.
        "ansible_become_flags": "-s /bin/sh",
    }
    task = {
        "ocikit.registry.registry_pull": {
            "image": "a/b:1",
            "registry": registry.url,
            "dest": str(destination / "layout"),
        },
        "become": True,
        "become_user": OTHER_USER,
    }
    played = play_on(tmp_path, variables, task, ANSIBLE_REMOTE_TEMP=str(shared_folder / "remote"))
    assert played.outcomes[-1]["outcome"] == "ok", played.output
    assert (destination / "layout" / "index.json").stat().st_uid == user.pw_uid


def shared_python(folder: pathlib.Path) -> str:
    """Return a Python with requests that any user can run; make it in ``folder``."""
    libraries = folder / "libraries"
    for name in LIBRARIES:
        found = [pathlib.Path(path) / name for path in sys.path if (pathlib.Path(path) / name).is_dir()]
        if found:
            shutil.copytree(found[0], libraries / name)
    wrapper = folder / "python"
    for python in ("/usr/bin/python3", sys.executable):
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={libraries} exec {python} "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)
        command = ["su", "-s", "/bin/sh", OTHER_USER, "-c", f"{wrapper} -c 'import requests'"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return str(wrapper)
    return pytest.skip("no Python with which another user can import requests is here")

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebook by ansible-rulebook itself, on a real registry. ``tests/run rulebook`` installs that and runs this."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import time
import typing as t

import pytest
import yaml

from tests.registries import Registry, images
from tests.unit.plays import environment

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAMS = ROOT / ".cache/rulebook/venv/bin"
COLLECTIONS = ROOT / ".cache/rulebook/collections"
PASSWORD = "s3cret-word"
FIRST = images.image({"a": "first"})
SECOND = images.image({"a": "second"})
THIRD = images.image({"a": "third"})

pytestmark = [
    pytest.mark.skipif(
        not (PROGRAMS / "ansible-rulebook").exists(),
        reason="ansible-rulebook is not installed: tests/run rulebook does that",
    ),
    pytest.mark.skipif(not shutil.which("java"), reason="ansible-rulebook requires Java, which is not here"),
]


class Rulebook:
    """Runs ``ocikit.registry.redeploy`` of the installed archive; it writes the deployed image to a file."""

    def __init__(self, folder: pathlib.Path, registry: Registry) -> None:
        self.folder = folder
        self.state = folder / "state.json"
        self.deployed = folder / "deployed"
        self.log = folder / "log"
        self._variables = {
            "OCIKIT_REGISTRY_USERNAME": "deployer",
            "OCIKIT_REGISTRY_PASSWORD": PASSWORD,
            "OCIKIT_REGISTRY_CA_PATH": registry.ca or "",
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        }
        inventory = (
            'web1 ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n'
        )
        (folder / "hosts").write_text(inventory, encoding="utf-8")
        copy = {"content": "{{ pinned_image }}", "dest": str(self.deployed), "mode": "0644"}
        tasks = [{"name": "Write the image", "ansible.builtin.copy": copy}]
        (folder / "deploy.yml").write_text(yaml.safe_dump(tasks), encoding="utf-8")
        variables = {
            "registry": registry.url,
            "repositories": ["team/app"],
            "tags": ["stable"],
            "interval": "1s",
            "state_file": str(self.state),
            "target": "web1",
            "deploy_tasks": str(folder / "deploy.yml"),
        }
        (folder / "vars.yml").write_text(yaml.safe_dump(variables), encoding="utf-8")

    def run(self, act: t.Callable[[], object]) -> None:
        """Run the rulebook, and ``act``, until an image was deployed."""
        arguments = ["--rulebook", "ocikit.registry.redeploy", "--inventory", "hosts", "--vars", "vars.yml"]
        with self.log.open("ab") as log:
            program = subprocess.Popen(
                [str(PROGRAMS / "ansible-rulebook"), *arguments, "-vv", "--print-events"],
                env=environment(self.folder, **self._variables),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_for(self.state, program)
            act()
            self._wait_for(self.deployed, program)
        finally:
            os.killpg(program.pid, signal.SIGTERM)
            program.wait(60)

    def _wait_for(self, path: pathlib.Path, program: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 80
        while not (path.exists() and path.read_bytes()):
            assert program.poll() is None and time.monotonic() < deadline, self.log.read_text(
                encoding="utf-8"
            )
            time.sleep(0.1)


def test_a_moved_tag_is_redeployed_by_its_digest(tmp_path: pathlib.Path) -> None:
    """Also one that was moved while the rulebook did not run. No secret is shown on the way."""
    access: dict[str, t.Any] = {"auth": ("deployer", PASSWORD)}
    with Registry(tls=True, users={"deployer": PASSWORD}) as registry:
        access["verify"] = registry.ca
        images.push(registry.url, "team/app", FIRST, "stable", **access)
        rulebook = Rulebook(tmp_path, registry)
        rulebook.run(lambda: images.push(registry.url, "team/app", SECOND, "stable", **access))
        assert rulebook.deployed.read_text("utf-8") == f"{registry.host}/team/app@{SECOND.digest}"
        rulebook.deployed.unlink()
        images.push(registry.url, "team/app", THIRD, "stable", **access)
        rulebook.run(lambda: None)
        assert rulebook.deployed.read_text("utf-8") == f"{registry.host}/team/app@{THIRD.digest}"
    log = rulebook.log.read_text(encoding="utf-8")
    assert "'change': 'moved'" in log or '"change": "moved"' in log
    assert PASSWORD not in log and PASSWORD not in rulebook.state.read_text(encoding="utf-8")

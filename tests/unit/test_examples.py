# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example files of README.md and of the guides, run by ansible-playbook on real registries."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import typing as t

import pytest

from tests.docsite import EXAMPLES, PAGES, ROOT, copies, example
from tests.registries import Registry, images
from tests.unit.plays import command, environment

APP = images.image({"app": "1.4.2"})
OLDER = images.image({"app": "1.4.1"})
BUILDS = [images.image({"build": str(day)}, created=f"2023-11-{day:02}T12:00:00Z") for day in range(1, 6)]
HOSTS = ("web1", "web2", "web3")
INVENTORY = "[webservers]\n" + "".join(f"{host} ansible_connection=local\n" for host in HOSTS)
FILES = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file())
PLAYBOOKS = [name for name in FILES if "hosts:" in example(name)]


class Examples:
    """Runs example files with names and paths replaced by those of a test."""

    def __init__(self, folder: pathlib.Path, replacements: t.Mapping[str, str]) -> None:
        self.folder = folder
        self.replacements = {
            "/var/lib/": f"{folder}/var/lib/",
            "/var/cache/": f"{folder}/var/cache/",
            "/srv/": f"{folder}/srv/",
            **replacements,
        }
        (folder / "hosts").write_text(INVENTORY, encoding="utf-8")

    def path(self, name: str) -> pathlib.Path:
        """Return the place of a file that an example names by its absolute path. Its directory exists."""
        place = pathlib.Path(f"{self.folder}{name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def copy(self, name: str) -> pathlib.Path:
        """Write the folder of an example with the replacements. Return the place of the example."""
        for path in (EXAMPLES / name).parent.iterdir():
            text = path.read_text(encoding="utf-8")
            for old, new in self.replacements.items():
                text = text.replace(old, new)
            (self.folder / path.name).write_text(text, encoding="utf-8")
        return self.folder / pathlib.Path(name).name

    def run(self, name: str, *arguments: str, fails: bool = False, **variables: str) -> str:
        """Run an example and return the output. It has to succeed, or to fail with ``fails``."""
        given = [part for key, value in variables.items() for part in ("-e", f"{key}={value}")]
        done = subprocess.run(
            command("-i", str(self.folder / "hosts"), str(self.copy(name)), *given, *arguments),
            env=environment(self.folder, ANSIBLE_PYTHON_INTERPRETER=sys.executable),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, output
        assert "[WARNING]" not in output or fails, output
        return output


@pytest.fixture
def examples(registry: Registry, tmp_path: pathlib.Path) -> Examples:
    """The example files for the registry of the tests."""
    return Examples(tmp_path, {"registry.example.com": registry.host})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_hold_the_example_files(page: pathlib.Path) -> None:
    """``python -m tests.docsite`` updates the copies."""
    for copy in copies(page):
        assert copy.text == example(copy.name), f"{page.name} differs from {copy.name}"


def test_every_example_file_is_on_a_page() -> None:
    assert {copy.name for page in PAGES for copy in copies(page)} == set(FILES)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_syntax(examples: Examples, name: str) -> None:
    examples.run(name, "--syntax-check")


def test_readme_retag(registry: Registry, examples: Examples) -> None:
    images.push(registry.url, "team/app", APP, "1.4.2")
    examples.run("readme/retag.yml", fails=True, tested_digest=OLDER.digest)
    output = examples.run("readme/retag.yml", tested_digest=APP.digest)
    assert "changed=1" in output
    assert "changed=0" in examples.run("readme/retag.yml", tested_digest=APP.digest)


def test_readme_deploy(registry: Registry, examples: Examples) -> None:
    images.push(registry.url, "team/app", APP, "stable")
    compose = examples.path("/srv/app/compose.yml")
    examples.run("readme/deploy.yml", fails=True, tested_digest=OLDER.digest)
    assert not compose.exists()
    examples.run("readme/deploy.yml", tested_digest=APP.digest)
    assert f"image: {registry.host}/team/app@{APP.digest}\n" in compose.read_text(encoding="utf-8")


def test_readme_prune(registry: Registry, examples: Examples) -> None:
    for number, build in enumerate(BUILDS):
        images.push(registry.url, "team/app", build, f"build-{number}")
    examples.path("/var/lib/registry-prune/undo.json")
    output = examples.run("readme/prune.yml", "-e", '{"running_images": ["build-0"]}')
    assert re.search(r"localhost\s+: ok=1\s+changed=1", output)
    left = {tag for tag in images.tags(registry.url, "team/app") if tag.startswith("build-")}
    assert left == {"build-0", "build-2", "build-3", "build-4"}

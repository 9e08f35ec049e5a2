# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task has few files and connections open, however many layers, images and tags there are."""

from __future__ import annotations

import json
import pathlib
import resource
import subprocess
import typing as t

import pytest

from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.running import start

LAYERS = 60
# With the default concurrency: 16 connections to read from and to write to, or 16 connections, files and their directories.
LIMIT = 96


def finish(process: subprocess.Popen[str]) -> dict[str, t.Any]:
    """Return the result of a module that may have LIMIT files open; the limit is set while its interpreter starts."""
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    output, errors = process.communicate()
    assert not errors, errors
    result: dict[str, t.Any] = json.loads(output)
    assert not result.get("failed"), result["msg"]
    return result


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive", "dir"])
def test_an_image_of_many_layers_is_pulled_and_pushed(tmp_path: pathlib.Path, form: str) -> None:
    image = images.image([images.layer({f"file{number}": str(number)}) for number in range(LAYERS)])
    with HostileRegistry() as server:
        server.add("t/a", image, "1")
        dest = tmp_path / "dest"
        assert finish(start("registry_pull", server.url, image="t/a:1", dest=dest, format=form))["changed"]
        assert finish(start("registry_push", server.url, src=dest, image="t/b:1"))["changed"]
        assert len(server.repositories["t/b"].blobs) == LAYERS + 1


def test_many_images_are_copied_and_pruned() -> None:
    children = [images.image({"file": str(number)}) for number in range(LAYERS)]
    with HostileRegistry() as server:
        server.add("t/a", images.index(children), "all")
        for number, child in enumerate(children):
            server.add("t/a", child, f"1.{number}")
        copied = finish(start("registry_copy", server.url, image="t/a:all", to=["t/b:all", "t/c:all"]))
        assert copied["changed"] and server.repositories["t/c"].tags
        rules = [{"match": {"tags": ["1.*"]}, "delete": True}]
        pruned = finish(
            start("registry_prune", server.url, repositories=["t/a"], rules=rules, max_delete_percent=100)
        )
        assert pruned["changed"] and list(server.repositories["t/a"].tags) == ["all"]

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places on disk are recognized by what is in them, and tell which blobs they hold."""

from __future__ import annotations

import os
import pathlib
import subprocess
import tarfile

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor
from ansible_collections.ocikit.registry.plugins.module_utils._storage.local import (
    holds,
    open_source,
    open_store,
)
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.copying import Mover

IMAGE = images.image({"file": "content\n"})
LAYER = Descriptor(
    images.OCI_LAYER, IMAGE.manifest["layers"][0]["digest"], IMAGE.manifest["layers"][0]["size"]
)


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive", "dir"])
def test_every_format_is_recognized(mover: Mover, tmp_path: pathlib.Path, form: str) -> None:
    with HostileRegistry() as server:
        server.add("app", IMAGE, "1")
        mover.pull(server.url, "app:1", tmp_path / "dest", format=form)
    source = open_source(str(tmp_path / "dest"))
    assert source.image(None).digest == IMAGE.digest
    assert source.fetch_manifest(source.image(IMAGE.digest)).raw == IMAGE.raw
    assert holds([str(tmp_path / "dest")])(LAYER)
    assert not holds([str(tmp_path / "dest")])(Descriptor("", "sha256:" + "0" * 64, 1))


def test_an_unpacked_archive_of_docker_save_is_named(mover: Mover, tmp_path: pathlib.Path) -> None:
    """That of Docker before 25, which is no layout as well; packed again it is pushed."""
    with HostileRegistry() as server:
        server.add("app", IMAGE, "1")
        mover.pull(server.url, "app:1", tmp_path / "image.tar", format="docker-archive")
        unpacked = tmp_path / "unpacked"
        with tarfile.open(tmp_path / "image.tar") as archive:
            archive.extractall(unpacked)
        for name in ("index.json", "oci-layout"):
            (unpacked / name).unlink()
        with pytest.raises(
            InvalidInput, match="holds an unpacked archive of docker save: pack it again with 'tar"
        ) as caught:
            open_source(str(unpacked))
        command = str(caught.value).partition("'")[2].partition("'")[0].split()
        subprocess.run(command, check=True, cwd=tmp_path)
        assert open_source(str(tmp_path / "image.tar")).image(None).media_type


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_a_damaged_blob_is_not_what_the_receiver_has(mover: Mover, tmp_path: pathlib.Path, form: str) -> None:
    with HostileRegistry() as server:
        server.add("app", IMAGE, "1")
        mover.pull(server.url, "app:1", tmp_path / "dest", format=form)
    for path in (tmp_path / "dest").rglob(f"*{LAYER.digest[7:]}"):
        path.write_bytes(b"short")
    assert not holds([str(tmp_path / "dest")])(LAYER)


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive", "dir"])
def test_pipes_are_neither_read_nor_written(tmp_path: pathlib.Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="is neither a file nor a directory"):
        open_source(str(tmp_path / "pipe"))
    with pytest.raises(InvalidInput, match="is not a directory|is not a regular file"):
        open_store(str(tmp_path / "pipe"), kind, {})


@pytest.mark.parametrize("name", ["index.json", "manifest.json"])
def test_a_pipe_in_a_directory_is_not_waited_for(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "oci-layout").write_text("{}")
    os.mkfifo(tmp_path / name)
    with pytest.raises(RegistryError, match=f"{name} is not a regular file"):
        open_source(str(tmp_path)).entries()

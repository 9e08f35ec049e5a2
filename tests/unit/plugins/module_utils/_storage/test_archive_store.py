# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive is written anew in one go, from what is missing and what the old one has right."""

from __future__ import annotations

import pathlib
import tarfile

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._oci.stores import CopyPlan
from ansible_collections.ocikit.registry.plugins.module_utils._storage.archive import ArchiveSource
from ansible_collections.ocikit.registry.plugins.module_utils._storage.archive_store import ArchiveStore
from ansible_collections.ocikit.registry.plugins.module_utils._storage.listing import ImageName
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.image_change import Overlay
from tests.registries import images
from tests.unit.copying import parsed, source_of

ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
INDEX = images.index([ONE, TWO])


def write(
    path: pathlib.Path,
    image: images.Image,
    name: str = "1",
    source: Overlay | None = None,
    docker: bool = False,
) -> ArchiveStore:
    """Write the archive with one image, as the copy engine does."""
    manifest = parsed(image)
    store = ArchiveStore(str(path), {name: ImageName(name, shown=f"app:{name}")}, docker)
    blobs = manifest.successors()
    present = [blob for blob in blobs if store.exists(blob)]
    work = CopyPlan([[manifest]], blobs=[blob for blob in blobs if blob not in present], present=present)
    names = {image.digest: [name]}
    assert store.lists([(manifest, name)]) is False
    with store.writing(work, names):
        for blob in work.blobs:
            store.put_blob(blob, source or source_of(image))
    return ArchiveStore(str(path), {name: ImageName(name, shown=f"app:{name}")}, docker)


def test_the_same_image_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.tar", ONE)
    write(tmp_path / "b.tar", ONE)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        names = archive.getnames()
    assert names[:2] == ["blobs", "blobs/sha256"] and {"index.json", "oci-layout"} <= set(names)


def test_what_was_written_is_read_again(tmp_path: pathlib.Path) -> None:
    store = write(tmp_path / "a.tar", ONE)
    manifest = parsed(ONE)
    assert store.lists([(manifest, "1")]) and not store.lists([(manifest, "2")])
    assert all(store.exists(blob) for blob in manifest.successors())
    descriptor = store.resolve("1")
    assert descriptor and store.fetch_manifest(descriptor).raw == ONE.raw
    assert store.open_blob(manifest.layers[0]).read() == ONE.blobs[manifest.layers[0].digest]


def test_what_the_old_archive_has_is_taken_from_there(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    write(path, ONE)
    # The source has nothing: all comes from the old archive.
    store = write(path, ONE, "2", Overlay(None))
    assert store.resolve("2") and store.resolve("1") is None
    assert all(store.exists(blob) for blob in parsed(ONE).successors())


def test_a_failure_leaves_the_old_archive(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    write(path, ONE)
    before = path.read_bytes()
    with pytest.raises(NotFound):
        write(path, TWO, "2", Overlay(None))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tar"]


def test_damage_is_repaired(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    write(path, ONE)
    layer = parsed(ONE).layers[0]
    damaged = path.read_bytes().replace(ONE.blobs[layer.digest], b"x" * layer.size)
    path.write_bytes(damaged)
    store = ArchiveStore(str(path), {}, docker=False)
    assert not store.exists(layer)
    assert write(path, ONE, "2").exists(layer)


def test_docker_load_gets_its_list(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.tar", ONE, docker=True)
    assert "manifest.json" in ArchiveSource(str(tmp_path / "a.tar")).members
    with pytest.raises(InvalidInput, match="is not a single image, which docker-archive needs"):
        write(tmp_path / "b.tar", INDEX, docker=True)
    assert not (tmp_path / "b.tar").exists()


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"letters")
    with pytest.raises(InvalidInput, match="is not a tar archive"):
        ArchiveStore(str(tmp_path / "a.tar"), {}, docker=False)


def test_an_archive_that_is_not_there_holds_nothing(tmp_path: pathlib.Path) -> None:
    store = ArchiveStore(str(tmp_path / "a.tar"), {}, docker=False)
    assert store.resolve("1") is None
    with pytest.raises(NotFound, match="a.tar does not exist"):
        store.fetch_manifest(Manifest.parse(ONE.raw, ONE.media_type).descriptor)

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of an archive: found by their normal names, and refused where they lead out or could be read in two ways."""

from __future__ import annotations

import gzip
import io
import pathlib
import tarfile
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._storage.tar_members import (
    TarMembers,
    inner_name,
)

Add = t.Callable[[tarfile.TarFile], None]


def member(name: str, content: bytes = b"", **attributes: t.Any) -> Add:
    def add(archive: tarfile.TarFile) -> None:
        header = tarfile.TarInfo(name)
        header.size = len(content)
        for key, value in attributes.items():
            setattr(header, key, value)
        archive.addfile(header, io.BytesIO(content))

    return add


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Add:
    return member(name, type=kind, linkname=target)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "archive.tar"


def written(path: pathlib.Path, *members: Add) -> TarMembers:
    with tarfile.open(path, "w") as archive:
        for add in members:
            add(archive)
    return TarMembers(str(path))


def test_members_are_read_by_their_normal_names(path: pathlib.Path) -> None:
    members = written(path, member("./a//b", b"one"), member("c", b"two"))
    assert members.read("a/b", 3) == b"one"
    assert members.read("./a/../c", 3) == b"two"
    assert ("a/b" in members, "a" in members) == (True, False)
    assert members.read("no", 3) is None
    assert members.is_content("c", b"two") and not members.is_content("c", b"tw0")
    with pytest.raises(InvalidInput):
        members.read("c", 2)


def test_a_compressed_archive_is_unpacked(path: pathlib.Path) -> None:
    written(path, member("a", b"one"))
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert TarMembers(str(path)).read("a", 3) == b"one"


def test_a_section_has_a_position_of_its_own(path: pathlib.Path) -> None:
    members = written(path, member("a", b"0123456789"))
    first, second = members.open("a"), members.open("a")
    assert first and second
    assert (first.seek(-3, io.SEEK_END), first.read()) == (7, b"789")
    assert (second.read(4), second.seek(1, io.SEEK_CUR), second.read(1)) == (b"0123", 5, b"5")
    assert (first.seek(-99), first.seek(99), first.read()) == (0, 99, b"")


def test_links_lead_to_members_of_the_same_archive(path: pathlib.Path) -> None:
    members = written(
        path,
        member("blobs/a", b"one"),
        link("layers/1", "../blobs/a"),
        link("hard", "blobs/a", tarfile.LNKTYPE),
        link("nowhere", "blobs/no"),
    )
    assert members.read("layers/1", 3) == members.read("hard", 3) == b"one"
    assert "nowhere" not in members


def test_links_lead_over_other_links_in_any_order(path: pathlib.Path) -> None:
    members = written(
        path,
        link("3/layer.tar", "../2/layer.tar"),
        link("2/layer.tar", "../1/layer.tar"),
        link("hard", "3/layer.tar", tarfile.LNKTYPE),
        member("1/layer.tar", b"one"),
        link("a", "b"),
        link("b", "a"),
        link("itself", "itself"),
    )
    assert members.read("3/layer.tar", 3) == members.read("hard", 3) == b"one"
    assert not [name for name in ("a", "b", "itself") if name in members]


@pytest.mark.parametrize("length", [700, 1400])
def test_an_archive_with_a_damaged_header_lacks_nothing(path: pathlib.Path, length: int) -> None:
    written(path, member("a", b"one"), member("b", b"two"))
    raw = path.read_bytes()
    for damaged in (raw[:1030] + b"?" + raw[1031:], raw[:length]):
        path.write_bytes(damaged)
        with pytest.raises(InvalidInput, match="is not a tar archive, or a damaged one"):
            TarMembers(str(path))
    path.write_bytes(raw[:2048])
    assert "b" in TarMembers(str(path))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([member("../x", b"x")], "leads out of it"),
        ([member("/etc/x", b"x")], "leads out of it"),
        ([link("x", "../../etc/passwd")], "leads out of it"),
        ([link("x", "/etc/passwd")], "leads out of it"),
        ([member("x", type=tarfile.FIFOTYPE)], "neither a file nor a directory"),
        ([member("x", type=tarfile.CHRTYPE)], "neither a file nor a directory"),
        ([member("index.json", b"{}"), member("./index.json", b"[]")], "has index.json twice"),
        ([member("manifest.json", b"[]"), link("manifest.json", "x")], "has manifest.json twice"),
        ([link("./index.json", "x"), member("index.json", b"{}")], "has index.json twice"),
        ([link("index.json", "x"), link("index.json", "y", tarfile.LNKTYPE)], "has index.json twice"),
    ],
)
def test_hostile_archives_are_refused(path: pathlib.Path, members: list[Add], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        written(path, *members)


@pytest.mark.parametrize("raw", [b"x" * 2000, b"\0" * 511 + b"x" + b"\0" * 1024])
def test_what_is_no_archive(path: pathlib.Path, raw: bytes) -> None:
    path.write_bytes(raw)
    with pytest.raises(InvalidInput, match="is not a tar archive, or a damaged one"):
        TarMembers(str(path))


def test_an_archive_that_is_cut_off_while_it_is_read(path: pathlib.Path) -> None:
    members = written(path, member("a", b"x" * 5000))
    state = members.state()
    with open(path, "r+b") as file:
        file.truncate(1000)
    assert members.state() != state
    with pytest.raises(InvalidInput, match="a in .* is cut off: the archive is damaged"):
        members.read("a", 5000)


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "/x", "x\0y"])
def test_names_that_lead_out(name: str) -> None:
    with pytest.raises(InvalidInput, match="x.tar has a member that leads out of it"):
        inner_name(name, "x.tar")

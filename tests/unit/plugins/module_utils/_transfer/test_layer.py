# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of files are the same bytes every time; tarballs are taken as they are, or refused with a reason."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    LocalStorageError,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._storage import compression
from ansible_collections.ocikit.registry.plugins.module_utils._transfer import layer as _layer
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.layer import (
    Layer,
    Member,
    file_layer,
    local_members,
    member_name,
    read_mode,
    tarball,
    text_member,
)
from tests.matrix import Unavailable, find_python
from tests.registries import images

COLLECTIONS = pathlib.Path(__file__).resolve().parents[5] / ".cache" / "dev"
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
PRINT_LAYER = """
import json, sys
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.layer import file_layer, local_members, tarball
made, packed = file_layer(local_members(sys.argv[1], "/", None, None, 0, 3000000)), tarball(sys.argv[2])
print(json.dumps([made.diff_id, packed.digest, packed.diff_id]))
"""


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def content(layer: Layer) -> bytes:
    """All bytes of a layer, as the upload reads them."""
    reader, data = layer.open(), bytearray()
    buffer = memoryview(bytearray(1000))
    while count := reader.readinto(buffer):
        data += buffer[:count]
    reader.close()
    return bytes(data)


def entries(layer: Layer) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content(layer)), mode="r:gz") as archive:
        return archive.getmembers()


def names(layer: Layer) -> list[str]:
    return [entry.name for entry in entries(layer)]


def tree(
    src: object, dest: str = "/", mode: int | None = None, directory_mode: int | None = None
) -> list[Member]:
    return local_members(str(src), dest, mode, directory_mode, 0, 0)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with what a tar header has trouble with."""
    root = tmp_path / "folder"
    (root / "b" / ("long" * 30)).mkdir(parents=True)
    (root / "b" / ("long" * 30) / "file").write_bytes(os.urandom(3000000))
    (root / "b" / "größe").write_text("ü\n")
    (root / "b.txt").write_text("sorts behind the folder b\n")
    (root / "empty").write_bytes(b"")
    (root / "link").symlink_to("/usr/bin/env")
    (root / "long-link").symlink_to("x" * 150)
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o4751)
    (root / "b").chmod(0o1777)
    return root


def test_layer_of_a_folder(folder: pathlib.Path) -> None:
    layer = file_layer(local_members(f"{folder}/", "/srv/./app//", None, None, 1000, 5000000))
    raw = content(layer)
    assert (layer.digest, layer.size) == (digest(raw), len(raw))
    assert layer.diff_id == digest(gzip.decompress(raw))
    found = {entry.name: entry for entry in entries(layer)}
    long = "srv/app/b/" + "long" * 30
    assert list(found) == [
        "srv/app/b",
        "srv/app/b/größe",
        long,
        f"{long}/file",
        "srv/app/b.txt",
        "srv/app/empty",
        "srv/app/link",
        "srv/app/long-link",
        "srv/app/run",
    ]
    assert {entry.mtime for entry in found.values()} == {0}
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in found.values()} == {
        (1000, 5000000, "", "")
    }
    assert found["srv/app/b"].isdir() and found["srv/app/b"].mode == 0o1777
    assert found["srv/app/run"].isreg() and found["srv/app/run"].mode == 0o4751
    assert found["srv/app/link"].linkname == "/usr/bin/env"
    assert found["srv/app/long-link"].linkname == "x" * 150
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for name, path in (
            (f"{long}/file", folder / "b" / ("long" * 30) / "file"),
            ("srv/app/empty", folder / "empty"),
        ):
            file = archive.extractfile(name)
            assert file and file.read() == path.read_bytes()


def test_gnu_tar_reads_it(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "layer.tar.gz").write_bytes(content(file_layer(tree(folder))))
    (tmp_path / "out").mkdir()
    command = ["tar", "-xf", str(tmp_path / "layer.tar.gz"), "-C", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "implausibly" in done.stderr or done.stderr == ""
    subprocess.run(
        ["diff", "-r", "--no-dereference", str(folder), str(tmp_path / "out" / "folder")], check=True
    )


def test_same_bytes_whatever_the_order_and_times(folder: pathlib.Path) -> None:
    members = tree(folder)
    first = file_layer(members)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    second = file_layer(reversed(tree(folder)))
    assert (first.digest, first.size, first.diff_id) == (second.digest, second.size, second.diff_id)
    assert content(first) == content(second) == content(second)
    # The header names neither a file, nor a time, nor a system.
    assert content(first)[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_same_bytes_on_each_python(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Compressed bytes are those of zlib, so that they are compared for Pythons with the same one."""
    plain = tmp_path / "plain.tar"
    with tarfile.open(plain, "w") as archive:
        archive.add(folder, "folder")
    expected: dict[str, list[str]] = {}
    pythons = []
    for version in PYTHONS:
        with contextlib.suppress(Unavailable):
            pythons.append(find_python(version))
    if len(pythons) < 2:
        pytest.skip("no two Pythons are on this machine")
    for python in pythons:
        library = subprocess.run(
            [python, "-c", "import zlib; print(zlib.ZLIB_RUNTIME_VERSION)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        run = subprocess.run(
            [python, "-c", PRINT_LAYER, f"{folder}/", str(plain)],
            env={"PYTHONPATH": str(COLLECTIONS), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        found = json.loads(run.stdout)
        assert found == expected.setdefault(library, found), python
    assert len({(made, diff_id) for made, _packed, diff_id in expected.values()}) == 1
    assert {diff_id for _made, _packed, diff_id in expected.values()} == {digest(plain.read_bytes())}


@pytest.mark.parametrize(
    ("src", "dest", "expected"),
    [
        ("folder/", "/", ["file"]),
        ("folder/", "/etc/app", ["etc/app/file"]),
        ("folder", "/etc/app", ["etc/app/folder", "etc/app/folder/file"]),
        ("folder", "/", ["folder", "folder/file"]),
        ("folder/file", "etc/app.conf", ["etc/app.conf"]),
        ("folder/file", "/etc/", ["etc/file"]),
        ("folder/file", "/", ["file"]),
        ("link", "/srv/current", ["srv/current"]),
        ("link/", "/srv", ["srv/file"]),
    ],
)
def test_where_things_are_put(tmp_path: pathlib.Path, src: str, dest: str, expected: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("content\n")
    (tmp_path / "link").symlink_to("folder")
    assert names(file_layer(local_members(f"{tmp_path}/{src}", dest, None, None, 0, 0))) == expected


def test_modes_given_and_content(tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "folder" / "file").write_text("content\n")
    layer = file_layer(
        [
            *tree(tmp_path / "folder", mode=0o640, directory_mode=0o750),
            text_member("größe\n", "/etc/text", None, 1, 2),
            text_member("", "/etc/other", 0o600, 0, 0),
        ]
    )
    found = {entry.name: (entry.mode, entry.uid, entry.gid, entry.size) for entry in entries(layer)}
    assert found == {
        "etc/other": (0o600, 0, 0, 0),
        "etc/text": (0o644, 1, 2, 8),
        "folder": (0o750, 0, 0, 0),
        "folder/file": (0o640, 0, 0, 8),
    }


def test_a_size_beyond_the_header(tmp_path: pathlib.Path) -> None:
    """9 GiB are not compressed here: the header tells them, and Python's tarfile reads it."""
    with open(tmp_path / "big", "wb") as file:
        file.truncate(9 << 30)
    [member] = tree(tmp_path / "big")
    header = io.BytesIO(_layer._header(member))
    with tarfile.open(fileobj=header) as archive:
        found = archive.next()
    assert found and (found.name, found.size) == ("big", 9 << 30)


@pytest.mark.parametrize(
    "dest", ["../etc/passwd", "/etc/../../x", "a\0b", "/etc/.wh.passwd", "/.wh..wh..opq", "a\udcff"]
)
def test_names_that_are_refused(dest: str) -> None:
    with pytest.raises(InvalidInput):
        member_name(dest)


@pytest.mark.parametrize("mode", [420, 644, "rw-r--r--", "0888", "77777", "", True, "u=rw"])
def test_modes_that_are_refused(mode: t.Any) -> None:
    with pytest.raises(InvalidInput, match="octal digits in quotes"):
        read_mode(mode)


def test_modes_that_are_read() -> None:
    assert [read_mode(mode) for mode in ("0644", "644", "0o4755", None)] == [0o644, 0o644, 0o4755, None]


def test_files_that_are_refused(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInput, match="neither a file, a folder nor a symbolic link"):
        tree(f"{tmp_path}/")
    with pytest.raises(LocalStorageError, match="missing cannot be used: No such file"):
        tree(tmp_path / "missing")
    with pytest.raises(LocalStorageError, match="Not a directory"):
        tree(f"{tmp_path}/fifo/")
    (tmp_path / "fifo").unlink()
    (tmp_path / ".wh.file").touch()
    with pytest.raises(InvalidInput, match="names that start with .wh. delete files"):
        tree(f"{tmp_path}/")
    (tmp_path / ".wh.file").unlink()
    (tmp_path / "link").symlink_to(os.fsdecode(b"\xff"))
    with pytest.raises(InvalidInput, match="not UTF-8"):
        tree(f"{tmp_path}/")
    with pytest.raises(InvalidInput, match="names a folder"):
        text_member("x", "/etc/", None, 0, 0)
    with pytest.raises(InvalidInput, match="not a valid owner"):
        text_member("x", "/etc/x", None, -1, 0)


def test_entries_that_do_not_fit_together(tmp_path: pathlib.Path) -> None:
    one = text_member("x", "/a", None, 0, 0)
    with pytest.raises(InvalidInput, match="/a is in the layer twice"):
        file_layer([one, one])
    (tmp_path / "link").symlink_to("/etc")
    below = text_member("x", "/link/b/c", None, 0, 0)
    with pytest.raises(InvalidInput, match="/link in it is not a folder"):
        file_layer([below, *tree(tmp_path / "link")])


def test_a_file_that_changes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_text("content\n")
    layer = file_layer(tree(path))
    path.write_text("short\n")
    with pytest.raises(LocalStorageError, match="changed while it was read"):
        content(layer)


TAR = gzip.decompress(images.layer({"mydata/": "", "mydata/hello.txt": "hello\n" * 1000}).data)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_compressed_tarball_is_kept(tmp_path: pathlib.Path, compression: str) -> None:
    try:
        made = images.layer({"mydata/hello.txt": "hello\n" * 1000}, compression=compression)
    except images.ZstdMissing as error:
        pytest.skip(str(error))
    path = tmp_path / "mydata"
    path.write_bytes(made.data)
    if compression == "zstd":
        pytest.importorskip("zstandard", reason="no library for zstd is here")
    layer = tarball(str(path))
    assert content(layer) == made.data
    assert (layer.compression, layer.digest, layer.size, layer.diff_id) == (
        compression,
        digest(made.data),
        len(made.data),
        made.diff_id,
    )


def test_gzip_of_several_members(tmp_path: pathlib.Path) -> None:
    """As pigz, bgzip and eStargz write it."""
    raw = b"".join(gzip.compress(TAR[start : start + 1000]) for start in range(0, len(TAR), 1000))
    (tmp_path / "layer").write_bytes(raw)
    layer = tarball(str(tmp_path / "layer"))
    assert (content(layer), layer.diff_id) == (raw, digest(TAR))


def test_a_plain_tarball_is_compressed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mydata.tar").write_bytes(TAR)
    layer = tarball(str(tmp_path / "mydata.tar"))
    raw = content(layer)
    assert gzip.decompress(raw) == TAR
    assert (layer.compression, layer.digest, layer.size, layer.diff_id) == (
        "gzip",
        digest(raw),
        len(raw),
        digest(TAR),
    )


def test_an_archive_without_entries(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.tar").write_bytes(bytes(1024))
    assert tarball(str(tmp_path / "empty.tar")).diff_id == digest(bytes(1024))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is not a tar archive"),
        (b"hello\n" * 1000, "is not a tar archive"),
        (gzip.compress(b"hello\n" * 1000), "is not a tar archive"),
        (TAR[:-1], "is not a complete tar archive"),
        (TAR[:2048], "is not a complete tar archive"),
        (gzip.compress(TAR)[:-20], "is not a complete gzip file"),
        (gzip.compress(TAR)[:100], "is not a complete gzip file"),
        (gzip.compress(TAR) + b"garbage", "is not a complete gzip file"),
        (gzip.compress(TAR)[:20] + bytes(50), "is not a complete gzip file"),
        (bz2.compress(TAR), "compressed with bzip2"),
        (b"\xfd7zXZ\0", "compressed with xz"),
    ],
    ids=range(11),
)
def test_what_is_no_tarball(tmp_path: pathlib.Path, raw: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(InvalidInput, match=message):
        tarball(str(tmp_path / "file"))


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: raw[:20] + b"\xff" * 30])
def test_damaged_zstd(tmp_path: pathlib.Path, damage: t.Callable[[bytes], bytes]) -> None:
    pytest.importorskip("zstandard", reason="no library for zstd is here")
    made = images.layer({"random": os.urandom(300000)}, compression="zstd")
    (tmp_path / "file").write_bytes(damage(made.data))
    with pytest.raises(InvalidInput, match="is not a (complete|tar)"):
        tarball(str(tmp_path / "file"))


def test_zstd_without_a_library(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression.zstd", "zstandard"):
        # Which is how imports are made to fail.
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "file").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(Unsupported, match="needs the Python library zstandard"):
        tarball(str(tmp_path / "file"))


def test_a_bomb(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a file may unpack to a hundred times its size, and always to a GiB."""
    monkeypatch.setattr(compression, "_LEAST_LIMIT", 1 << 20)
    (tmp_path / "bomb").write_bytes(gzip.compress(TAR + bytes(2 << 20)))
    with pytest.raises(InvalidInput, match="unpacks to more than 1048576 bytes.* Set max_unpacked_size"):
        tarball(str(tmp_path / "bomb"))
    assert tarball(str(tmp_path / "bomb"), 1 << 22).diff_id == digest(TAR + bytes(2 << 20))


def test_a_layer_for_windows(tmp_path: pathlib.Path) -> None:
    """Files are below Files/, in folders that are there, and may be run by users (as crane makes such layers)."""
    (tmp_path / "conf" / "sub").mkdir(parents=True)
    (tmp_path / "conf" / "sub" / "file").write_text("x")
    layer = file_layer([*tree(f"{tmp_path}/conf/", "/app"), text_member("y", "/top", None, 0, 0)])
    assert layer.for_system("linux") is layer and layer.variants() == [layer]
    windows = layer.for_system("windows")
    assert windows is layer.for_system("windows") and layer.variants() == [layer, windows]
    found = {entry.name: entry for entry in entries(windows)}
    assert list(found) == [
        "Files",
        "Files/app",
        "Files/app/sub",
        "Files/app/sub/file",
        "Files/top",
        "Hives",
    ]
    assert all(found[name].isdir() for name in ("Files", "Files/app", "Files/app/sub", "Hives"))
    assert {name for name, entry in found.items() if "MSWINDOWS.rawsd" in entry.pax_headers} == {
        "Files/app/sub",
        "Files/app/sub/file",
        "Files/top",
    }


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_tarballs_for_windows(tmp_path: pathlib.Path, pack: t.Callable[[bytes], bytes]) -> None:
    for name, names in {"right": ["Files", "Files/app", "Hives"], "wrong": ["Files/a", "etc/app"]}.items():
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for member in names:
                archive.addfile(tarfile.TarInfo(member))
        (tmp_path / name).write_bytes(pack(raw.getvalue()))
    right = tarball(str(tmp_path / "right"))
    assert right.for_system("windows") == right
    assert right.variants() == [right]
    wrong = tarball(str(tmp_path / "wrong"))
    assert wrong.for_system("linux") is wrong
    with pytest.raises(InvalidInput, match="cannot be a layer of a Windows image: it has etc/app"):
        wrong.for_system("windows")


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_becomes_a_link_between_look_and_read_is_not_read(tmp_path: pathlib.Path, place: str) -> None:
    """Whoever may write to the folder must not get other files of this host into an image."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("secret!\n")
    (tmp_path / "src" / "folder").mkdir(parents=True)
    (tmp_path / "src" / "folder" / "file").write_text("content\n")
    members = tree(f"{tmp_path}/src/")
    path = tmp_path / "src" / "folder"
    if place == "file":
        (path / "file").unlink()
        (path / "file").symlink_to(tmp_path / "secret" / "file")
    else:
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "secret")
    with pytest.raises(LocalStorageError, match="it is a symbolic link, which is not followed here"):
        file_layer(members)


def test_pipes_are_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="pipe is not a regular file"):
        tarball(str(tmp_path / "pipe"))


def test_paths_that_are_no_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LocalStorageError, match="No such file"):
        tarball(str(tmp_path / "missing"))
    with pytest.raises(LocalStorageError, match="Is a directory"):
        tarball(str(tmp_path))

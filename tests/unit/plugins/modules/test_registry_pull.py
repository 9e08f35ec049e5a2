# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_pull names images so that none is lost, reads again only what was touched, and sets modes as file modules do."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import tarfile
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    NotFound,
    Refused,
    Unsupported,
)
from tests.registries import Registry, images
from tests.unit.copying import Mover, index_of, record_as_verified, tree
from tests.unit.running import start

ONE = images.image({"one": "1\n"})
TWO = images.image({"two": "2\n"})


@pytest.fixture(scope="module", autouse=True)
def seeded(registry: Registry) -> None:
    images.push(registry.url, "one/app", ONE, "1")
    images.push(registry.url, "two/app", TWO, "1")


def test_the_same_tag_of_another_repository_is_listed_as_well(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    layout, whole = tmp_path / "layout", f"{registry.host}/two/app:1"
    mover.pull(registry.url, "one/app:1", layout)
    predicted = mover.pull(registry.url, "two/app:1", layout, check_mode=True)
    result = mover.pull(registry.url, "two/app:1", layout)
    assert predicted == result and result["images"][0]["name"] == whole
    assert index_of(layout) == {"1": ONE.digest, whole: TWO.digest}
    for name in ("one/app:1", "two/app:1"):
        assert not mover.pull(registry.url, name, layout)["changed"]
    # A name that the user gives is that of the image, whatever had it.
    mover.pull(registry.url, "two/app:1", layout, name="1")
    assert index_of(layout)["1"] == TWO.digest


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("myapp:1", "myapp:1"),
        ("myapp", "myapp:latest"),
        ("r.example.com/a/b:c", "r.example.com/a/b:c"),
        (None, "HOST/one/app:1"),
    ],
)
def test_name_is_what_docker_load_shows(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, name: str | None, shown: str
) -> None:
    mover.pull(registry.url, "one/app:1", tmp_path / "a.tar", format="docker-archive", name=name)
    with tarfile.open(tmp_path / "a.tar") as archive:
        member = archive.extractfile("manifest.json")
        assert member
        tags = json.load(member)[0]["RepoTags"]
    assert tags == [shown.replace("HOST", registry.host)]
    for choice in ("0", shown.replace("HOST", registry.host)):
        mover.push(registry.url, tmp_path / "a.tar", "chosen:1", name=choice)


def test_a_new_image_is_read_by_its_name_and_one_that_is_there_is_only_compared(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    layout = tmp_path / "layout"
    registry.clear_requests()
    with pytest.raises(Refused, match="nothing was written"):
        mover.pull(registry.url, "one/app:1", layout, expected_digest=TWO.digest)
    assert [method for method, _uri, _status in registry.requests()] == ["HEAD"]
    with pytest.raises(NotFound, match="one/app:2 does not exist: nothing was written"):
        mover.pull(registry.url, "one/app:2", layout)
    assert not layout.exists()
    registry.clear_requests()
    mover.pull(registry.url, "one/app:1", layout)
    requests = registry.requests()
    assert requests[0] == ("GET", "/v2/one/app/manifests/1", 200)
    assert sorted(uri for _method, uri, _status in requests[1:]) == [
        f"/v2/one/app/blobs/{digest}" for digest in sorted(ONE.blobs)
    ]
    registry.clear_requests()
    assert not mover.pull(registry.url, "one/app:1", layout)["changed"]
    assert registry.requests() == [("HEAD", "/v2/one/app/manifests/1", 200)]


@pytest.mark.parametrize("name", ["My App", "app@sha256:" + "0" * 64])
def test_names_that_docker_load_does_not_take(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, name: str
) -> None:
    with pytest.raises(InvalidInput):
        mover.pull(registry.url, "one/app:1", tmp_path / "a.tar", format="docker-archive", name=name)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_files_that_were_touched_are_read_again(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, form: str
) -> None:
    """Also where size and time of modification are as before: the time of the change cannot be set."""
    dest = tmp_path / "dest"
    mover.pull(registry.url, "one/app:1", dest, format=form)
    right = tree(dest)
    (layer,) = [
        path for path in dest.rglob("*") if path.name.endswith(ONE.manifest["layers"][0]["digest"][7:])
    ]
    before = layer.stat()
    raw = bytearray(layer.read_bytes())
    raw[0] ^= 1
    layer.write_bytes(raw)
    os.utime(layer, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert mover.pull(registry.url, "one/app:1", dest, format=form)["blobs"]["missing"] == 1
    assert tree(dest) == right


@pytest.mark.parametrize(("verify", "missing"), [("changed", 0), ("full", 1)])
def test_verify_full_believes_no_record(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, verify: str, missing: int
) -> None:
    dest = tmp_path / "dest"
    mover.pull(registry.url, "one/app:1", dest)
    digest = ONE.manifest["layers"][0]["digest"]
    layer = dest / "blobs/sha256" / digest[7:]
    layer.write_bytes(b"x" * layer.stat().st_size)
    # As on a disk that has lost bits: nobody has touched the file.
    record = record_as_verified(dest, digest)
    assert mover.pull(registry.url, "one/app:1", dest, verify=verify)["blobs"]["missing"] == missing
    record.chmod(0o666)
    assert mover.pull(registry.url, "one/app:1", dest)["blobs"]["missing"] == 1 - missing


def test_check_mode_writes_no_record(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    mover.pull(registry.url, "one/app:1", tmp_path / "dest")
    (tmp_path / ".dest.ocikit-verified").unlink()
    mover.pull(registry.url, "one/app:1", tmp_path / "dest", check_mode=True)
    assert not (tmp_path / ".dest.ocikit-verified").exists()


def run(registry: Registry, **params: t.Any) -> dict[str, t.Any]:
    process = start("registry_pull", registry.url, image="one/app:1", **params)
    output, errors = process.communicate(timeout=60)
    assert errors == ""
    result: dict[str, t.Any] = json.loads(output)
    return result


@pytest.mark.parametrize("form", ["oci", "dir", "oci-archive"])
def test_mode_is_that_of_files_and_predicted(registry: Registry, tmp_path: pathlib.Path, form: str) -> None:
    dest = tmp_path / "dest"
    params: dict[str, t.Any] = {"dest": dest, "format": form, "mode": "0640"}
    assert run(registry, **params)["changed"]
    paths = [dest, *dest.rglob("*")] if dest.is_dir() else [dest]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes == {path: 0o750 if path.is_dir() else 0o640 for path in paths}
    assert not run(registry, **params)["changed"]
    params["mode"] = "u=rw,g=,o="
    assert run(registry, **params, _ansible_check_mode=True)["changed"]
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in paths} == modes
    assert run(registry, **params)["changed"]
    assert not run(registry, **params, _ansible_check_mode=True)["changed"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}


@pytest.mark.parametrize(
    ("option", "value"),
    [("mode", "rwx"), ("mode", "99"), ("owner", "no such user"), ("group", "no such group")],
)
def test_attributes_that_cannot_be_set(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, option: str, value: str
) -> None:
    with pytest.raises(InvalidInput, match=f"'{value}' is not a valid {option}"):
        mover.pull(registry.url, "one/app:1", tmp_path / "dest", **{option: value})
    assert tree(tmp_path) == {}


def test_schema_1(mover: Mover, tmp_path: pathlib.Path) -> None:
    """The manifest as it is, and each layer once."""
    with Registry(schema1=True) as old:
        images.push_schema1(old.url, "old/app", "1")
        predicted = mover.pull(old.url, "old/app:1", tmp_path / "dir", format="dir", check_mode=True)
        result = mover.pull(old.url, "old/app:1", tmp_path / "dir", format="dir")
        assert result == predicted and result["changed"]
        # This registry signs it anew for each request; the digest is that of what is signed.
        raw = (tmp_path / "dir" / "manifest.json").read_bytes()
        digests = {layer["blobSum"] for layer in json.loads(raw)["fsLayers"]}
        blobs = {name: images.get_blob(old.url, "old/app", name) for name in digests}
        digest = result["images"][0]["digest"]
        assert digest == images.head(old.url, "old/app", "1")
        assert tree(tmp_path / "dir") == {**blobs, digest: raw, "manifest.json": raw}
        assert not mover.pull(old.url, "old/app:1", tmp_path / "dir", format="dir")["changed"]
        assert not mover.pull(old.url, "old/app:1", tmp_path / "dir", format="dir", verify="full")["changed"]
        for form in ("oci", "oci-archive", "docker-archive"):
            with pytest.raises(
                Unsupported, match=f"schema 1 image, which {form} cannot hold: set format to dir"
            ):
                mover.pull(old.url, "old/app:1", tmp_path / form, format=form)
            assert not (tmp_path / form).exists()

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task holds the bytes of manifests, within a budget, and few parsed ones; what it reads of them stays the same."""

from __future__ import annotations

import json
import pathlib
import threading
import tracemalloc
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._oci import manifest_memory
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import OCI_MANIFEST, Manifest
from tests.bench.measuring import measure
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.running import start

IMAGE = images.image({"file": "content"})
MEBIBYTE = 1 << 20


def padded(number: int, size: int) -> bytes:
    """Return the manifest of IMAGE with ``size`` bytes besides, which take 25 times as much when they are parsed."""
    data = {**IMAGE.manifest, "annotations": {"number": str(number)}, "x": []}
    raw = json.dumps(data)
    return (raw[:-2] + ",".join(["[]"] * (size // 3)) + "]}").encode()


def parse(raw: bytes) -> Manifest:
    return Manifest.parse(raw, OCI_MANIFEST)


def memory_of(function: t.Callable[[], t.Any]) -> tuple[int, int]:
    """Call ``function``; return how many MiB are held by what it returns, and how many were at most."""
    tracemalloc.start()
    try:
        result = function()
        held, peak = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return held // MEBIBYTE, peak // MEBIBYTE


def test_parsed_manifests_are_not_held() -> None:
    raws = [padded(number, MEBIBYTE // 3) for number in range(10)]
    held, peak = memory_of(lambda: [parse(raw) for raw in raws])
    # One that is parsed takes 8 MiB.
    assert held < 8 and peak < 30


def test_small_ones_with_much_in_them_are_not_held_either() -> None:
    raws = [padded(number, MEBIBYTE // 16) for number in range(24)]
    held, peak = memory_of(lambda: [parse(raw) for raw in raws])
    # One that is parsed takes 1.6 MiB.
    assert held < 20 and peak < 25


def test_one_large_manifest_is_parsed_at_a_time() -> None:
    raws = [padded(number, MEBIBYTE // 3) for number in range(8)]

    def parse_at_once() -> None:
        threads = [threading.Thread(target=parse, args=(raw,)) for raw in raws]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    _held, peak = memory_of(parse_at_once)
    assert peak < 30


@pytest.mark.parametrize("size", [0, 3_000, 300_000])
def test_what_is_read_of_a_manifest_stays_the_same(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Also where there was no room for its parsed form, or for that of others."""
    for kept, of_one in ((300_000, 30_000), (300_000, 10), (20, 20), (0, 0)):
        monkeypatch.setattr(manifest_memory, "_KEPT_ENTRIES", kept)
        monkeypatch.setattr(manifest_memory, "_KEPT_OF_ONE", of_one)
        manifests = [parse(padded(number, size)) for number in range(3)]
        for number, manifest in enumerate(manifests * 2):
            assert manifest.data == json.loads(padded(number % 3, size))
            assert manifest.annotations == {"number": str(number % 3)}
            assert [layer.digest for layer in manifest.layers] == [
                layer["digest"] for layer in IMAGE.manifest["layers"]
            ]
            assert manifest.config and manifest.config.digest == IMAGE.manifest["config"]["digest"]
            assert len(manifest.successors()) == 2


def test_bytes_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    before = manifest_memory._MEMORY._held
    raw = padded(1, 3_000)
    monkeypatch.setattr(manifest_memory, "HELD_LIMIT", before + 2 * len(raw))
    first, second = parse(raw), parse(raw)
    with pytest.raises(ProtocolError, match=r"larger than \d+ MiB together: name fewer images\."):
        parse(raw)
    del first
    third = parse(raw)
    assert third.digest == second.digest
    del second, third
    assert manifest_memory._MEMORY._held <= before + len(raw)


@pytest.mark.parametrize("module", ["copy", "pull", "verify", "prune"])
def test_modules_take_little_memory_for_an_index_of_large_manifests(
    tmp_path: pathlib.Path, module: str
) -> None:
    """Eight manifests of 1 MiB would take 200 MiB if all were parsed at a time."""
    children = [
        images.Image(
            padded(number, MEBIBYTE), OCI_MANIFEST, IMAGE.blobs, {"os": "linux", "architecture": f"a{number}"}
        )
        for number in range(8)
    ]
    with HostileRegistry() as server:
        server.add("t/a", images.index(children), "big")
        image = f"{server.host}/t/a:big"
        params: dict[str, dict[str, t.Any]] = {
            "copy": {"image": image, "to": f"{server.host}/t/b:big"},
            "pull": {"image": [image], "dest": str(tmp_path / "layout")},
            "verify": {"images": [image], "max_size": "1GB"},
            "prune": {
                "repositories": [f"{server.host}/t/a"],
                "rules": [{"match": {"tags": ["*"]}, "keep": True}],
                "_ansible_check_mode": True,
            },
        }
        done = measure(start(f"registry_{module}", server.url, **params[module]))
        result = json.loads(done.output)
        assert not result.get("failed"), result["msg"]
        assert done.memory < 160

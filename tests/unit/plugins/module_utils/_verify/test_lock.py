# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock file says one thing, or is refused before anything is sent."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, LocalStorageError
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._verify.lock import Lock
from ansible_collections.ocikit.registry.plugins.modules import registry_verify
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
HOST = "registry.example.com"
FIRST, SECOND = (images.digest(name) for name in (b"first", b"second"))
ENTRY = {"image": "a/b:1", "digest": FIRST}


def read(connect: Connect, lock: t.Any) -> Lock:
    return Lock.read(connect(f"https://{HOST}")[0], lock)


def test_an_image_has_its_digest_by_every_spelling_of_its_name(connect: Connect) -> None:
    clients, _client = connect(f"https://{HOST}")
    lock = Lock.read(clients, [{**ENTRY, "promoted": "now"}, {"image": f"{HOST}/a/b", "digest": SECOND}])
    assert [str(reference) for reference in lock.references] == [f"{HOST}/a/b:1", f"{HOST}/a/b:latest"]
    for text, digest in {
        "a/b:1": FIRST,
        f"{HOST}:443/a/b:1": FIRST,
        "a/b": SECOND,
        f"a/b@{FIRST}": FIRST,
        f"a/b:1@{FIRST}": FIRST,
        f"a/b:1@{SECOND}": FIRST,
        "a/b:2": "",
        "a/c:1": "",
        f"a/c@{FIRST}": "",
        f"a/b@{images.digest(b'third')}": "",
    }.items():
        assert lock.digest(clients.reference(text)) == digest, text


@pytest.mark.parametrize(
    ("lock", "match"),
    [
        ("", "cannot be used"),
        (None, "is no lock file"),
        ({}, "is no lock file"),
        (5, "is no lock file"),
        ([ENTRY, None], "is no lock file"),
        ([ENTRY, "a/b:2"], "is no lock file"),
        ([ENTRY, {}], "needs image and digest"),
        ([{"image": 1.1, "digest": FIRST}], "both in quotes"),
        ([{"image": "a/b:1", "digest": 5}], "both in quotes"),
        ([{"image": "a/b:1", "digest": [FIRST]}], "both in quotes"),
        ([{"image": "a/b:1", "digest": FIRST[7:]}], "not a valid digest"),
        ([{"image": "a/b:1", "digest": FIRST.upper()}], "not a valid digest"),
        ([{"image": "a/B:1", "digest": FIRST}], "lower case"),
        ([ENTRY, {**ENTRY, "digest": SECOND}], "two digests"),
        ([ENTRY, {"image": f"{HOST}:443/a/b:1", "digest": SECOND}], "two digests"),
        ([{"image": f"a/b:1@{SECOND}", "digest": FIRST}], "two digests"),
        ([{"image": f"a/b@{FIRST}", "digest": FIRST}], "without a tag"),
        ([{**ENTRY, "Digest": SECOND}], "the key 'Digest'"),
        ([{**ENTRY, "IMAGE": "a/b:2"}], "the key 'IMAGE'"),
        ([{**ENTRY, "digest ": SECOND}], "the key 'digest'"),
        (f"- image: a/b:1\n  digest: {FIRST}\n  digest: {SECOND}\n", "gives digest twice"),
        (f"- image: a/b:1\n  image: a/b:2\n  digest: {SECOND}\n", "gives image twice"),
        (f'[{{"image": "a/b:1", "digest": "{FIRST}", "digest": "{SECOND}"}}]', "gives digest twice"),
        ("- image: 1.10\n  digest: x\n", "both in quotes"),
        (
            f"- image: a/b:1\n  digest: {FIRST}\n---\n- image: a/b:2\n  digest: {FIRST}\n",
            "neither YAML nor JSON",
        ),
        ("- image: a/b:1\n  <<: x\n", "neither YAML nor JSON"),
        ("# nothing\n", "is no lock file"),
        ("null\n", "is no lock file"),
        ("- !!python/name:os.system\n", "neither YAML nor JSON"),
        ("[" * 100_000, "neither YAML nor JSON"),
    ],
)
def test_what_is_no_lock_file_is_refused(connect: Connect, lock: t.Any, match: str) -> None:
    with pytest.raises((InvalidInput, LocalStorageError), match=match):
        read(connect, lock)


def test_a_mapping_may_be_merged_in(connect: Connect) -> None:
    text = f"- &first\n  image: a/b:1\n  digest: {FIRST}\n- <<: *first\n  image: a/b:2\n"
    assert len(read(connect, text).references) == 2


@pytest.mark.parametrize("content", ["", "\n", "# no image\n", "null", "{}", "---\n"])
def test_an_empty_lock_file_is_not_passed(connect: Connect, tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "lock.yml"
    path.write_text(content)
    for names in ([], ["a/b:1"]):
        with HostileRegistry() as server:
            clients, _client = connect(server.url, retries=0)
            with pytest.raises(InvalidInput, match="is no lock file"):
                task(registry_verify, clients, lock=str(path), images=names)
            assert server.requests == []


def test_an_empty_list_locks_nothing(connect: Connect) -> None:
    image = images.image({"a": "a"})
    with HostileRegistry() as server:
        server.add("a/b", image, "1")
        clients, _client = connect(server.url, retries=0)
        for lock in (t.cast("t.Any", []), json.dumps([])):
            result = task(registry_verify, clients, images=["a/b:1"], lock=lock, report_only=True)
            assert [one["message"] for one in result["violations"]] == ["it is not in the lock file."]
            with pytest.raises(InvalidInput, match="nothing to verify"):
                task(registry_verify, clients, lock=lock)

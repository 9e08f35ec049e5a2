# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository with all that makes pruning hard, and registry_prune as Ansible runs it or in this process."""

from __future__ import annotations

import datetime
import subprocess
import typing as t

from ansible_collections.ocikit.registry.plugins.modules import registry_prune
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit import running
from tests.unit.task import task

NOW = datetime.datetime.now(datetime.timezone.utc)


def date(days: float) -> str:
    return (NOW - datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def aged(text: str, days: float = 90, **more: t.Any) -> images.Image:
    """An image that is so many days old."""
    return images.image({"file": text}, **{"created": date(days), **more})


def signature(text: str) -> images.Image:
    return images.artifact("application/vnd.example.cosign", text.encode(), "text/plain")


def sbom(subject: images.Image) -> images.Image:
    return images.artifact("application/vnd.example.sbom", b"b", "text/plain", subject=subject)


NEW, NEWER, OLD, TWIN, SHARED, OLDEST = (
    aged("new", 2), aged("newer", 1), aged("old", 40), aged("twin", 40), aged("shared", 50), aged("oldest", 90),
)  # fmt: skip
CHILD, COMMON, FRESH, NESTED, ATTESTED = (
    aged("child"), aged("common"), aged("fresh", 1), aged("nested"), aged("attested"),
)  # fmt: skip
INDEX_OLD, INDEX_NEW = images.index([CHILD, COMMON]), images.index([COMMON, FRESH])
OUTER = images.index([INDEX_OLD, NESTED])
WITH_PROOF = images.index([ATTESTED], attestations=True)
SBOM_OLD, SBOM_NEW = sbom(OLDEST), sbom(NEWER)
FALLBACK_OLD, FALLBACK_NEW = images.referrers_index([SBOM_OLD]), images.referrers_index([SBOM_NEW])
SIGNATURES = {name: signature(name) for name in ("oldest", "newer", "child", "common")}

CANDIDATES: dict[str, images.Image] = {
    "b-40": OLD,
    "b-41": TWIN,
    "b-50": SHARED,
    "b-90": OLDEST,
    "m-90": INDEX_OLD,
    "n-90": OUTER,
    "a-90": WITH_PROOF,
    images.referrers_tag(OLDEST): FALLBACK_OLD,
    images.referrers_tag(OLDEST) + ".sig": SIGNATURES["oldest"],
    images.referrers_tag(CHILD) + ".sig": SIGNATURES["child"],
}
KEPT: dict[str, images.Image] = {
    "b-1": NEWER,
    "b-2": NEW,
    "b-epoch": aged("epoch", created="1970-01-01T00:00:00Z"),
    "b-future": aged("future", -30),
    "b-none": images.image([], created=None),
    "m-1": INDEX_NEW,
    "stable": SHARED,
    images.referrers_tag(NEWER): FALLBACK_NEW,
    images.referrers_tag(NEWER) + ".sig": SIGNATURES["newer"],
    images.referrers_tag(COMMON) + ".sig": SIGNATURES["common"],
}
# What goes as a whole; SHARED stays for the tag stable, COMMON for the index m-1.
GONE: list[images.Image] = [
    OLD, TWIN, OLDEST, INDEX_OLD, CHILD, OUTER, NESTED, WITH_PROOF, *WITH_PROOF.children,
    FALLBACK_OLD, SBOM_OLD, SIGNATURES["oldest"], SIGNATURES["child"],
]  # fmt: skip
RULES = [
    {"name": "old", "match": {"tags": ["b-*", "m-*", "n-*", "a-*"]}, "delete": True, "older_than": "30d"}
]
DELETE_ALL = [{"match": {"tags": ["*"]}, "delete": True}]
ALL: dict[str, t.Any] = {"rules": RULES, "max_delete_percent": 90.0}


def seed(url: str, repository: str) -> None:
    """Push CANDIDATES and KEPT."""
    for referrer in (SBOM_OLD, SBOM_NEW):
        images.push(url, repository, referrer)
    for tag, image in {**CANDIDATES, **KEPT}.items():
        images.push(url, repository, image, tag)


def add(server: HostileRegistry, repository: str, fallback: bool = True) -> dict[str, str]:
    """Like seed(), without requests. Returns the tags, which change with the server's."""
    for referrer in (SBOM_OLD, SBOM_NEW):
        server.add(repository, referrer)
    for tag, image in {**CANDIDATES, **KEPT}.items():
        if fallback or image not in (FALLBACK_OLD, FALLBACK_NEW):
            server.add(repository, image, tag)
    return server.repositories[repository].tags


def assert_pruned(url: str, repository: str) -> None:
    """Assert that all that had to go is gone, and that the rest is whole, seen by other code than the collection's."""
    assert images.state(url, repository) == digests(KEPT)
    assert_alive(url, repository)
    for image in GONE:
        assert images.head(url, repository, image.digest) is None


def assert_alive(url: str, repository: str) -> None:
    """Assert that every kept tag leads to its image, and that this is complete."""
    for tag, image in KEPT.items():
        assert images.head(url, repository, tag) == image.digest
        assert_complete(url, repository, image)
    assert_complete(url, repository, SBOM_NEW)


def assert_complete(url: str, repository: str, image: images.Image) -> None:
    assert images.get_manifest(url, repository, image.digest) == (image.raw, image.media_type)
    for name, data in image.blobs.items():
        assert images.get_blob(url, repository, name) == data
    for child in getattr(image, "children", ()):
        assert_complete(url, repository, child)


def digests(tags: t.Mapping[str, images.Image]) -> dict[str, str]:
    return {tag: image.digest for tag, image in tags.items()}


class Pruner:
    """The module's function. Repositories without a host belong to the registry at ``url``."""

    def __init__(self, connect: t.Callable[..., t.Any]) -> None:
        self._connect = connect

    def __call__(
        self, url: str, *repositories: str, check_mode: bool = False, options: t.Any = None, **params: t.Any
    ) -> dict[str, t.Any]:
        connection, _client = self._connect(url, **{"retries": 0, **(options or {})})
        given = {"registry": url, "repositories": list(repositories), **params}
        return task(registry_prune, connection, check_mode=check_mode, **given)


def start(url: str, **params: t.Any) -> subprocess.Popen[str]:
    """Start registry_prune as Ansible does."""
    return running.start("registry_prune", url, retries=0, **params)

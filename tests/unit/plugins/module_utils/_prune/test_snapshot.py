# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prune reads of a repository: dates, what needs what, what cannot be read, and what it remembers."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Denied,
    LocalStorageError,
    ProtocolError,
    RegistryError,
    ServerFault,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.quantities import parse_time
from ansible_collections.ocikit.registry.plugins.module_utils._prune.policy import Snapshot
from ansible_collections.ocikit.registry.plugins.module_utils._prune.snapshot import (
    SnapshotCache,
    take_snapshot,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
DAY = "2026-03-0{}T00:00:00Z"


def made(text: str, day: int | None = 1, **more: t.Any) -> images.Image:
    return images.image({"file": text}, created=DAY.format(day) if day else None, **more)


def read(
    connect: Connect,
    url: str,
    repository: str,
    cache: pathlib.Path | None = None,
    labels: t.Collection[str] = (),
) -> Snapshot:
    connection, client = connect(url, retries=0)
    directory = str(cache) if cache else None
    snapshot = take_snapshot(
        Repository(client, repository, 4),
        SnapshotCache(directory, client.endpoint.name, repository),
        labels=labels,
    )
    assert snapshot is not None
    return snapshot


def changed(image: images.Image, **fields: t.Any) -> images.Image:
    """The image with other fields in its manifest."""
    return dataclasses.replace(image, raw=json.dumps({**image.manifest, **fields}).encode())


@pytest.mark.registry_does("missing_repository")
def test_an_unknown_repository_has_no_snapshot(connect: Connect, registry: Registry) -> None:
    _connection, client = connect(registry.url)
    assert (
        take_snapshot(Repository(client, "never/was", 4), SnapshotCache(None, registry.host, "never/was"))
        is None
    )


def test_tags_children_subjects_and_sizes(connect: Connect, registry: Registry) -> None:
    one, two, other = made("one"), made("two", 2), made("other", 3)
    inner = images.index([one, two], attestations=True)
    outer = images.index([inner, other])
    sbom = images.artifact("application/vnd.example.sbom", b"b", "text/plain", subject=one)
    images.push(registry.url, "snapshot/all", outer, "outer")
    images.push(registry.url, "snapshot/all", sbom, "sbom")
    snapshot = read(connect, registry.url, "snapshot/all")
    assert snapshot.tags == {"outer": outer.digest, "sbom": sbom.digest}
    assert snapshot.manifests.keys() == {
        image.digest for image in (outer, inner, *inner.children, other, sbom)
    }
    assert snapshot.manifests[outer.digest].children == (inner.digest, other.digest)
    assert snapshot.manifests[inner.digest].children == tuple(child.digest for child in inner.children)
    assert snapshot.manifests[sbom.digest].subject == one.digest
    assert snapshot.manifests[one.digest].size == len(one.raw)
    sizes = {digest: len(data) for digest, data in one.blobs.items()}
    assert dict(snapshot.manifests[one.digest].blobs) == sizes


@pytest.mark.parametrize(
    "image, expected",
    [
        (made("config", 2), "2026-03-02T00:00:00Z"),
        (
            changed(made("note", 2), annotations={"org.opencontainers.image.created": DAY.format(5)}),
            DAY.format(5),
        ),
        (made("label", None, labels={"org.opencontainers.image.created": DAY.format(4)}), DAY.format(4)),
        (made("history", None), images.CREATED),
        (images.image([], created=None), None),
        (images.image([], created="1970-01-01T00:00:00Z"), "1970-01-01T00:00:00Z"),
        (images.image([], created="yesterday"), None),
        (images.index([made("old", 1), made("new", 7)]), DAY.format(7)),
        (images.index([images.index([made("old", 1), made("deep", 6)])]), DAY.format(6)),
        (
            images.index([made("any", 1)], annotations={"org.opencontainers.image.created": DAY.format(8)}),
            DAY.format(8),
        ),
        (images.artifact("application/vnd.example.thing"), None),
    ],
)
def test_the_date_comes_from_the_first_source_that_tells_it(
    connect: Connect, registry: Registry, image: images.Image, expected: str | None
) -> None:
    repository = "snapshot/date-" + image.digest[7:15]
    images.push(registry.url, repository, image, "it")
    assert read(connect, registry.url, repository).manifests[image.digest].created == parse_time(expected)


def test_a_schema1_image_is_read(connect: Connect) -> None:
    with Registry(schema1=True) as server:
        images.push_schema1(server.url, "old/app", "old")
        snapshot = read(connect, server.url, "old/app")
        digest = snapshot.tags["old"]
        assert digest and digest in snapshot.manifests
        assert "manifest.v1" in snapshot.manifests[digest].media_type


def test_a_child_that_is_missing_is_known_by_its_index_alone(connect: Connect, registry: Registry) -> None:
    there, gone = made("there"), made("gone")
    index = images.index([there, gone])
    images.push(registry.url, "snapshot/missing", index, "multi")
    _connection, client = connect(registry.url)
    assert client.delete_manifest("snapshot/missing", gone.digest).outcome == "deleted"
    snapshot = read(connect, registry.url, "snapshot/missing")
    assert snapshot.tags == {"multi": index.digest}
    assert snapshot.manifests.keys() == {index.digest, there.digest}
    assert snapshot.manifests[index.digest].children == (there.digest, gone.digest)


def test_children_of_any_type_are_known_but_layers_are_not_asked_for(connect: Connect) -> None:
    """Build caches are indexes of layers; some tools give their manifests media types of their own."""
    image = made("one")
    blob = next(iter(image.blobs.items()))
    layer = images.descriptor(blob[1], images.OCI_LAYER + "+gzip")
    odd = {**image.descriptor(), "mediaType": "application/vnd.example.own+json"}
    cache = changed(images.index([image]), manifests=[layer, odd])
    with HostileRegistry() as server:
        server.add("a/b", image)
        server.add("a/b", cache, "cache")
        snapshot = read(connect, server.url, "a/b")
        assert snapshot.manifests[cache.digest].children == (blob[0], image.digest)
        assert server.count(f"manifests/{blob[0]}") == 0


def test_what_a_signature_is_about_is_read_even_without_a_tag(connect: Connect, registry: Registry) -> None:
    """It may run somewhere by its digest: its signature is no orphan."""
    image, signature = made("signed"), images.artifact("application/vnd.example.sig", b"s", "text/plain")
    tag = images.referrers_tag(image) + ".sig"
    images.push(registry.url, "snapshot/untagged", image)
    images.push(registry.url, "snapshot/untagged", signature, tag)
    snapshot = read(connect, registry.url, "snapshot/untagged")
    assert snapshot.tags == {tag: signature.digest}
    assert snapshot.manifests.keys() == {image.digest, signature.digest}


class TestLabels:
    """Rules ask for labels; an index has what all images in it have in common."""

    NAMES = ("tier", "team")

    def labels(
        self, connect: Connect, server: HostileRegistry, cache: pathlib.Path | None = None
    ) -> dict[str, dict[str, str | None]]:
        snapshot = read(connect, server.url, "a/b", cache, self.NAMES)
        return {tag: snapshot.labels(tag) for tag in snapshot.tags}

    def test_images_indexes_and_artifacts(self, connect: Connect) -> None:
        live, other = (
            made("live", labels={"tier": "live", "team": "a", "x": "y"}),
            made("other", labels={"tier": "live"}),
        )
        dated = made(
            "dated",
            None,
            labels={"tier": "ci"},
            annotations={"org.opencontainers.image.created": DAY.format(1)},
        )
        with HostileRegistry() as server:
            for tag, image in {
                "live": live,
                "other": other,
                "dated": dated,
                "multi": images.index([live, other], attestations=True),
                "nested": images.index([images.index([live, other]), live]),
                "mixed": images.index([live, dated]),
                "artifact": images.artifact("application/vnd.example.thing"),
            }.items():
                server.add("a/b", image, tag)
            assert self.labels(connect, server) == {
                "live": {"tier": "live", "team": "a"},
                "other": {"tier": "live", "team": None},
                "dated": {"tier": "ci", "team": None},
                "multi": {"tier": "live", "team": None},
                "nested": {"tier": "live", "team": None},
                "mixed": {"tier": None, "team": None},
                "artifact": {"tier": None, "team": None},
            }

    def test_a_label_that_cannot_be_read_is_unknown(self, connect: Connect, tmp_path: pathlib.Path) -> None:
        live, gone = made("live", labels={"tier": "live"}), made("gone", labels={"tier": "live"})
        with HostileRegistry() as server:
            for tag, image in {"live": live, "gone": gone, "multi": images.index([live, gone])}.items():
                server.add("a/b", image, tag)
            config = gone.manifest["config"]["digest"]
            raw = server.repository("a/b").blobs.pop(config)
            known = {"tier": "live", "team": None}
            assert self.labels(connect, server, tmp_path) == {"live": known, "gone": {}, "multi": {}}
            server.repository("a/b").blobs[config] = raw
            assert self.labels(connect, server, tmp_path) == {"live": known, "gone": known, "multi": known}

    def test_what_was_read_for_other_labels_is_read_again(
        self, connect: Connect, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry() as server:
            server.add("a/b", made("live", labels={"tier": "live"}), "live")
            read(connect, server.url, "a/b", tmp_path)
            for _run in range(2):
                assert self.labels(connect, server, tmp_path)["live"] == {"tier": "live", "team": None}
            assert server.count("GET .*/blobs/") == 2
            assert read(connect, server.url, "a/b", tmp_path).labels("live")["tier"] == "live"
            assert server.count("GET .*/blobs/") == 2


class TestUnreadable:
    ONE, TWO, CHILD = made("one"), made("two"), made("child")
    INNER = images.index([CHILD, ONE])
    OUTER = images.index([INNER])
    SBOM = images.artifact("application/vnd.example.sbom", b"b", "text/plain", subject=CHILD)
    TAGS = {"one": ONE, "two": TWO, "outer": OUTER, "sbom": SBOM}

    def tags(self, connect: Connect, server: HostileRegistry) -> dict[str, str | None]:
        for tag, image in self.TAGS.items():
            server.add("a/b", image, tag)
        return dict(read(connect, server.url, "a/b").tags)

    @pytest.mark.parametrize(
        "pattern, broken",
        [
            ("(HEAD|GET) .*/manifests/two$", {"two"}),
            (f"GET .*/manifests/{TWO.digest}", {"two"}),
            (f"GET .*/manifests/{CHILD.digest}", {"outer", "sbom"}),
            (f"GET .*/manifests/{INNER.digest}", {"outer"}),
            (f"GET .*/blobs/{TWO.manifest['config']['digest']}", {"two"}),
            (f"GET .*/blobs/{CHILD.manifest['config']['digest']}", {"outer", "sbom"}),
        ],
    )
    @pytest.mark.parametrize("status", [500, 400])
    def test_a_tag_below_which_something_fails_is_unreadable(
        self, connect: Connect, pattern: str, broken: set[str], status: int
    ) -> None:
        with HostileRegistry(fail_first=-1, fail_on=pattern, fail_status=status) as server:
            tags = self.tags(connect, server)
            assert {tag for tag, digest in tags.items() if digest is None} == broken
            assert tags["one"] == self.ONE.digest

    @pytest.mark.parametrize("status", [502, 503, 504])
    @pytest.mark.parametrize("pattern", ["(HEAD|GET) .*/manifests/two$", f"GET .*/manifests/{TWO.digest}"])
    def test_a_registry_that_is_overloaded_says_nothing_about_tags(
        self, connect: Connect, pattern: str, status: int
    ) -> None:
        with HostileRegistry(fail_first=-1, fail_on=pattern, fail_status=status) as server:
            with pytest.raises(ServerFault, match=f"answered HTTP {status}"):
                self.tags(connect, server)

    def test_wrong_bytes_are_unreadable(self, connect: Connect) -> None:
        with HostileRegistry(wrong_bytes="manifest") as server:
            assert set(self.tags(connect, server).values()) == {None}

    def test_a_manifest_that_head_shows_and_get_does_not_is_unreadable(self, connect: Connect) -> None:
        with HostileRegistry() as server:

            def before(request: Request) -> None:
                if request.method == "GET" and request.path.endswith(self.TWO.digest):
                    server.repository("a/b").manifests.pop(self.TWO.digest, None)

            server.before = before
            assert self.tags(connect, server)["two"] is None

    def test_a_tag_whose_manifest_is_missing_is_dangling(self, connect: Connect) -> None:
        with HostileRegistry() as server:
            server.repository("a/b").tags["dangling"] = images.digest(b"gone")
            server.add("a/b", self.ONE, "one")
            snapshot = read(connect, server.url, "a/b")
            assert snapshot.tags == {"dangling": None, "one": self.ONE.digest}
            assert snapshot.dangling == {"dangling"}

    def test_a_signature_whose_subject_cannot_be_read_is_unreadable(self, connect: Connect) -> None:
        subject = made("subject")
        tag = images.referrers_tag(subject) + ".sig"
        with HostileRegistry(fail_first=-1, fail_on=f"GET .*{subject.digest}", fail_status=500) as server:
            server.add("a/b", subject)
            server.add("a/b", images.artifact("application/vnd.example.sig"), tag)
            assert self.tags(connect, server)[tag] is None

    def test_an_index_that_is_nested_too_deeply_is_an_error(self, connect: Connect) -> None:
        nest: images.Image = self.CHILD
        for _level in range(17):
            nest = images.index([nest])
        with HostileRegistry() as server:
            server.add("a/b", nest, "nest")
            with pytest.raises(ProtocolError, match="more than 16 levels"):
                self.tags(connect, server)

    @pytest.mark.parametrize("config", ["gone", "no JSON"])
    def test_a_config_that_is_gone_or_malformed_only_hides_the_age(
        self, connect: Connect, config: str, tmp_path: pathlib.Path
    ) -> None:
        bad = b"no JSON"
        descriptor = {**self.TWO.manifest["config"], "digest": images.digest(bad), "size": len(bad)}
        image = changed(self.TWO, config=descriptor)
        with HostileRegistry() as server:
            server.add("a/b", image, "bad")
            if config != "gone":
                server.repository("a/b").blobs[descriptor["digest"]] = bad
            snapshot = read(connect, server.url, "a/b", tmp_path)
            assert snapshot.tags == {"bad": image.digest}
            assert snapshot.manifests[image.digest].created is None

    def test_a_config_that_comes_back_tells_the_age(self, connect: Connect, tmp_path: pathlib.Path) -> None:
        """That it was gone is nothing to be remembered."""
        with HostileRegistry() as server:
            server.add("a/b", self.TWO, "two")
            blobs = server.repository("a/b").blobs
            config = blobs.pop(self.TWO.manifest["config"]["digest"])
            assert read(connect, server.url, "a/b", tmp_path).manifests[self.TWO.digest].created is None
            blobs[images.digest(config)] = config
            found = read(connect, server.url, "a/b", tmp_path).manifests[self.TWO.digest].created
            assert found == parse_time(DAY.format(1))

    def test_a_refusal_says_nothing_about_single_tags(self, connect: Connect) -> None:
        with HostileRegistry(fail_first=-1, fail_on="/manifests/two$", fail_status=403) as server:
            with pytest.raises(Denied):
                self.tags(connect, server)


class TestCache:
    def seed(self, registry: Registry, repository: str) -> None:
        images.push(registry.url, repository, images.index([made("one"), made("two")]), "multi")
        for number in range(3):
            images.push(registry.url, repository, made(f"image {number}"), f"tag-{number}")

    def asked(self, registry: Registry) -> list[str]:
        """What was asked for besides the list of tags."""
        return [
            f"{method} {uri.split('/', 4)[4]}"
            for method, uri, _status in registry.requests()
            if "/tags/list" not in uri
        ]

    def test_the_second_run_asks_only_for_what_is_new(
        self, connect: Connect, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        self.seed(registry, "cache/new")
        cache = tmp_path / "some" / "where"
        first = read(connect, registry.url, "cache/new", cache)
        registry.clear_requests()
        assert read(connect, registry.url, "cache/new", cache) == first
        heads = [f"HEAD manifests/{tag}" for tag in first.tags]
        assert sorted(self.asked(registry)) == sorted(heads)

        new = made("new", 9)
        images.push(registry.url, "cache/new", new, "tag-0")
        registry.clear_requests()
        second = read(connect, registry.url, "cache/new", cache)
        config = new.manifest["config"]["digest"]
        assert sorted(self.asked(registry)) == sorted(
            [*heads, f"GET manifests/{new.digest}", f"GET blobs/{config}"]
        )
        assert second.tags["tag-0"] == new.digest
        assert second == read(connect, registry.url, "cache/new")

    def test_only_the_owner_can_read_and_write_it(
        self, connect: Connect, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        self.seed(registry, "cache/mode")
        read(connect, registry.url, "cache/mode", tmp_path / "cache")
        (file,) = (tmp_path / "cache").iterdir()
        assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "cache", file)] == ["0o700", "0o600"]

    @pytest.mark.parametrize(
        "damage", ["garbage", "empty", "truncated", "changed", "list", "directory", "link", "mode"]
    )
    def test_a_file_that_may_be_wrong_counts_as_empty(
        self, connect: Connect, registry: Registry, tmp_path: pathlib.Path, damage: str
    ) -> None:
        """It decides what is deleted: an index without children would lose them."""
        self.seed(registry, "cache/damage")
        right = read(connect, registry.url, "cache/damage", tmp_path)
        (file,) = tmp_path.iterdir()
        content = file.read_bytes()
        poison = re.sub(rb'\["sha256:[0-9a-f]{64}","sha256:[0-9a-f]{64}"\]', b"[]", content)
        assert poison != content
        if damage == "directory":
            file.unlink()
            file.mkdir()
        elif damage == "link":
            elsewhere = tmp_path / "elsewhere"
            elsewhere.write_bytes(content)
            file.unlink()
            file.symlink_to(elsewhere)
        elif damage == "mode":
            file.chmod(0o666)
        else:
            wrong = {
                "garbage": b"\xff\x00",
                "empty": b"",
                "truncated": content[:-10],
                "changed": poison,
                "list": b"[1, [2]]",
            }
            file.write_bytes(wrong[damage])
        registry.clear_requests()
        if damage == "directory":
            with pytest.raises(LocalStorageError):
                read(connect, registry.url, "cache/damage", tmp_path)
        else:
            assert read(connect, registry.url, "cache/damage", tmp_path) == right
        assert sum(line.startswith("GET manifests/") for line in self.asked(registry)) == len(right.manifests)

    def test_the_file_of_somebody_else_counts_as_empty(
        self, connect: Connect, registry: Registry, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.seed(registry, "cache/owner")
        read(connect, registry.url, "cache/owner", tmp_path)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        registry.clear_requests()
        read(connect, registry.url, "cache/owner", tmp_path)
        assert any(line.startswith("GET manifests/") for line in self.asked(registry))

    def test_a_failure_is_not_remembered(self, connect: Connect, tmp_path: pathlib.Path) -> None:
        image = made("one")
        config = image.manifest["config"]["digest"]
        with HostileRegistry(fail_first=1, fail_on=f"GET .*{config}", fail_status=500) as server:
            server.add("a/b", image, "one")
            assert read(connect, server.url, "a/b", tmp_path).tags == {"one": None}
            snapshot = read(connect, server.url, "a/b", tmp_path)
            assert snapshot.tags == {"one": image.digest}
            assert snapshot.manifests[image.digest].created == parse_time(DAY.format(1))


def test_an_unreachable_registry_is_an_error(connect: Connect) -> None:
    with HostileRegistry(drop_first=-1, drop_on="GET .*/blobs/") as server:
        server.add("a/b", made("one"), "one")
        with pytest.raises(RegistryError):
            read(connect, server.url, "a/b")

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_verify lists every requirement that is not met, and sends only the requests that these need."""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    LocalStorageError,
    Refused,
    RegistryError,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.quantities import parse_size
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.placeholder import make_placeholder
from ansible_collections.ocikit.registry.plugins.module_utils._verify import lock as _lock
from ansible_collections.ocikit.registry.plugins.modules import registry_verify
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]


def made(seconds_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


DAY = 86400
YOUNG = images.image({"a": "a"}, labels={"team": "core", "empty": ""}, created=made(3 * DAY))
ARM = images.image({"a": "a", "b": "b", "c": "c"}, architecture="arm64", variant="v8", created=made(60 * DAY))
MULTI = images.index([YOUNG, ARM], attestations=True)
EPOCH = images.image({"a": "c"}, created="1970-01-01T00:00:00Z")
SBOM = images.artifact("application/vnd.example.sbom", b"s", "text/plain", subject=YOUNG)
COSIGN = images.artifact("application/vnd.example.cosign", b"c", "text/plain")


def size_of(image: images.Image) -> int:
    return sum(len(blob) for blob in image.blobs.values())


@pytest.fixture(scope="module")
def shop(registry: Registry) -> Registry:
    """A registry whose repository a/b has one image of each kind."""
    for tag, image in {"young": YOUNG, "arm": ARM, "multi": MULTI, "epoch": EPOCH, "latest": YOUNG}.items():
        images.push(registry.url, "a/b", image, tag)
    images.push(registry.url, "a/b", images.index([MULTI, EPOCH]), "nested")
    images.push(registry.url, "a/b", images.image({"a": "d"}, created=None), "undated")
    images.push(registry.url, "a/b", SBOM)
    images.push(registry.url, "a/b", images.referrers_index([SBOM]), images.referrers_tag(YOUNG))
    images.push(registry.url, "a/b", COSIGN, images.referrers_tag(YOUNG) + ".sig")
    return registry


def verify(connect: Connect, url: str, **params: t.Any) -> dict[str, t.Any]:
    connection, _client = connect(url, retries=0)
    return task(registry_verify, connection, **{"report_only": True, **params})


def violations(
    connect: Connect, registry: Registry, *names: str | dict[str, t.Any], **params: t.Any
) -> list[str]:
    """The violations as ``tag-or-name demand: message``."""
    found = verify(connect, registry.url, images=list(names), **params)
    assert found["passed"] is not found["violations"] or not found["violations"]
    prefix = f"{registry.host}/"
    assert all(one["image"].startswith(prefix) and "\n" not in one["message"] for one in found["violations"])
    return [f"{one['image'][len(prefix) :]} {one['demand']}: {one['message']}" for one in found["violations"]]


def test_everything_is_met_with_one_head_for_each(connect: Connect, shop: Registry) -> None:
    shop.clear_requests()
    result = verify(connect, shop.url, images=["a/b:young", f"a/b@{ARM.digest}"], report_only=False)
    assert [method for method, _uri, _status in shop.requests()] == ["HEAD", "HEAD"]
    assert result == {
        "changed": False,
        "passed": True,
        "images": [
            {
                "image": f"{shop.host}/a/b:young",
                "digest": YOUNG.digest,
                "pinned": f"{shop.host}/a/b@{YOUNG.digest}",
                "passed": True,
            },
            {
                "image": f"{shop.host}/a/b@{ARM.digest}",
                "digest": ARM.digest,
                "pinned": f"{shop.host}/a/b@{ARM.digest}",
                "passed": True,
            },
        ],
        "violations": [],
    }


def test_all_violations_are_listed_at_once_each_on_a_line(connect: Connect, shop: Registry) -> None:
    with pytest.raises(Refused) as caught:
        verify(
            connect,
            shop.url,
            images=["a/b:young", "a/b:missing", "a/b", {"image": "a/b:multi", "forbidden_tags": ["mul*"]}],
            forbidden_tags=["latest"],
            platforms=["linux/arm64/v8"],
            report_only=False,
        )
    name = f"{shop.host}/a/b"
    assert str(caught.value).splitlines() == [
        "4 of 4 images must not be deployed:",
        f"{name}:young: it lacks linux/arm64: it is a single image for linux/amd64.",
        f"{name}:missing: it does not exist.",
        f"{name}: the tag latest must not be used.",
        f"{name}: it lacks linux/arm64: it is a single image for linux/amd64.",
        f"{name}:multi: the tag multi must not be used.",
    ]
    assert len(caught.value.result["violations"]) == 5
    assert caught.value.result["passed"] is False
    assert [one["passed"] for one in caught.value.result["images"]] == [False] * 4


def test_pinned(connect: Connect, shop: Registry) -> None:
    right, moved = f"a/b:young@{YOUNG.digest}", f"a/b:arm@{YOUNG.digest}"
    gone = f"a/b:never@{YOUNG.digest}"
    assert violations(connect, shop, right, f"a/b@{ARM.digest}", pinned=True) == []
    assert violations(connect, shop, "a/b:young", moved, gone, pinned=True) == [
        "a/b:young pinned: it is not pinned: write its digest behind it.",
        f"{moved} pinned: its tag is {ARM.digest} now.",
        f"{gone} pinned: its tag is gone now.",
    ]
    assert violations(connect, shop, moved, gone, pinned=True, allow_moved_tags=True) == []
    assert violations(connect, shop, moved) == []
    absent = f"a/b@{images.image({'x': 'y'}).digest}"
    assert violations(connect, shop, absent) == [
        f"{absent} exists: it does not exist any more as {absent[4:]}."
    ]


def test_platforms(connect: Connect, shop: Registry) -> None:
    assert (
        violations(connect, shop, "a/b:multi", "a/b:nested", platforms=["linux/arm64", "linux/amd64"]) == []
    )
    assert violations(connect, shop, "a/b:arm", platforms=["linux/arm64"]) == []
    assert violations(
        connect, shop, "a/b:multi", platforms=["linux/s390x", "linux/arm64", "windows/amd64"]
    ) == ["a/b:multi platforms: it lacks linux/s390x, windows/amd64: it has linux/amd64, linux/arm64."]
    cosign = images.referrers_tag(YOUNG) + ".sig"
    assert violations(connect, shop, f"a/b:{cosign}", platforms=["linux/amd64"]) == [
        f"a/b:{cosign} platforms: it lacks linux/amd64: it names no platform."
    ]


def test_platforms_of_an_index_take_one_request_more(connect: Connect, shop: Registry) -> None:
    shop.clear_requests()
    assert violations(connect, shop, "a/b:multi", platforms=["linux/arm64"]) == []
    assert [method for method, _uri, _status in shop.requests()] == ["HEAD", "GET"]


def test_an_index_takes_one_request_more_to_find_an_image_in_it(connect: Connect, shop: Registry) -> None:
    shop.clear_requests()
    assert violations(connect, shop, "a/b:multi") == []
    assert [method for method, _uri, _status in shop.requests()] == ["HEAD", "GET"]


def test_size_is_that_of_each_platform(connect: Connect, shop: Registry) -> None:
    large, small = size_of(ARM), size_of(YOUNG)
    assert large > small
    assert violations(connect, shop, "a/b:multi", max_size=str(large)) == []
    assert violations(connect, shop, "a/b:multi", max_size=f"{large - 1}B") == [
        f"a/b:multi max_size: its image for linux/arm64 has {large} bytes, more than {large - 1}B."
    ]
    assert violations(connect, shop, "a/b:multi", max_size=str(small), platforms=["linux/amd64"]) == []
    assert len(violations(connect, shop, "a/b:nested", max_size="1")) == 3
    assert violations(connect, shop, "a/b:young", max_size=str(small - 1)) == [
        f"a/b:young max_size: it has {small} bytes, more than {small - 1}."
    ]


def test_age(connect: Connect, shop: Registry) -> None:
    assert violations(connect, shop, "a/b:young", max_age="4d") == []
    assert violations(connect, shop, "a/b:multi", max_age="30d", platforms=["linux/amd64"]) == []
    (found,) = violations(connect, shop, "a/b:multi", max_age="30d")
    assert found.startswith("a/b:multi max_age: its image for linux/arm64 was made at 20")
    assert found.endswith("Z, more than 30d ago.")
    assert len(violations(connect, shop, "a/b:young", max_age="2d12h")) == 1
    unknown = "it does not tell when it was made, or cannot have been made then."
    assert violations(connect, shop, "a/b:epoch", "a/b:undated", max_age="100y") == [
        f"a/b:epoch max_age: {unknown}"
    ]
    assert violations(connect, shop, "a/b:epoch", max_age="1d", allow_unknown_age=True) == []


def test_labels(connect: Connect, shop: Registry) -> None:
    right: dict[str, t.Any] = {"team": "c?re", "empty": None}
    assert violations(connect, shop, "a/b:young", labels=right) == []
    assert violations(connect, shop, "a/b:young", labels={"team": "regex:(core|base)", "empty": ""}) == []
    assert violations(connect, shop, "a/b:young", labels={"team": "regex:cor", "owner": None}) == [
        "a/b:young labels: it has the label team 'core', not 'regex:cor'.",
        "a/b:young labels: it has no label owner.",
    ]
    assert violations(connect, shop, "a/b:multi", labels={"team": "core"}) == [
        "a/b:multi labels: its image for linux/arm64 has no label team."
    ]


@pytest.mark.registry_does("artifact_type")
def test_referrers(connect: Connect, shop: Registry) -> None:
    assert violations(connect, shop, "a/b:young", referrers=["cosign", "application/vnd.example.*"]) == []
    assert violations(
        connect, shop, "a/b:young", "a/b:arm", referrers=["cosign", "application/spdx+json"]
    ) == [
        "a/b:young referrers: it has no referrer of the type application/spdx+json: it has"
        " application/vnd.example.sbom.",
        "a/b:arm referrers: it has no signature of cosign.",
        "a/b:arm referrers: it has no referrer of the type application/spdx+json: it has none.",
    ]


@pytest.mark.parametrize("api", ["on", "unfiltered"])
def test_referrers_by_the_api(connect: Connect, api: str) -> None:
    with HostileRegistry(referrers=api) as server:
        server.add("a/b", YOUNG, "1")
        server.add("a/b", SBOM)
        assert verify(connect, server.url, images=["a/b:1"], referrers=["*.sbom"])["passed"] is True
        assert verify(connect, server.url, images=["a/b:1"], referrers=["*.sig"])["passed"] is False


def lock_of(**entries: str) -> list[dict[str, str]]:
    return [{"image": f"a/b:{tag}", "digest": digest, "promoted": "now"} for tag, digest in entries.items()]


def test_lock(connect: Connect, shop: Registry, tmp_path: pathlib.Path) -> None:
    right = lock_of(young=YOUNG.digest, arm=ARM.digest)
    assert violations(connect, shop, lock=right) == []
    assert len(verify(connect, shop.url, lock=right)["images"]) == 2
    moved = lock_of(young=YOUNG.digest, multi=ARM.digest)
    assert violations(connect, shop, lock=moved) == [
        f"a/b:multi lock: it is {MULTI.digest}, not {ARM.digest} as in the lock file."
    ]
    # The locked image is the one that counts then.
    result = verify(connect, shop.url, lock=moved, allow_moved_tags=True)
    assert [one["digest"] for one in result["images"]] == [YOUNG.digest, ARM.digest]
    assert violations(
        connect, shop, "a/b:epoch", f"a/b@{EPOCH.digest}", f"a/b@{ARM.digest}", "a/b:young", lock=right
    ) == [
        "a/b:epoch lock: it is not in the lock file.",
        f"a/b@{EPOCH.digest} lock: it is not in the lock file.",
    ]
    assert violations(connect, shop, f"a/b:young@{ARM.digest}", lock=right) == [
        f"a/b:young@{ARM.digest} lock: it is {ARM.digest}, not {YOUNG.digest} as in the lock file."
    ]


def test_lock_as_a_file_and_as_text(connect: Connect, shop: Registry, tmp_path: pathlib.Path) -> None:
    lock = lock_of(young=ARM.digest)
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    (tmp_path / "lock.yml").write_text(f"# Ours\n- image: a/b:young\n  digest: {ARM.digest}\n")
    wanted = violations(connect, shop, lock=lock)
    assert len(wanted) == 1
    assert violations(connect, shop, lock=str(tmp_path / "lock.json")) == wanted
    assert violations(connect, shop, lock=str(tmp_path / "lock.yml")) == wanted
    assert violations(connect, shop, lock=(tmp_path / "lock.yml").read_text()) == wanted
    assert violations(connect, shop, lock=json.dumps(lock)) == wanted


def test_json_lock_needs_no_yaml(
    connect: Connect, shop: Registry, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lock, "HAS_YAML", False)
    (tmp_path / "lock.json").write_text(json.dumps(lock_of(young=YOUNG.digest)))
    assert violations(connect, shop, lock=str(tmp_path / "lock.json")) == []
    with pytest.raises(InvalidInput, match="no PyYAML: install it"):
        violations(connect, shop, lock="- image: a/b:young\n")


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({}, "nothing to verify"),
        ({"lock": []}, "nothing to verify"),
        ({"images": [5]}, "must be a reference, or a dictionary"),
        ({"images": [1.10]}, "1.1 in images must be a reference, .* in quotes"),
        ({"images": [True]}, "in quotes"),
        ({"images": [{"image": 1.10}]}, "1.1 in images is not text"),
        ({"images": [{"image": "a/b", "forbidden_tags": [1.10]}]}, "1.1 in forbidden_tags is not text"),
        ({"images": ["a/b"], "forbidden_tags": [1.10]}, "1.1 in forbidden_tags is not text"),
        ({"images": ["a/b"], "forbidden_tags": [None]}, "None in forbidden_tags is not text"),
        ({"images": ["a/b"], "referrers": [5]}, "5 in referrers is not text"),
        ({"images": ["a/b"], "platforms": [{"linux": "amd64"}]}, "in platforms is not text"),
        ({"images": ["a/b"], "labels": {"version": 1.10}}, "1.1 in labels is not text"),
        ({"images": ["a/b"], "labels": {"approved": True}}, "True in labels is not text"),
        ({"images": ["a/b"], "labels": {5: "a"}}, "5 in labels is not text"),
        ({"images": ["a/b"], "forbidden_tags": ["{latest,3.0}"]}, "can match no tag"),
        ({"images": ["a/b"], "forbidden_tags": ["^v1"]}, "can match no tag"),
        ({"images": ["a/b"], "forbidden_tags": ["a|b"]}, "can match no tag"),
        ({"images": [{"platforms": []}]}, "image"),
        ({"images": [{"image": "a/b", "size": 5}]}, "Supported parameters include"),
        ({"images": [{"image": "a/b", "pinned": "perhaps"}]}, "not a valid boolean"),
        ({"images": ["a/B"]}, "names are lower case"),
        ({"images": ["a/b"], "max_size": "large"}, "is not a size"),
        ({"images": ["a/b"], "max_age": "old"}, "is not a duration"),
        ({"images": ["a/b"], "max_size": ""}, "'' is not a size"),
        ({"images": ["a/b"], "max_age": ""}, "'' is not a duration"),
        ({"images": [{"image": "a/b", "max_age": ""}]}, "'' is not a duration"),
        ({"images": ["a/b"], "max_age": "6m"}, "'6m' may be minutes or months: write 6min or 6mo"),
        ({"images": ["a/b"], "platforms": ["arm"]}, "is not a platform"),
        ({"images": ["a/b"], "labels": {"a": "regex:("}}, "in labels is not a regular expression"),
        ({"images": ["a/b"], "forbidden_tags": ["regex:("]}, "in forbidden_tags is not a regular expression"),
        ({"images": ["a/b"], "forbidden_tags": ["{latest,3.0}"]}, "in forbidden_tags can match no tag"),
        ({"images": [{"image": "a/b", "forbidden_tags": ["^v.*"]}]}, "can match no tag: .* Write regex:"),
        ({"images": ["a/b"], "referrers": ["regex:("]}, "in referrers is not a regular expression"),
        ({"lock": {"image": "a/b"}}, "is no lock file"),
        ({"lock": "one: two\nthree: four\n"}, "is no lock file"),
        ({"lock": "a: [\n"}, "neither YAML nor JSON"),
        ({"lock": [{"image": "a/b"}]}, "needs image and digest"),
        ({"lock": [{"image": "a/b", "digest": "abc"}]}, "not a valid digest in lock"),
        ({"lock": lock_of(one=YOUNG.digest) + lock_of(one=ARM.digest)}, "two digests"),
    ],
)
def test_bad_input_sends_nothing(connect: Connect, params: dict[str, t.Any], match: str) -> None:
    with HostileRegistry() as server:
        with pytest.raises(InvalidInput, match=match):
            verify(connect, server.url, **params)
        assert server.requests == []


def test_ad_hoc_values_are_text(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("a/b", YOUNG, "1.10")
        result = verify(connect, server.url, images="a/b:1.10", forbidden_tags="1.10,2", labels="team=core")
        assert [one["message"] for one in result["violations"]] == ["the tag 1.10 must not be used."]


def test_lock_file_that_is_missing(connect: Connect, tmp_path: pathlib.Path) -> None:
    with HostileRegistry() as server, pytest.raises(LocalStorageError, match="lock.yml cannot be used"):
        verify(connect, server.url, lock=str(tmp_path / "lock.yml"))


def test_one_image_that_cannot_be_read_hides_nothing(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_on="/v2/no/entry/", fail_status=403) as server:
        server.add("a/b", YOUNG, "1")
        result = verify(connect, server.url, images=["no/entry:1", "a/b:1"], forbidden_tags=["1"])
        assert [(one["image"].partition("/")[2], one["demand"]) for one in result["violations"]] == [
            ("no/entry:1", "forbidden_tags"),
            ("no/entry:1", "readable"),
            ("a/b:1", "forbidden_tags"),
        ]
        assert [one["digest"] for one in result["images"]] == [None, YOUNG.digest]


@pytest.mark.parametrize("status", [429, 503])
def test_registry_that_fails_is_no_report(connect: Connect, status: int) -> None:
    with HostileRegistry(fail_first=-1, fail_status=status) as server:
        with pytest.raises(RegistryError) as caught:
            verify(connect, server.url, images=["a/b:1"])
        assert caught.value.kind in ("rate_limited", "server")


def test_wrong_bytes_are_a_violation(connect: Connect) -> None:
    with HostileRegistry(wrong_bytes="manifest") as server:
        server.add("a/b", YOUNG, "1")
        (found,) = verify(connect, server.url, images=["a/b:1"], max_size="1GB")["violations"]
        assert found["demand"] == "readable"


@pytest.mark.parametrize("docker", [True, False])
@pytest.mark.parametrize("params", [{}, {"max_size": "1GB"}, {"pinned": False, "platforms": ["linux/amd64"]}])
def test_placeholder_of_a_removal_is_no_image(
    connect: Connect, docker: bool, params: dict[str, t.Any]
) -> None:
    made = make_placeholder({"1": YOUNG.digest, "2": ARM.digest}, docker)
    blobs = {descriptor.digest: content for descriptor, content in made.blobs.items()}
    with HostileRegistry() as server:
        server.add("a/b", images.Image(made.manifest.raw, made.manifest.media_type, blobs), "1")
        (violation,) = verify(connect, server.url, images=["a/b:1"], **params)["violations"]
    assert violation["demand"] == "exists"
    assert "placeholder of an interrupted removal of the tag 1 and 1 more" in violation["message"]


def test_schema1_does_not_tell_its_size(connect: Connect) -> None:
    with Registry(schema1=True) as server:
        images.push_schema1(server.url, "a/b", "ancient")
        assert violations(connect, server, "a/b:ancient", max_size="1GB") == [
            "a/b:ancient max_size: it does not tell its size."
        ]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123", 123),
        ("123B", 123),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        ("500M", 500_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2KiB", 2048),
        ("1TB", 10**12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1.5.2", "5XB", "5 M B", "1e3", "5iB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a size"):
        parse_size(text)

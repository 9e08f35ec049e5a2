# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hostile registry works when nothing is switched on, and a switch does what the table says."""

from __future__ import annotations

import json
import typing as t

import pytest
import requests

from tests.hostile import HostileRegistry
from tests.registries import images

IMAGE = images.image({"a": "1"})
OTHER = images.image({"a": "2"})
BLOB = next(iter(IMAGE.blobs))


@pytest.fixture
def http() -> t.Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_it_is_a_registry(http: requests.Session) -> None:
    with HostileRegistry() as server:
        for name, sample in images.samples().items():
            images.push(server.url, "a/b", sample, name)
            assert images.get_manifest(server.url, "a/b", name) == (sample.raw, sample.media_type)
        assert images.tags(server.url, "a/b") == sorted(images.samples())
        assert http.get(f"{server.url}/v2/_catalog").json() == {"repositories": ["a/b"]}
        assert server.count("^PUT /v2/a/b/manifests/oci$") == 1


def test_unknown_behaviour_is_refused() -> None:
    with pytest.raises(TypeError, match="no_such"):
        HostileRegistry(no_such=True)


@pytest.mark.parametrize(
    ("mode", "status", "left"),
    [("202", 202, ["y"]), ("400", 400, ["x", "y"]), ("405", 405, ["x", "y"]), ("ignored", 202, ["x", "y"])],
)
def test_tag_delete(http: requests.Session, mode: str, status: int, left: list[str]) -> None:
    with HostileRegistry(tag_delete=mode) as server:
        server.add("a/b", IMAGE, "x")
        server.add("a/b", IMAGE, "y")
        assert http.delete(f"{server.url}/v2/a/b/manifests/x").status_code == status
        assert images.tags(server.url, "a/b") == left


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [("202", [202, 404]), ("403tagged", [403, 403]), ("500once", [500, 202]), ("500", [500, 500])],
)
def test_digest_delete(http: requests.Session, mode: str, statuses: list[int]) -> None:
    with HostileRegistry(digest_delete=mode) as server:
        url = f"{server.url}/v2/a/b/manifests/{server.add('a/b', IMAGE, 'x')}"
        assert [http.delete(url).status_code for _twice in range(2)] == statuses


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("relative", '</v2/a/b/tags/list?n=2&last=v1>; rel="next"'),
        ("absolute", '<{url}/v2/a/b/tags/list?n=2&last=v1>; rel="next"'),
        ("foreign", '<{other}/v2/a/b/tags/list?n=2&last=v1>; rel="next"'),
        ("token", '</v2/a/b/tags/list?next_page=djE%3D>; rel="next"'),
        ("loop", '</v2/a/b/tags/list?n=2&last=>; rel="next"'),
        ("wrong-prefix", '</repository/x/v2/a/b/tags/list?n=2&last=v1>; rel="next"'),
        ("none", None),
    ],
)
def test_links(http: requests.Session, link: str, expected: str | None) -> None:
    with HostileRegistry(link=link, page_size=2) as server:
        for number in range(3):
            server.add("a/b", IMAGE, f"v{number}")
        answer = http.get(f"{server.url}/v2/a/b/tags/list")
        assert answer.json()["tags"] == ["v0", "v1"]
        assert answer.headers.get("Link") == (
            expected and expected.format(url=server.url, other=server.other_url)
        )
        if link == "token":
            assert http.get(server.url + answer.links["next"]["url"]).json()["tags"] == ["v2"]


def test_redirect_to_a_storage_that_rejects_credentials(http: requests.Session) -> None:
    with HostileRegistry(blob_redirect="other") as server:
        server.add("a/b", IMAGE, "x")
        hop = http.get(f"{server.url}/v2/a/b/blobs/{BLOB}", allow_redirects=False)
        assert hop.status_code == 307
        target = hop.headers["Location"]
        assert http.get(target).content == IMAGE.blobs[BLOB]
        assert http.get(target, headers={"Authorization": "Bearer x"}).status_code == 400
        assert [r.origin for r in server.requests] == ["registry", "other", "other"]


def test_failures_come_and_go(http: requests.Session) -> None:
    with HostileRegistry(fail_first=2, fail_status=429, retry_after="3", fail_on="^HEAD") as server:
        server.add("a/b", IMAGE, "x")
        url = f"{server.url}/v2/a/b/manifests/x"
        assert http.get(url).status_code == 200
        first = http.head(url)
        assert (first.status_code, first.headers["Retry-After"]) == (429, "3")
        assert [http.head(url).status_code for _twice in range(2)] == [429, 200]


@pytest.mark.parametrize(("when", "stored"), [("before", None), ("after", OTHER.digest)])
def test_dropped_connections(http: requests.Session, when: str, stored: str | None) -> None:
    with HostileRegistry(drop_first=1, drop_on="^PUT .*/manifests/", drop_when=when) as server:
        with pytest.raises(requests.ConnectionError):
            images.push(server.url, "a/b", OTHER, "x")
        assert images.head(server.url, "a/b", "x") == stored


def test_bodies_that_lie(http: requests.Session) -> None:
    with HostileRegistry(cut_first=1, cut_after=3) as server:
        server.add("a/b", IMAGE, "x")
        url = f"{server.url}/v2/a/b/blobs/{BLOB}"
        with pytest.raises(requests.exceptions.RequestException):
            assert http.get(url).content != IMAGE.blobs[BLOB]
            raise AssertionError("a cut body was taken")
        assert http.get(url, headers={"Range": "bytes=3-"}).content == IMAGE.blobs[BLOB][3:]
    with HostileRegistry(wrong_bytes="both", content_encoding="gzip", range_error="wrong-length") as server:
        server.add("a/b", IMAGE, "x")
        for kind, name, right in (("blobs", BLOB, IMAGE.blobs[BLOB]), ("manifests", IMAGE.digest, IMAGE.raw)):
            answer = http.get(f"{server.url}/v2/a/b/{kind}/{name}")
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Docker-Content-Digest"] == name
            assert len(answer.content) == len(right) and answer.content != right
        refused = http.get(
            f"{server.url}/v2/a/b/blobs/{BLOB}", headers={"Range": "bytes=9999999-"}, stream=True
        )
        assert refused.status_code == 416
        assert int(refused.headers["Content-Length"]) > 0


def test_uploads(http: requests.Session) -> None:
    data = b"0123456789"
    with HostileRegistry(
        upload_location="foreign", monolithic="405", chunk_min=4, range_stuck=True
    ) as server:
        begun = http.post(f"{server.url}/v2/a/b/blobs/uploads/")
        assert begun.headers["OCI-Chunk-Min-Length"] == "4"
        location = begun.headers["Location"]
        assert location.startswith(server.other_url)
        wanted = images.digest(data)
        assert http.put(f"{location}&digest={wanted}", data=data).status_code == 405
        first = http.patch(location, data=data[:5], headers={"Content-Range": "0-4"})
        second = http.patch(first.headers["Location"], data=data[5:8], headers={"Content-Range": "5-7"})
        assert [a.headers["Range"] for a in (first, second)] == ["0-4", "0-4"]
        location = second.headers["Location"]
        assert http.patch(location, data=data[8:9], headers={"Content-Range": "8-8"}).status_code == 416
        assert http.put(f"{location}&digest={wanted}", data=data[8:]).status_code == 201
        assert images.get_blob(server.url, "a/b", wanted) == data


def test_tokens(http: requests.Session) -> None:
    with HostileRegistry(auth="both", token_key="access_token", token_expires=None, token_uses=1) as server:
        server.add("a/b", IMAGE, "x")
        url = f"{server.url}/v2/a/b/manifests/x"
        challenge = http.get(url).headers["WWW-Authenticate"]
        realm = f"{server.other_url}/token"
        scope = "repository:a/b:pull"
        assert challenge == f'Bearer realm="{realm}",service="hostile",scope="{scope}", Basic realm="hostile"'
        assert http.get(realm, params={"scope": scope}).status_code == 401
        token = http.get(realm, params={"scope": scope}, auth=("alice", "secret")).json()
        assert list(token) == ["access_token"]
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        weak = http.delete(url, headers=bearer).headers["WWW-Authenticate"]
        assert 'error="insufficient_scope"' in weak
        assert [http.get(url, headers=bearer).status_code for _twice in range(2)] == [200, 401]
        assert http.get(url, auth=("alice", "secret")).status_code == 200
        assert server.count("/token") == 2


def test_referrers(http: requests.Session) -> None:
    proof = images.artifact("application/vnd.example.sbom", subject=IMAGE)
    with HostileRegistry(referrers="on") as server:
        server.add("a/b", IMAGE, "x")
        images.push(server.url, "a/b", proof)
        url = f"{server.url}/v2/a/b/referrers/{IMAGE.digest}"
        assert [entry["digest"] for entry in http.get(url).json()["manifests"]] == [proof.digest]
        none = http.get(url, params={"artifactType": "other"})
        assert json.loads(none.content)["manifests"] == []
        assert none.headers["OCI-Filters-Applied"] == "artifactType"


def test_content_can_change_before_a_request(http: requests.Session) -> None:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "x")
        server.before = lambda request: server.add("a/b", OTHER, "x")
        assert images.head(server.url, "a/b", "x") == OTHER.digest

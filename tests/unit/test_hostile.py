# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hostile registry works when nothing is switched on, and a switch does what the table says."""

from __future__ import annotations

import json
import typing as t

import pytest
import requests

from tests.hostile import PROFILES, HostileRegistry
from tests.hostile.profiles import OPERATIONS
from tests.registries import images

IMAGE = images.image({"a": "1"})
OTHER = images.image({"a": "2"})
THIRD = images.image({"a": "3"})
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
    [
        ("202", 202, ["y"]),
        ("400", 400, ["x", "y"]),
        ("405", 405, ["x", "y"]),
        ("ignored", 202, ["x", "y"]),
        ("digest", 202, []),
    ],
)
def test_tag_delete(http: requests.Session, mode: str, status: int, left: list[str]) -> None:
    with HostileRegistry(tag_delete=mode) as server:
        server.add("a/b", IMAGE, "x")
        server.add("a/b", IMAGE, "y")
        assert http.delete(f"{server.url}/v2/a/b/manifests/x").status_code == status
        assert images.tags(server.url, "a/b") == left


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [
        ("202", [202, 404]),
        ("403tagged", [403, 403]),
        ("400tagged", [400, 400]),
        ("404text", [404, 404]),
        ("untag", [202, 404]),
        ("dangling", [202, 404]),
        ("keep-tags", [202, 404]),
        ("500once", [500, 202]),
        ("500", [500, 500]),
    ],
)
def test_digest_delete(http: requests.Session, mode: str, statuses: list[int]) -> None:
    with HostileRegistry(digest_delete=mode) as server:
        url = f"{server.url}/v2/a/b/manifests/{server.add('a/b', IMAGE, 'x')}"
        assert [http.delete(url).status_code for _twice in range(2)] == statuses


@pytest.mark.parametrize(("mode", "status"), [("202", None), ("dangling", 404), ("keep-tags", 200)])
def test_what_a_digest_leaves_of_its_tags(http: requests.Session, mode: str, status: int | None) -> None:
    with HostileRegistry(digest_delete=mode) as server:
        url = f"{server.url}/v2/a/b/manifests"
        http.delete(f"{url}/{server.add('a/b', IMAGE, 'x')}")
        assert images.tags(server.url, "a/b") == (["x"] if status else [])
        assert http.get(f"{url}/x").status_code == (status or 404)
        assert http.head(f"{url}/{IMAGE.digest}").status_code == 404
        images.push(server.url, "a/b", IMAGE)
        assert http.head(f"{url}/{IMAGE.digest}").status_code == 200


def test_an_image_that_is_dropped_with_its_last_tag(http: requests.Session) -> None:
    with HostileRegistry(last_tag="drop") as server:
        manifests = server.repository("a/b").manifests
        for tag in ("x", "y"):
            images.push(server.url, "a/b", IMAGE, tag)
        http.delete(f"{server.url}/v2/a/b/manifests/x")
        assert IMAGE.digest in manifests
        images.push(server.url, "a/b", OTHER, "y")
        assert set(manifests) == {OTHER.digest}
        images.push(server.url, "a/b", IMAGE)
        http.delete(f"{server.url}/v2/a/b/manifests/y")
        assert set(manifests) == {IMAGE.digest}


def test_what_is_listed_as_a_referrer_and_is_none(http: requests.Session) -> None:
    with HostileRegistry(referrers="on") as server:
        server.repository("a/b").listed[server.add("a/b", IMAGE)] = [server.add("a/b", OTHER)]
        found = http.get(f"{server.url}/v2/a/b/referrers/{IMAGE.digest}").json()["manifests"]
        assert [entry["digest"] for entry in found] == [OTHER.digest]


def test_reads_that_lag(http: requests.Session) -> None:
    with HostileRegistry(read_lag=2) as server:
        images.push(server.url, "a/b", IMAGE, "x")
        url = f"{server.url}/v2/a/b/manifests/x"
        assert [http.head(url).status_code for _look in range(3)] == [404, 404, 200]
        images.push(server.url, "a/b", OTHER, "x")
        digests = [http.head(url).headers["Docker-Content-Digest"] for _look in range(3)]
        assert digests == [IMAGE.digest, IMAGE.digest, OTHER.digest]
        http.delete(url)
        assert [http.head(url).status_code for _look in range(3)] == [200, 200, 404]
        assert server.state("a/b") == {}


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


@pytest.mark.parametrize(
    ("mode", "status", "left", "served"),
    [
        ("202", 202, ["multi"], True),
        ("403used", 403, ["multi", "x"], True),
        ("cascade", 412, ["multi", "x"], True),
        ("untag", 202, ["multi"], True),
        ("dangling", 202, ["multi", "x"], False),
    ],
)
def test_deletion_of_a_part_of_an_index(
    http: requests.Session, mode: str, status: int, left: list[str], served: bool
) -> None:
    with HostileRegistry(digest_delete=mode) as server:
        server.add("a/b", images.index([IMAGE, OTHER]), "multi")
        url = f"{server.url}/v2/a/b/manifests/{server.add('a/b', IMAGE, 'x')}"
        assert http.delete(url).status_code == status
        assert images.tags(server.url, "a/b") == left
        assert sorted(server.state("a/b")) == (left if served else ["multi"])
        # Only what forgets nothing serves it still, as a part of the index.
        assert http.get(url).status_code == (200 if mode in ("403used", "cascade", "untag") else 404)


def test_what_goes_with_an_index(http: requests.Session) -> None:
    for mode, gone in (("202", set()), ("cascade", {IMAGE.digest}), ("untag", {IMAGE.digest})):
        with HostileRegistry(digest_delete=mode) as server:
            server.add("a/b", images.index([OTHER, THIRD]), "newer")
            server.add("a/b", THIRD, "x")
            index = server.add("a/b", images.index([IMAGE, OTHER, THIRD]), "multi")
            assert http.delete(f"{server.url}/v2/a/b/manifests/{index}").status_code == 202
            assert sorted(server.state("a/b")) == ["newer", "x"]
            found = {one.digest for one in (IMAGE, OTHER, THIRD) if not server.find("a/b", one.digest)}
            assert found == gone, mode


def test_a_deletion_that_takes_its_time(http: requests.Session) -> None:
    with HostileRegistry(delete_after=2) as server:
        url = f"{server.url}/v2/a/b/manifests/{server.add('a/b', IMAGE, 'x')}"
        assert http.delete(url).status_code == 202
        assert [http.get(url).status_code for _thrice in range(3)] == [200, 404, 404]


def test_names_of_errors(http: requests.Session) -> None:
    def code(answer: requests.Response) -> str:
        return str(answer.json()["errors"][0]["code"])

    with HostileRegistry(absent_code="NOT_FOUND", deleted_code="TAG_EXPIRED", create="404") as server:
        server.add("a/b", IMAGE, "x")
        url = f"{server.url}/v2/a/b/manifests"
        assert http.delete(f"{url}/x").status_code == 202
        assert [code(http.get(f"{url}/{name}")) for name in ("x", "y")] == ["TAG_EXPIRED", "NOT_FOUND"]
        assert code(http.post(f"{server.url}/v2/c/d/blobs/uploads/")) == "NAME_UNKNOWN"
    with HostileRegistry(fail_first=1, fail_status=429, fail_body="text") as server:
        assert http.get(f"{server.url}/v2/").text == "Not now.\n"
    with HostileRegistry(hidden="a/b", auth="basic") as server:
        server.add("a/b", IMAGE, "x")
        assert http.get(f"{server.url}/v2/a/b/tags/list", auth=("alice", "secret")).status_code == 401


def test_lists_in_other_orders_and_shapes(http: requests.Session) -> None:
    with HostileRegistry(tags_order="age", link="short-name", tags_extra=True, tags_accept="json") as server:
        for name in ("b", "a", "c"):
            images.push(server.url, "a/b", IMAGE, name)
        url = f"{server.url}/v2/a/b/tags/list?n=2"
        assert http.get(url).status_code == 406
        answer = http.get(url, headers={"Accept": "application/json"})
        assert (answer.json()["tags"], list(answer.json()["manifest"])) == (["b", "a"], [IMAGE.digest])
        assert answer.headers["Link"] == '</v2/b/tags/list?n=2&last=a>; rel="next"'
        rest = http.get(url, params={"last": "a"}, headers={"Accept": "application/json"})
        assert (rest.json()["tags"], "Link" in rest.headers) == (["c"], False)
    with HostileRegistry(link="full-page", page_size=3) as server:
        for name in ("b", "a", "c"):
            server.add("a/b", IMAGE, name)
        answer = http.get(f"{server.url}/v2/a/b/tags/list")
        assert answer.headers["Link"] == f'<{server.url}/v2/a/b/tags/list?n=3&last=c>; rel="next"'


def test_uploads_that_are_refused(http: requests.Session) -> None:
    with HostileRegistry(chunked="405", mount="404missing") as server:
        server.add("a/b", IMAGE, "x")
        uploads = f"{server.url}/v2/c/d/blobs/uploads/"
        location = server.url + http.post(uploads).headers["Location"]
        assert http.patch(location, data=b"0").status_code == 405
        statuses = [
            http.post(uploads, params={"mount": digest, "from": source}).status_code
            for digest, source in ((BLOB, "a/b"), (images.digest(b""), "a/b"), (BLOB, "no/such"))
        ]
        assert statuses == [201, 404, 404]


def test_challenges(http: requests.Session) -> None:
    def challenges(path: str = "a/b/tags/list", **behaviours: t.Any) -> list[str]:
        with HostileRegistry(realm="same", token_path="/v2/token", **behaviours) as server:
            answer = http.get(f"{server.url}/v2/{path}")
            assert answer.status_code == 401
            return answer.raw.headers.getlist("WWW-Authenticate")

    bearer, basic = challenges(auth="two-headers", challenge_scope="none")
    assert bearer.endswith('/v2/token",service="hostile"') and basic == "Basic"
    assert challenges(auth="bearer", challenge_scope="*")[0].endswith(',scope="*"')
    assert challenges(auth="bearer", challenge_at="base") == []
    assert len(challenges("", auth="bearer", challenge_at="base")) == 1


def test_the_catalog_needs_a_right(http: requests.Session) -> None:
    for rights, status in ((True, 200), (False, 401)):
        with HostileRegistry(auth="bearer", token_catalog=rights) as server:
            scope = {"scope": "registry:catalog:*"}
            token = http.get(f"{server.other_url}/token", params=scope, auth=("alice", "secret")).json()[
                "token"
            ]
            headers = {"Authorization": f"Bearer {token}"}
            assert http.get(f"{server.url}/v2/_catalog", headers=headers).status_code == status


def test_a_head_with_other_checksums(http: requests.Session) -> None:
    with HostileRegistry(digest_header="other-head") as server:
        url = f"{server.url}/v2/a/b/manifests/{server.add('a/b', IMAGE, 'x')}"
        head, got = http.head(url).headers, http.get(url).headers
        assert "sha256:" + head["X-Checksum-Sha256"] == got["Docker-Content-Digest"] == IMAGE.digest
        assert len(head["ETag"]) == 40 and "Docker-Content-Digest" not in head


@pytest.mark.parametrize("name", PROFILES)
def test_profiles(name: str) -> None:
    profile = PROFILES[name]
    switches: dict[str, t.Any] = {}
    for quirk in profile.quirks:
        assert set(quirk.about.split()) <= set(OPERATIONS)
        assert all(switches.setdefault(switch, value) == value for switch, value in quirk.switches.items())
    behaviour = HostileRegistry.vendor(name, delay=1.0).behaviour
    assert {switch: getattr(behaviour, switch) for switch in switches} == profile.switches == switches
    assert behaviour.delay == 1.0

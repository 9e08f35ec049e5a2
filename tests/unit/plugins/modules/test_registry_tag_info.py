# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    RegistryError,
    Unauthorized,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.modules import registry_tag_info
from tests.hostile import HostileRegistry, Request
from tests.hostile.server import Handler
from tests.registries import Registry, images
from tests.unit.task import task

IMAGE = images.image({"a": "1"})
OTHER = images.image({"a": "2"})
LIST = "/v2/a/b/tags/list"
FIVE = ["v1", "v2", "v3", "v4", "v5"]
Read = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def read(connect: t.Callable[..., t.Any]) -> Read:
    """``read(url, **parameters)``: what the module returns for the repository ``a/b``."""

    def run(url: str, **parameters: t.Any) -> dict[str, t.Any]:
        clients, _client = connect(url)
        return task(registry_tag_info, clients, **{"image": "a/b", **parameters})

    return run


def filled(server: HostileRegistry, tags: t.Iterable[str] = tuple(FIVE)) -> HostileRegistry:
    digest = server.add("a/b", IMAGE)
    server.repository("a/b").tags.update(dict.fromkeys(tags, digest))
    return server


def queries(server: HostileRegistry) -> list[dict[str, str]]:
    """The query of each request so far, all of which have to be for the list of tags of this registry."""
    assert {(one.origin, one.method, one.path) for one in server.requests} == {("registry", "GET", LIST)}
    return [{name: values[0] for name, values in one.query.items()} for one in server.requests]


def token(name: str) -> dict[str, str]:
    return {"next_page": base64.b64encode(name.encode()).decode()}


AFTER_2 = {"n": "2", "last": "v2"}
AFTER_4 = {"n": "2", "last": "v4"}


@pytest.mark.parametrize(
    ("link", "more"),
    [
        ("relative", [AFTER_2, AFTER_4]),
        ("absolute", [AFTER_2, AFTER_4]),
        ("token", [token("v2"), token("v4")]),
        ("foreign", [AFTER_2, AFTER_4]),
        ("wrong-prefix", [AFTER_2, AFTER_4]),
        ("last-page", [AFTER_2, AFTER_4, {"n": "2", "last": "v5"}]),
    ],
)
def test_all_pages_are_read_whatever_the_link_looks_like(
    read: Read, link: str, more: list[dict[str, str]]
) -> None:
    with HostileRegistry(link=link, page_size=2) as server:
        result = read(filled(server).url)
        assert result == {
            "changed": False,
            "exists": True,
            "repository": f"{server.host}/a/b",
            "tags": FIVE,
            "total": 5,
            "last": None,
        }
        assert queries(server) == [{"n": "1000"}, *more]


def test_a_link_that_leads_in_a_circle_ends(read: Read) -> None:
    with HostileRegistry(link="loop", page_size=2) as server:
        assert read(filled(server).url)["tags"] == ["v1", "v2"]
        assert queries(server) == [{"n": "1000"}, {"n": "2", "last": ""}]


def test_a_page_that_comes_again_under_another_address_is_the_end(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(self: Handler, everything: list[str]) -> tuple[list[str], dict[str, str]]:
        return everything, {"Link": f'<{self.route}?number={len(self.registry.requests)}>; rel="next"'}

    monkeypatch.setattr(Handler, "page", page)
    with HostileRegistry() as server:
        assert read(filled(server).url)["tags"] == FIVE
        assert queries(server) == [{"n": "1000"}, {"number": "1"}]


@pytest.mark.parametrize("count", [999, 1000, 1001, 2000])
def test_a_full_page_without_a_link_may_not_be_the_last(read: Read, count: int) -> None:
    tags = [f"v{number:04}" for number in range(count)]
    with HostileRegistry(link="none") as server:
        assert read(filled(server, tags).url)["tags"] == tags
        follow = [{"n": "1000", "last": tags[end]} for end in (999, 1999) if end < count]
        assert queries(server) == [{"n": "1000"}, *follow]


def test_a_refused_page_size_is_left_out(read: Read) -> None:
    with HostileRegistry(max_n=100) as server:
        assert read(filled(server).url)["tags"] == FIVE
        assert queries(server) == [{"n": "1000"}, {}]


def test_the_users_own_page_size_is_not_left_out(read: Read) -> None:
    with HostileRegistry(max_n=100) as server, pytest.raises(Unsupported, match="less than or equal to 100"):
        read(filled(server).url, limit=101)


@pytest.mark.parametrize(
    ("mode", "tags"),
    [("null", []), ("absent", []), ("with-null", FIVE), ("duplicates", FIVE), ("digests", FIVE)],
)
def test_oddities_of_the_list(read: Read, mode: str, tags: list[str]) -> None:
    with HostileRegistry(tags=mode) as server:
        result = read(filled(server).url)
        assert (result["exists"], result["tags"], result["total"]) == (True, tags, len(tags))
        assert queries(server) == [{"n": "1000"}]


def test_tags_come_sorted(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "served_tags", lambda _self, page: {"tags": page[::-1]})
    with HostileRegistry(page_size=2) as server:
        assert read(filled(server, ["v1", "V2", "1.0", "v10"]).url)["tags"] == ["1.0", "V2", "v1", "v10"]


def test_an_unknown_repository_is_no_failure(read: Read) -> None:
    with HostileRegistry() as server:
        result = read(server.url, digests=True)
        assert result == {
            "changed": False,
            "exists": False,
            "repository": f"{server.host}/a/b",
            "tags": [],
            "total": 0,
            "last": None,
            "digests": {},
            "details": [],
        }
        assert queries(server) == [{"n": "1000"}]


def test_no_access_is_a_failure(read: Read) -> None:
    with HostileRegistry(auth="basic") as server, pytest.raises(Unauthorized):
        read(filled(server).url)


@pytest.mark.parametrize("link", ["relative", "foreign", "token"])
def test_pages_one_by_one(read: Read, link: str) -> None:
    with HostileRegistry(link=link) as server:
        filled(server)
        pages: list[list[str]] = []
        last: str | None = None
        for _page in range(3):
            result = read(server.url, limit=2, last=last)
            pages, last = [*pages, result["tags"]], result["last"]
        assert (pages, last) == ([["v1", "v2"], ["v3", "v4"], ["v5"]], None)
        assert queries(server) == [{"n": "2"}, AFTER_2, AFTER_4]


def test_a_full_page_without_a_link_has_a_next_one(read: Read) -> None:
    with HostileRegistry(link="none") as server:
        filled(server)
        assert read(server.url, limit=5)["last"] == "v5"
        result = read(server.url, limit=5, last="v5")
        assert (result["exists"], result["tags"], result["last"]) == (True, [], None)


def test_a_page_is_that_of_a_registry_that_lists_by_age(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def page(self: Handler, everything: list[str]) -> tuple[list[str], dict[str, str]]:
        by_age = ["v1", "z", "a", "b"]
        last, size = self.query.get("last", [""])[0], int(self.query["n"][0])
        begin = by_age.index(last) + 1 if last else 0
        served = by_age[begin : begin + size]
        more = begin + size < len(by_age)
        return served, {"Link": f'<{self.route}?n={size}&last={served[-1]}>; rel="next"'} if more else {}

    monkeypatch.setattr(Handler, "page", page)
    with HostileRegistry() as server:
        filled(server)
        first = read(server.url, limit=2)
        second = read(server.url, limit=1, last=first["last"])
        third = read(server.url, limit=2, last=second["last"])
        assert [first["tags"], second["tags"], third["tags"]] == [["v1", "z"], ["a"], ["b"]]
        assert third["last"] is None
        assert read(server.url, last="v1")["tags"] == ["a", "b", "z"]


def test_digests_cost_one_head_each(read: Read) -> None:
    index = images.index([IMAGE])
    with HostileRegistry() as server:
        filled(server, ["v1", "v2"]).add("a/b", index, "multi")
        result = read(server.url, digests=True)
        assert result["digests"] == {"multi": index.digest, "v1": IMAGE.digest, "v2": IMAGE.digest}
        assert result["details"][0] == {
            "tag": "multi",
            "digest": index.digest,
            "media_type": index.media_type,
            "size": len(index.raw),
        }
        assert [entry["tag"] for entry in result["details"]] == result["tags"] == ["multi", "v1", "v2"]
        heads = sorted(f"{one.method} {one.path}" for one in server.requests[1:])
        assert heads == [f"HEAD /v2/a/b/manifests/{tag}" for tag in result["tags"]]


def test_digests_without_head(read: Read) -> None:
    with HostileRegistry(head="405") as server:
        assert read(filled(server).url, digests=True)["digests"] == dict.fromkeys(FIVE, IMAGE.digest)


def test_a_tag_that_vanishes_is_left_out(read: Read) -> None:
    def remove(request: Request) -> None:
        if request.method == "HEAD":
            server.repository("a/b").tags.pop("v2", None)

    with HostileRegistry(before=remove) as server:
        result = read(filled(server, ["v1", "v2", "v3"]).url, digests=True)
        assert result["tags"] == list(result["digests"]) == ["v1", "v3"]
        assert [entry["tag"] for entry in result["details"]] == ["v1", "v3"]


@pytest.mark.parametrize("tags", ["null", "list"])
def test_tags_of_the_same_image(read: Read, tags: str) -> None:
    with HostileRegistry(tags=tags) as server:
        filled(server, ["v1", "v2", "latest"]).add("a/b", OTHER, "other")
        result = read(server.url, same_as=IMAGE.digest)
        expected = ["latest", "v1", "v2"] if tags == "list" else []
        assert result["tags"] == list(result["digests"]) == expected
        assert server.count("^HEAD ") == (4 if tags == "list" else 0)


@pytest.mark.parametrize(
    ("parameters", "expected", "heads"),
    [
        ({"same_as": "latest"}, ["latest", "v1", "v2"], 4),
        ({"same_as": "other"}, ["other"], 4),
        ({"same_as": "latest", "include": ["v*"]}, ["v1", "v2"], 3),
        ({"same_as": "latest", "exclude": ["*"]}, [], 1),
        ({"same_as": "absent"}, [], 5),
        ({"same_as": "sha256:" + "0" * 64}, [], 4),
    ],
)
def test_tags_of_the_same_image_as_a_tag(
    read: Read, parameters: dict[str, t.Any], expected: list[str], heads: int
) -> None:
    with HostileRegistry() as server:
        filled(server, ["v1", "v2", "latest"]).add("a/b", OTHER, "other")
        result = read(server.url, **parameters)
        assert (result["tags"], result["total"]) == (expected, 4)
        assert (server.count("^GET .*/tags/list"), server.count("^HEAD ")) == (1, heads)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["1.4.*"], [], ["1.4.1", "1.4.2", "1.4.2-rc1"]),
        (["1.4.*"], ["*-rc*"], ["1.4.1", "1.4.2"]),
        ([], ["1*"], ["Latest", "latest"]),
        (["latest"], [], ["latest"]),
        (["1.4.[12]", "l*"], [], ["1.4.1", "1.4.2", "latest"]),
        ([r"regex:\d+\.\d+\.\d+"], [], ["1.4.1", "1.4.2"]),
        (["regex:1|.*test"], [], ["Latest", "latest"]),
        (["*"], ["*"], []),
    ],
)
def test_patterns(read: Read, include: list[str], exclude: list[str], expected: list[str]) -> None:
    with HostileRegistry() as server:
        filled(server, ["1.4.1", "1.4.2", "1.4.2-rc1", "latest", "Latest"])
        result = read(server.url, include=include, exclude=exclude, digests=True)
        assert (result["tags"], result["total"]) == (expected, 5)
        assert server.count("^HEAD ") == len(expected)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"image": "a/b:v1"}, "'a/b:v1' must be a repository: leave out the tag and the digest."),
        ({"image": f"a/b@{IMAGE.digest}"}, "leave out the tag and the digest"),
        ({"image": "a/B"}, "names are lower case"),
        ({"limit": 0}, "limit must be at least 1."),
        ({"limit": -1}, "limit must be at least 1."),
        ({"same_as": "v1", "limit": 5}, "same_as needs all tags: leave out limit and last."),
        ({"same_as": "v1", "last": "v0"}, "same_as needs all tags: leave out limit and last."),
        ({"same_as": "not a tag"}, "'not a tag' is not a valid tag"),
        ({"same_as": "sha256:123"}, "'sha256:123' is not a valid tag"),
        ({"include": ["regex:("]}, r"'regex:\(' in include is not a regular expression"),
        ({"exclude": ["regex:*"]}, r"'regex:\*' in exclude is not a regular expression"),
        ({"include": ["^v.*"]}, r"'\^v\.\*' in include can match no tag: .* Write regex:\^v\.\*"),
        ({"exclude": ["1.0,2.0"]}, "'1.0,2.0' in exclude can match no tag: .* one entry for each tag"),
    ],
)
def test_bad_input_sends_nothing(read: Read, parameters: dict[str, t.Any], sentence: str) -> None:
    with HostileRegistry() as server:
        with pytest.raises(InvalidInput, match=sentence):
            read(server.url, **parameters)
        assert not server.requests


def test_on_a_real_registry(registry: Registry, read: Read) -> None:
    expected = images.seed_demo(registry.url, "tag-info/app")
    registry.clear_requests()
    result = read(registry.url, image="tag-info/app", digests=True)
    assert (result["exists"], result["total"]) == (True, 5)
    assert result["tags"] == sorted(expected)
    assert result["digests"] == expected
    sizes = {tag: len(images.get_manifest(registry.url, "tag-info/app", tag)[0]) for tag in expected}
    assert {entry["tag"]: entry["size"] for entry in result["details"]} == sizes


def test_requests_to_a_real_registry(registry: Registry, read: Read) -> None:
    images.seed_demo(registry.url, "tag-info/requests")
    registry.clear_requests()
    read(registry.url, image="tag-info/requests")
    assert registry.requests() == [("GET", "/v2/tag-info/requests/tags/list?n=1000", 200)]
    registry.clear_requests()
    read(registry.url, image="tag-info/requests", digests=True)
    assert sorted(method for method, _path, _status in registry.requests()) == ["GET"] + ["HEAD"] * 5


def test_pages_of_a_real_registry_that_knows_no_pages(registry: Registry, read: Read) -> None:
    for tag in ("c", "a", "d", "b"):
        images.push(registry.url, "tag-info/pages", IMAGE, tag)
    pages, last = [], None
    for _page in range(3):
        result = read(registry.url, image="tag-info/pages", limit=2, last=last)
        pages.append(result["tags"])
        last = result["last"]
        if last is None:
            break
    # A registry that divides into pages may not know that the last one is full.
    assert [page for page in pages if page] == [["a", "b"], ["c", "d"]]
    assert read(registry.url, image="tag-info/pages", last="b")["tags"] == ["c", "d"]
    assert read(registry.url, image="tag-info/pages", last="d")["tags"] == []


def test_an_unknown_repository_of_a_real_registry(registry: Registry, read: Read) -> None:
    result = read(registry.url, image="tag-info/none")
    assert (result["exists"], result["tags"]) == (False, [])


def test_a_server_that_is_no_registry_is_a_failure(read: Read) -> None:
    with HostileRegistry() as server:
        with pytest.raises(RegistryError, match="this address is not that of a registry's API"):
            read(f"{server.url}/elsewhere")

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_prune deletes what the policy names and nothing that anything else needs, whatever happens on the way."""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time
import typing as t

import pytest
import requests
import yaml

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Denied,
    InvalidInput,
    LocalStorageError,
    Refused,
    RegistryError,
    ServerFault,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.plan import PLAN_FORMAT
from ansible_collections.ocikit.registry.plugins.module_utils._prune.undo import UNDO_FORMAT
from ansible_collections.ocikit.registry.plugins.modules import registry_prune
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images
from tests.unit.conftest import RecordedEvents
from tests.unit.copying import writes
from tests.unit.pruning import (
    ALL,
    CANDIDATES,
    CHILD,
    COMMON,
    DELETE_ALL,
    GONE,
    INDEX_NEW,
    INDEX_OLD,
    KEPT,
    NEW,
    OLD,
    OLDEST,
    RULES,
    SBOM_NEW,
    SBOM_OLD,
    SHARED,
    Pruner,
    add,
    aged,
    assert_alive,
    assert_complete,
    assert_pruned,
    digests,
    seed,
    start,
)

WRITES = "^(PUT|POST|PATCH|DELETE) "
DELETES = "^DELETE .*/sha256:"
# Registries that know how to delete a tag, and such that do not.
TAG_DELETE = ["202", "400"]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel, "_PAUSES", (0, 0.01))


@pytest.fixture
def pruned(connect: t.Callable[..., t.Any]) -> Pruner:
    return Pruner(connect)


def names(entries: t.Iterable[dict[str, t.Any]]) -> set[str]:
    return {entry["tag"] for entry in entries}


def meanwhile(server: HostileRegistry, pattern: str, change: t.Callable[[], object], count: int = 1) -> None:
    """Call ``change`` before the request number ``count`` that matches ``pattern``, once."""
    left = [count]

    def before(request: Request) -> None:
        if re.search(pattern, f"{request.method} {request.path}"):
            left[0] -= 1
            if not left[0]:
                change()

    server.before = before


class TestPolicy:
    def test_what_has_to_go_goes_and_nothing_else(self, pruned: Pruner, registry: Registry) -> None:
        seed(registry.url, "all/app")
        seed(registry.url, "all/app-2")
        before = images.state(registry.url, "all/app-2")
        registry.clear_requests()
        predicted = pruned(registry.url, "all/app", check_mode=True, **ALL)
        assert writes(registry) == []
        assert images.state(registry.url, "all/app") == digests({**CANDIDATES, **KEPT})

        registry.clear_requests()
        result = pruned(registry.url, "all/app", **ALL)
        assert_pruned(registry.url, "all/app")
        assert images.state(registry.url, "all/app-2") == before
        (repository,) = result["repositories"]
        assert names(repository["delete"]) == set(repository["deleted_tags"]) == set(CANDIDATES)
        assert names(repository["keep"]) == set(KEPT)
        assert (
            set(repository["digests"]) == set(repository["deleted_digests"]) == {one.digest for one in GONE}
        )
        assert (repository["error"], repository["refused"]) == (None, [])
        assert (result["changed"], result["diff"]) == (predicted["changed"], predicted["diff"])
        counts = {**repository["counts"], "deleted_tags": 0, "deleted_digests": 0}
        left: dict[str, t.Any] = {"deleted_tags": [], "deleted_digests": [], "counts": counts}
        assert predicted["repositories"] == [{**repository, **left}]

        registry.clear_requests()
        for check_mode in (True, False):
            again = pruned(registry.url, "all/app", check_mode=check_mode, **ALL)
            assert again["changed"] is False
            assert again["diff"] == {"before": "", "after": ""}
        assert writes(registry) == []

    def test_check_mode_asks_for_everything_once(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            add(server, "a/app")
            assert pruned(server.url, "a/app", check_mode=True, **ALL)["changed"] is True
            asked = [(request.method, request.path) for request in server.requests]
            assert len(asked) == len(set(asked))

    def test_everything_is_read_before_anything_is_deleted(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            for repository in ("a/one", "a/two"):
                add(server, repository)
            pruned(server.url, "a/one", "a/two", **ALL)
            first = next(i for i, one in enumerate(server.requests) if one.method not in ("GET", "HEAD"))
            for repository in ("a/one", "a/two"):
                read = {
                    one.path for one in server.requests[:first] if one.path.startswith(f"/v2/{repository}/")
                }
                wanted = {f"/v2/{repository}/manifests/{name}" for name in [*CANDIDATES, *KEPT]}
                wanted |= {
                    f"/v2/{repository}/manifests/{one.digest}"
                    for one in [*CANDIDATES.values(), *KEPT.values()]
                }
                assert wanted <= read

    def test_an_index_goes_before_its_children_and_a_referrer_before_its_subject(
        self, pruned: Pruner, registry: Registry
    ) -> None:
        seed(registry.url, "order/app")
        (repository,) = pruned(registry.url, "order/app", **ALL)["repositories"]
        place = {digest: number for number, digest in enumerate(repository["deleted_digests"])}
        for image in GONE:
            for child in getattr(image, "children", ()):
                assert place.get(child.digest, 99) > place[image.digest]
        assert place[SBOM_OLD.digest] < place[OLDEST.digest]

    def test_reasons(self, pruned: Pruner, registry: Registry) -> None:
        seed(registry.url, "why/app")
        result = pruned(registry.url, "why/app", check_mode=True, protect=["why/app:b-41"], **ALL)
        (repository,) = result["repositories"]
        why = {one["tag"]: one["why"] for one in [*repository["delete"], *repository["keep"]]}
        assert why["b-40"] == "old: 40 days old, kept until 30 days"
        assert why["b-1"] == "old: 24 hours old, kept until 30 days"
        (first,) = [one for one in repository["delete"] if one["tag"] == "b-40"]
        assert (first["rule"], first["reason"]) == ("old", "40 days old, kept until 30 days")
        assert why["b-41"] == "protected: why/app:b-41"
        assert why["b-epoch"] == why["b-future"] == why["b-none"] == "old: its age is unknown"
        assert why["stable"] == "no rule names it"
        assert why[images.referrers_tag(OLDEST)] == f"with {OLDEST.digest}"
        created = {one["tag"]: one["created"] for one in repository["keep"]}
        assert created["b-epoch"] == "1970-01-01T00:00:00Z"
        assert created["b-none"] is None

    def test_unknown_ages_go_if_the_user_says_so(self, pruned: Pruner, registry: Registry) -> None:
        seed(registry.url, "unknown/app")
        pruned(registry.url, "unknown/app", unknown_age="delete", **ALL)
        odd = {"b-epoch", "b-future", "b-none"}
        assert set(images.tags(registry.url, "unknown/app")) == set(KEPT) - odd

    def test_bytes_are_those_that_nothing_else_needs(self, pruned: Pruner, registry: Registry) -> None:
        seed(registry.url, "bytes/app")
        (repository,) = pruned(registry.url, "bytes/app", check_mode=True, **ALL)["repositories"]
        gone = {name: len(data) for image in GONE for name, data in image.blobs.items()}
        rest = [
            *KEPT.values(),
            COMMON,
            SBOM_NEW,
            *(one for image in KEPT.values() for one in getattr(image, "children", ())),
        ]
        for image in rest:
            for name in image.blobs:
                gone.pop(name, None)
        assert repository["bytes"] == sum(gone.values()) + sum(len(image.raw) for image in GONE)

    def test_protected_digests_of_platforms(self, pruned: Pruner, registry: Registry) -> None:
        seed(registry.url, "platform/app")
        running = [f"docker-pullable://{registry.host}/platform/app@{CHILD.digest}"]
        pruned(registry.url, "platform/app", protect=running, **ALL)
        assert {"m-90", "n-90", images.referrers_tag(CHILD) + ".sig"} <= set(
            images.tags(registry.url, "platform/app")
        )
        assert_complete(registry.url, "platform/app", INDEX_OLD)
        assert_alive(registry.url, "platform/app")

    def test_orphans(self, pruned: Pruner, registry: Registry) -> None:
        """A signature of what is gone; and one of what has no tag any more but is still there."""
        gone, untagged = aged("gone"), aged("untagged")
        orphan, signature = images.referrers_tag(gone) + ".sig", images.referrers_tag(untagged) + ".sig"
        images.push(registry.url, "orphans/app", untagged)
        for tag in (orphan, signature, "app"):
            images.push(
                registry.url, "orphans/app", images.artifact("application/x", tag.encode(), "text/plain"), tag
            )
        rules = [{"match": {"orphans": True}, "delete": True}]
        assert not pruned(registry.url, "orphans/app", rules=DELETE_ALL, protect=["app"])["changed"]
        with pytest.raises(Refused, match="1 of 2 tags"):
            pruned(registry.url, "orphans/app", rules=rules, max_delete_percent=0.0)
        pruned(registry.url, "orphans/app", rules=rules)
        assert images.tags(registry.url, "orphans/app") == ["app", signature]

    @pytest.mark.parametrize("word", ["orphans", "untagged"])
    def test_orphans_by_either_word(self, word: str) -> None:
        """As the module's own options read it: in rules that are a part of a list."""
        orphan = images.referrers_tag(aged("gone")) + ".sig"
        with HostileRegistry() as server:
            for tag, image in (("app", aged("kept")), (orphan, aged("signature"))):
                server.add("a/app", image, tag)
            process = start(
                server.url, repositories=["a/app"], rules=[{"match": {word: True}, "delete": True}]
            )
            output, errors = process.communicate(timeout=60)
            result = json.loads(output)
            assert (result.get("msg"), errors) == (None, "")
            assert [one["deleted_tags"] for one in result["repositories"]] == [[orphan]]
            assert list(server.repositories["a/app"].tags) == ["app"]

    def test_an_index_with_a_missing_child(self, pruned: Pruner, registry: Registry) -> None:
        """It may go and it may stay; what is left of it stays with it."""
        for repository, rules in (("hole/goes", ["m-90", "n-90"]), ("hole/stays", ["b-90"])):
            seed(registry.url, repository)
            _delete_by_hand(registry, repository, CHILD.digest)
            policy = [{"match": {"tags": rules}, "delete": True}]
            pruned(registry.url, repository, rules=policy)
            assert_alive(registry.url, repository)
            assert set(rules).isdisjoint(images.tags(registry.url, repository))
        assert images.head(registry.url, "hole/goes", INDEX_OLD.digest) is None
        assert images.head(registry.url, "hole/stays", "m-90") == INDEX_OLD.digest
        assert images.head(registry.url, "hole/stays", COMMON.digest) == COMMON.digest

    def test_schema1(self, pruned: Pruner, tmp_path: pathlib.Path) -> None:
        with Registry(schema1=True) as server:
            images.push_schema1(server.url, "old/app", "one")
            images.push(server.url, "old/app", NEW, "new")
            result = pruned(
                server.url,
                "old/app",
                rules=[{"match": {"tags": ["one"]}, "delete": True}],
                undo=tmp_path / "undo",
            )
            assert result["changed"] is True
            assert images.tags(server.url, "old/app") == ["new"]
            with pytest.raises(Refused, match="1 of 1 could not be put back.*schema 1"):
                pruned(server.url, restore=tmp_path / "undo")


def _delete_by_hand(registry: Registry, repository: str, digest: str) -> None:
    answer = requests.delete(f"{registry.url}/v2/{repository}/manifests/{digest}", timeout=10)
    assert answer.status_code == 202


class TestDangling:
    """Tags that a registry lists although their manifest is missing."""

    GONE_DIGEST = images.digest(b"gone")
    RULE: t.ClassVar[dict[str, t.Any]] = {"name": "broken", "match": {"dangling": True}, "delete": True}

    @pytest.mark.parametrize("tag_delete", TAG_DELETE)
    def test_a_rule_deletes_them_by_name_and_others_keep_all_digests(
        self, pruned: Pruner, tag_delete: str
    ) -> None:
        with HostileRegistry(tag_delete=tag_delete) as server:
            tags = add(server, "a/app")
            tags["lost"] = self.GONE_DIGEST
            params: dict[str, t.Any] = {**ALL, "check_mode": True}
            (repository,) = pruned(server.url, "a/app", **params)["repositories"]
            lost = {one["tag"]: one for one in repository["keep"]}["lost"]
            assert (lost["dangling"], lost["digest"], lost["why"]) == (True, None, "its manifest is missing")
            assert repository["digests"] == []

            params = {"rules": [*RULES, self.RULE], "max_delete_percent": 90.0}
            predicted = pruned(server.url, "a/app", check_mode=True, **params)
            result = pruned(server.url, "a/app", **params)
            assert result["diff"] == predicted["diff"]
            (repository,) = result["repositories"]
            assert "lost" in repository["deleted_tags"]
            assert {one["tag"]: one["why"] for one in repository["delete"]}["lost"] == (
                "broken: its manifest is missing"
            )
            assert_pruned(server.url, "a/app")

    def test_rules_match_them_by_name_but_not_by_age(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            tags = add(server, "a/app")
            tags["b-lost"] = self.GONE_DIGEST
            (repository,) = pruned(server.url, "a/app", check_mode=True, **ALL)["repositories"]
            why = {one["tag"]: one["why"] for one in repository["keep"]}
            assert why["b-lost"] == "old: its manifest is missing, and its age is unknown"
            rules = [{"match": {"tags": ["b-l*"]}, "delete": True}]
            (repository,) = pruned(server.url, "a/app", rules=rules)["repositories"]
            assert repository["deleted_tags"] == ["b-lost"]

    def test_one_that_appears_after_the_plan_keeps_all_digests(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry() as server:
            tags = add(server, "a/app")
            pruned(server.url, "a/app", plan=tmp_path / "plan", **ALL)
            tags["lost"] = self.GONE_DIGEST
            with pytest.raises(
                Refused, match="lost: its manifest is missing, and it may need any digest"
            ) as caught:
                pruned(server.url, apply_plan=tmp_path / "plan")
            assert caught.value.result["repositories"][0]["deleted_digests"] == []
            assert {image.digest for image in GONE} <= server.repositories["a/app"].manifests.keys()

    def test_one_that_appears_while_digests_are_deleted_stops_that(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            tags = add(server, "a/app")
            meanwhile(server, DELETES, lambda: tags.update(lost=self.GONE_DIGEST), 4)
            with pytest.raises(Refused, match="lost: its manifest is missing.*no more is deleted"):
                pruned(server.url, "a/app", **ALL)
            left = server.repositories["a/app"].manifests.keys()
            assert 0 < len({image.digest for image in GONE} - left) < len(GONE)
            assert_alive(server.url, "a/app")

    def test_one_in_a_plan_that_was_pushed_since_is_left_alone(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry() as server:
            tags = add(server, "a/app")
            tags["lost"] = self.GONE_DIGEST
            pruned(server.url, "a/app", plan=tmp_path / "plan", rules=[self.RULE])
            server.add("a/app", NEW, "lost")
            with pytest.raises(Refused, match=f"lost: it points to {NEW.digest} now"):
                pruned(server.url, apply_plan=tmp_path / "plan")
            assert tags["lost"] == NEW.digest

    @pytest.mark.parametrize(
        "more", [{"older_than": "1d"}, {"keep_last": 3}, {"match": {"dangling": True, "orphans": True}}]
    )
    def test_a_rule_about_them_has_no_age(self, pruned: Pruner, more: dict[str, t.Any]) -> None:
        with HostileRegistry() as server:
            with pytest.raises(InvalidInput, match="broken is about tags without a manifest"):
                pruned(server.url, "a/app", rules=[{**self.RULE, **more}])
            assert server.requests == []


class TestRepositories:
    def test_one_that_cannot_be_read_does_not_stop_the_others(self, pruned: Pruner) -> None:
        with HostileRegistry(fail_first=-1, fail_on="/a/two/tags", fail_status=403) as server:
            for repository in ("a/one", "a/two", "a/three"):
                add(server, repository)
            before = dict(server.repositories["a/two"].tags)
            with pytest.raises(Denied) as caught:
                pruned(server.url, "a/one", "a/two", "a/three", **ALL)
            one, two, three = caught.value.result["repositories"]
            assert str(caught.value).startswith("1 of 3 repositories were not pruned as planned; a/two: ")
            assert (one["error"], three["error"]) == (None, None)
            assert "answered HTTP 403" in two["error"]
            assert caught.value.result["changed"] is True
            assert server.repositories["a/two"].tags == before
            for repository in ("a/one", "a/three"):
                assert_pruned(server.url, repository)

    @pytest.mark.registry_does("digest_tags")
    @pytest.mark.parametrize(
        "limits, part",
        [
            ({"max_delete_percent": 50.0}, "7 of 14 tags|7 of 13 tags"),
            (
                {"max_delete": 6, "max_delete_percent": 100.0},
                "7 tags would be deleted, and max_delete allows 6",
            ),
        ],
    )
    def test_limits(
        self, pruned: Pruner, registry: Registry, limits: dict[str, t.Any], part: str, tmp_path: pathlib.Path
    ) -> None:
        """Seven of fourteen: the companions do not count. One fewer to keep, and it is too much."""
        for repository in ("limit/app", "limit/small"):
            seed(registry.url, repository)
        if "max_delete" not in limits:
            _delete_by_hand(registry, "limit/app", KEPT["b-2"].digest)
        small = {"match": {"tags": ["b-40"]}, "delete": True}
        registry.clear_requests()
        for check_mode in (True, False):
            with pytest.raises(Refused, match=part) as caught:
                pruned(registry.url, "limit/app", check_mode=check_mode, rules=RULES, **limits)
            assert caught.value.result["changed"] is False
            assert caught.value.result["diff"] == {"before": "", "after": ""}
            assert names(caught.value.result["repositories"][0]["delete"]) == set(CANDIDATES)
        assert writes(registry) == []
        with pytest.raises(Refused, match=part):
            pruned(registry.url, "limit/app", rules=RULES, plan=tmp_path / "plan", **limits)
        assert json.loads((tmp_path / "plan").read_text())["repositories"] == []
        images.push(registry.url, "limit/small", NEW, "b-2")
        assert pruned(registry.url, "limit/small", rules=[small])["changed"] is True

    def test_limits_of_one_repository_leave_the_others(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            add(server, "a/app")
            server.add("a/few", OLD, "b-40")
            with pytest.raises(Refused, match=r"1 of 2 .* a/few: 1 of 1 tags \(100 %\)"):
                pruned(server.url, "a/few", "a/app", rules=RULES)
            assert server.repositories["a/few"].tags == {"b-40": OLD.digest}
            assert_pruned(server.url, "a/app")

    def test_the_default_limit_is_for_large_repositories(self, pruned: Pruner) -> None:
        """The rule of the README on a repository of eleven tags, of which it deletes six."""
        rules = [{"name": "old builds", "match": {"tags": ["build-*"]}, "delete": True, "keep_last": 3}]
        with HostileRegistry() as server:
            for number in range(9):
                server.add("a/small", aged(f"build {number}", number), f"build-{number}")
            for number in range(2):
                server.add("a/small", aged(f"release {number}", number), f"{number}.0")
            pruned(server.url, "a/small", rules=rules)
            assert len(server.repositories["a/small"].tags) == 5

    def test_a_limit_is_called_as_the_user_wrote_it_and_says_what_to_do(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            add(server, "a/app")
            for name in ("max_delete", "prune_max_delete"):
                with pytest.raises(Refused) as caught:
                    pruned(server.url, "a/app", rules=RULES, max_delete=2, option_names={"max_delete": name})
                assert f" and {name} allows 2: nothing was deleted. Look at what would" in str(caught.value)
                assert f"raise {name}, else correct the rules." in str(caught.value)

    @pytest.mark.parametrize("failed", [False, True])
    def test_a_result_stays_small_whatever_is_pruned(self, pruned: Pruner, failed: bool) -> None:
        with HostileRegistry() as server:
            image = aged("one", 90)
            for number in range(3000):
                server.add("a/app", image, f"build-{number}")
            more: dict[str, t.Any] = {"rules": DELETE_ALL, "check_mode": True, "max_delete_percent": 100}
            if failed:
                with pytest.raises(Refused) as caught:
                    pruned(server.url, "a/app", **{**more, "max_delete": 2})
                result = {**caught.value.result, "msg": str(caught.value), "error": caught.value.to_dict()}
            else:
                result = pruned(server.url, "a/app", **more)
            assert len(json.dumps(result)) < 65536
            assert result["truncated"] is True
            assert result["totals"]["delete"] == result["repositories"][0]["counts"]["delete"] == 3000
            if not failed:
                complete = pruned(server.url, "a/app", **more, details=True)
                assert len(complete["repositories"][0]["delete"]) == 3000
                assert complete["truncated"] is False

    @pytest.mark.parametrize("failed", [False, True])
    def test_a_report_file_has_everything(self, pruned: Pruner, tmp_path: pathlib.Path, failed: bool) -> None:
        report, undo = tmp_path / "report", tmp_path / "undo"
        params: dict[str, t.Any] = {"report": report, "undo": undo, **ALL}
        with HostileRegistry() as server:
            add(server, "a/app")
            server.add("a/few", OLD, "b-40")
            pruned(server.url, "a/app", check_mode=True, **params)
            assert not report.exists()
            if failed:
                with pytest.raises(Refused, match="1 of 2 .* a/few: 1 of 1 tags") as caught:
                    pruned(server.url, "a/app", "a/few", **params)
                result = caught.value.result
            else:
                result = pruned(server.url, "a/app", **params)
            content = json.loads(report.read_text())
            assert content["repositories"] == result["repositories"]
            assert content["totals"] == result["totals"]
            assert content["error"] == (str(caught.value) if failed else None)

    def test_a_report_that_cannot_be_written_is_an_error_that_tells_what_was_done(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        report = tmp_path / "gone" / "report"

        def remove_directory(_request: Request) -> None:
            report.parent.rename(tmp_path / str(time.monotonic_ns()))
            server.before = None

        with HostileRegistry() as server:
            add(server, "a/app")
            report.parent.mkdir()
            server.before = remove_directory
            with pytest.raises(LocalStorageError, match="cannot be used") as caught:
                pruned(server.url, "a/app", report=str(report), **ALL)
            assert caught.value.result["changed"] is True
            server.add("a/few", OLD, "b-40")
            report.parent.mkdir()
            server.before = remove_directory
            with pytest.raises(Refused, match="a/few: 1 of 1 tags.*/gone.* cannot be used"):
                pruned(server.url, "a/few", report=str(report), **ALL)

    def test_an_empty_condition_is_seen_in_what_ansible_hands_over(self) -> None:
        rule = {"match": {"tags": ["*"]}, "delete": True, "older_than": None}
        process = start("http://127.0.0.1:9", repositories=["a/app"], rules=[rule])
        output, errors = process.communicate(timeout=60)
        assert json.loads(output)["msg"] == ("rules[1].older_than is empty: set a value, or leave it out."), (
            errors
        )

    @pytest.mark.parametrize("inside", [False, True])
    @pytest.mark.parametrize(
        ("condition", "place"),
        [
            ({"older_than": None}, "older_than"),
            ({"keep_last": None}, "keep_last"),
            ({"match": {"tags": ["*"], "version": None}}, "match.version"),
        ],
    )
    def test_an_empty_condition_is_not_left_out(
        self, pruned: Pruner, condition: dict[str, t.Any], place: str, inside: bool
    ) -> None:
        """Its variable is empty, and without it the rule would delete more."""
        rules = [
            {"match": {"tags": ["b-*"]}, "delete": True},
            {"match": {"tags": ["*"]}, "delete": True, **condition},
        ]
        prefix = "policies[1].rules" if inside else "rules"
        with HostileRegistry() as server:
            add(server, "a/app")
            params = (
                {"policies": [{"repositories": ["a/app"], "rules": rules}]} if inside else {"rules": rules}
            )
            with pytest.raises(
                InvalidInput, match=rf"^{re.escape(f'{prefix}[2].{place}')} is empty: set a value"
            ):
                pruned(server.url, *([] if inside else ["a/app"]), **params)
            assert server.requests == []

    @pytest.mark.parametrize("option", ["plan", "report", "undo"])
    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("none/file", "The directory {0}/none does not exist: create it first."),
            ("pipe", "{0}/pipe is not a regular file: name another file."),
            ("", "{0}/ is a directory: name a file."),
        ],
    )
    def test_a_file_that_cannot_be_written_is_refused_before_the_first_request(
        self, pruned: Pruner, tmp_path: pathlib.Path, option: str, name: str, sentence: str
    ) -> None:
        os.mkfifo(tmp_path / "pipe")
        with HostileRegistry() as server:
            add(server, "a/app")
            for check_mode in (True, False):
                with pytest.raises(InvalidInput, match=f"^{re.escape(sentence.format(tmp_path))}$"):
                    pruned(
                        server.url, "a/app", check_mode=check_mode, **{**ALL, option: f"{tmp_path}/{name}"}
                    )
            assert server.requests == []

    def test_tags_are_in_the_order_of_their_names_with_the_sizes_of_their_images(
        self, pruned: Pruner
    ) -> None:
        with HostileRegistry() as server:
            for number in (10, 9, 100, 1):
                server.add("a/app", aged(f"build {number}"), f"build-{number}")
            server.add("a/app", INDEX_OLD, "index")
            (repository,) = pruned(server.url, "a/app", rules=RULES, check_mode=True)["repositories"]
            assert [one["tag"] for one in repository["keep"]] == [
                "build-1", "build-9", "build-10", "build-100", "index",
            ]  # fmt: skip
            blobs = {name: len(data) for child in (CHILD, COMMON) for name, data in child.blobs.items()}
            manifests = sum(len(one.raw) for one in (INDEX_OLD, CHILD, COMMON))
            assert repository["keep"][-1]["size"] == sum(blobs.values()) + manifests

    def test_a_secret_in_a_name_is_warned_about_before_anything_is_deleted(
        self, pruned: Pruner, events: RecordedEvents
    ) -> None:
        with HostileRegistry() as server:
            add(server, "a/sesame")
            seen: list[int] = []
            meanwhile(server, WRITES, lambda: seen.append(len(events.warnings)))
            pruned(server.url, "a/sesame", options={"username": "me", "password": "sesame"}, **ALL)
            assert seen == [1]
            assert "occurs in the name or the digest of an image" in events.warnings[0]
            assert "set undo to a file" in events.warnings[0]

    @pytest.mark.registry_does("catalog")
    def test_patterns(self, pruned: Pruner) -> None:
        with Registry() as server:
            for repository in ("team/one", "team/two", "team/sub/three", "other/one"):
                images.push(server.url, repository, NEW, "new")
                images.push(server.url, repository, OLD, "b-40")
            patterns = ["team/*", f"{server.host}/team/t*", "team/one", "regex:team/[ot].*"]
            result = pruned(server.url, *patterns, rules=RULES)
            assert [one["repository"] for one in result["repositories"]] == [
                "team/one",
                "team/sub/three",
                "team/two",
            ]
            assert images.tags(server.url, "other/one") == ["b-40", "new"]
            # A slash is a character like any other.
            everything = pruned(server.url, f"{server.host}/*", registry=None, rules=RULES)
            assert [one["repository"] for one in everything["repositories"]] == [
                "other/one",
                "team/one",
                "team/sub/three",
                "team/two",
            ]

    def test_a_pattern_or_name_without_a_repository_is_warned_about(
        self, pruned: Pruner, events: RecordedEvents
    ) -> None:
        with HostileRegistry() as server:
            add(server, "team/app")
            found = pruned(server.url, "teem/*", "team/*", "team/gone", rules=RULES, max_delete_percent=90)
            assert [one["repository"] for one in found["repositories"]] == ["team/gone", "team/app"]
            pattern, name = sorted(events.warnings, reverse=True)
            assert pattern.startswith(
                f"teem/* in repositories matches no repository in the catalog of {server.host}"
            )
            assert name.startswith(f"{server.host}/team/gone does not exist")

    def test_rules_may_be_about_labels(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            for tag, tier in (("a", "ci"), ("b", "live"), ("c", "ci")):
                server.add("a/app", aged(tag, labels={"tier": tier}), tag)
            rules = [{"name": "ci", "match": {"labels": {"tier": "ci"}}, "delete": True}]
            result = pruned(server.url, "a/app", rules=rules, max_delete_percent=100.0)
            assert server.repositories["a/app"].tags.keys() == {"b"}
            assert [one["why"] for one in result["repositories"][0]["delete"]] == [
                "ci: has the labels tier"
            ] * 2

    def test_entries_of_protect_that_match_nothing_are_warned_about(
        self, pruned: Pruner, events: RecordedEvents
    ) -> None:
        with HostileRegistry() as server:
            add(server, "a/app")
            other = f"{server.host}/a/other:1"
            entries = [f"{server.host}/a/app:lastest", "lastest", "stable", other, "sha256:" + "7" * 64]
            pruned(server.url, "a/app", rules=RULES, protect=entries, check_mode=True)
            assert events.warnings == [
                f"The entry {entry!r} of protect matches nothing in the repositories that it is about."
                for entry in entries[:2]
            ]

    def test_patterns_need_a_catalog(self, pruned: Pruner) -> None:
        with HostileRegistry(catalog="404") as server:
            with pytest.raises(InvalidInput, match="team/.* in repositories is a pattern over the catalog"):
                pruned(server.url, "team/*", registry=None, rules=RULES)
            with pytest.raises(Unsupported, match="name the repositories"):
                pruned(server.url, "team/*", rules=RULES)

    def test_an_unknown_repository_is_nothing_to_do(self, pruned: Pruner, registry: Registry) -> None:
        result = pruned(registry.url, "never/was", rules=RULES)
        assert result["changed"] is False
        (repository,) = result["repositories"]
        assert (repository["delete"], repository["keep"], repository["error"]) == ([], [], None)

    def test_check_mode_writes_no_files(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        seed(registry.url, "unwritten/app")
        files = {name: tmp_path / name for name in ("undo", "cache_dir")}
        assert pruned(registry.url, "unwritten/app", check_mode=True, **files, **ALL)["changed"] is True
        assert pruned(registry.url, "unwritten/app", check_mode=True, plan=tmp_path / "plan", **ALL)[
            "changed"
        ]
        assert list(tmp_path.iterdir()) == []

    def test_the_cache_saves_requests(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        seed(registry.url, "cached/app")
        pruned(registry.url, "cached/app", cache_dir=tmp_path / "cache", plan=tmp_path / "plan", **ALL)
        registry.clear_requests()
        pruned(
            registry.url,
            "cached/app",
            cache_dir=tmp_path / "cache",
            rules=[{"match": {"tags": ["x"]}, "delete": True}],
        )
        asked = [
            (method, uri.rpartition("/")[2].partition("?")[0]) for method, uri, _status in registry.requests()
        ]
        assert sorted(asked) == sorted([("GET", "list"), *(("HEAD", tag) for tag in {**CANDIDATES, **KEPT})])


class TestPolicies:
    BUILDS: t.ClassVar[dict[str, t.Any]] = {"name": "builds", "match": {"tags": ["b-*"]}, "delete": True}

    def policy(self, name: str, *repositories: str, **more: t.Any) -> dict[str, t.Any]:
        return {"name": name, "repositories": list(repositories), "rules": [self.BUILDS], **more}

    def fill(self, server: HostileRegistry, *repositories: str) -> None:
        for repository in repositories:
            for tag, image in (("b-40", OLD), ("b-90", OLDEST), ("stable", NEW)):
                server.add(repository, image, tag)

    def test_each_is_applied_to_its_repositories_with_one_undo_file(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry() as server:
            self.fill(server, "a/one", "a/two", "b/one", "c/one")
            policies = [
                self.policy("a", "a/*", protect=["b-40"]),
                self.policy("b", f"{server.host}/b/one", rules=RULES, max_delete=2),
            ]
            undo = tmp_path / "undo"
            predicted = pruned(server.url, policies=policies, protect=["a/two"], check_mode=True, undo=undo)
            result = pruned(server.url, policies=policies, protect=["a/two"], undo=undo)
            left = {name: sorted(content.tags) for name, content in server.repositories.items()}
            assert left == {
                "a/one": ["b-40", "stable"],
                "a/two": ["b-40", "b-90", "stable"],
                "b/one": ["stable"],
                "c/one": ["b-40", "b-90", "stable"],
            }
            assert [(one["policy"], one["repository"]) for one in result["repositories"]] == [
                ("a", "a/one"),
                ("a", "a/two"),
                ("b", "b/one"),
            ]
            assert result["policies"] == predicted["policies"]
            assert result["policies"] == [
                {"name": "a", "repositories": 2, "error": None},
                {"name": "b", "repositories": 1, "error": None},
            ]
            assert result["diff"] == predicted["diff"]
            pruned(server.url, restore=undo, restore_run=result["undo_run"])
            assert all(len(content.tags) == 3 for content in server.repositories.values())

    @pytest.mark.parametrize(
        "wrong, part",
        [
            (
                {"max_delete": 1},
                r"1 of 2 repositories were not pruned as planned; a/one: 2 tags would be deleted",
            ),
            ({"max_delete": 1}, "max_delete of the policy wrong allows 1: nothing was deleted"),
            (
                {"rules": [{"match": {"tags": ["x"]}}]},
                "1 of 2 policies were not applied; wrong: The policy's rule 1",
            ),
            (
                {"repositories": ["a/[*"]},
                "1 of 2 policies were not applied; wrong: .*repositories of the policy wrong",
            ),
            ({"repositories": []}, "wrong: repositories of the policy wrong is empty"),
            ({"protect": ["no thing"]}, "1 of 2 policies were not applied; wrong: "),
            ({"repositories": ["127.0.0.1:1/a/*"]}, "1 of 2 policies were not applied; wrong: .*127.0.0.1:1"),
        ],
    )
    def test_one_that_fails_does_not_stop_the_others(
        self, pruned: Pruner, wrong: dict[str, t.Any], part: str
    ) -> None:
        with HostileRegistry() as server:
            self.fill(server, "a/one", "b/one")
            policies = [{**self.policy("wrong", "a/one"), **wrong}, self.policy("right", "b/one")]
            with pytest.raises(RegistryError, match=part) as caught:
                pruned(server.url, policies=policies)
            assert caught.value.result["changed"] is True
            assert sorted(server.repositories["a/one"].tags) == ["b-40", "b-90", "stable"]
            assert sorted(server.repositories["b/one"].tags) == ["stable"]
            assert [one["error"] is None for one in caught.value.result["policies"]][1] is True

    def test_a_repository_of_two_policies_is_left_alone(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            self.fill(server, "a/one", "a/two")
            policies = [self.policy("x", "a/*"), self.policy("y", "a/two")]
            with pytest.raises(Refused, match="a/two: The policies x and y both name it: leave it to one"):
                pruned(server.url, policies=policies)
            assert sorted(server.repositories["a/one"].tags) == ["stable"]
            assert sorted(server.repositories["a/two"].tags) == ["b-40", "b-90", "stable"]

    def test_an_inherited_limit_has_the_name_of_the_option(self, pruned: Pruner) -> None:
        with HostileRegistry() as server:
            self.fill(server, "a/one")
            with pytest.raises(Refused, match="and prune_max_delete allows 1"):
                pruned(
                    server.url,
                    policies=[self.policy("x", "a/*")],
                    max_delete=1,
                    option_names={"max_delete": "prune_max_delete"},
                )


class TestInput:
    @pytest.mark.parametrize(
        "params, part",
        [
            ({}, "Set one of repositories, policies, apply_plan, restore"),
            ({"repositories": ["a"], "restore": "x", "rules": RULES}, "Set one of repositories"),
            ({"repositories": ["a"]}, "no rules"),
            ({"apply_plan": "x", "rules": RULES}, "rules goes with repositories, not with apply_plan"),
            (
                {"apply_plan": "x", "protect": ["app:1"]},
                "protect does not go with apply_plan: a plan deletes what was decided when it was made. Write a new plan",
            ),
            ({"restore": "x", "plan": "y"}, "plan goes with repositories, not with restore"),
            ({"repositories": ["a"], "rules": RULES, "plan": "x", "undo": "y"}, "leave undo out"),
            ({"restore": "x", "undo": "y"}, "leave undo out"),
            ({"repositories": ["a"], "rules": RULES, "restore_run": "last"}, "restore_run chooses a run"),
            ({"repositories": ["a"], "rules": RULES, "max_delete_percent": "nan"}, "from 0 to 100"),
            ({"repositories": ["a"], "rules": RULES, "max_delete_percent": 101}, "from 0 to 100"),
            ({"repositories": ["a"], "rules": RULES, "max_delete": -1}, "0 or more"),
            ({"policies": [{"repositories": ["a"], "rules": RULES}], "rules": RULES}, "not with policies"),
            (
                {"policies": [{"name": "x", "repositories": [one], "rules": RULES} for one in "ab"]},
                "Two of policies are called x",
            ),
            (
                {"option_names": {"repositories": "prune_repositories", "apply_plan": "prune_apply_plan"}},
                "Set one of prune_repositories, prune_apply_plan.",
            ),
            (
                {
                    "repositories": ["a"],
                    "rules": RULES,
                    "max_delete": -1,
                    "option_names": {"max_delete": "prune_max_delete"},
                },
                "prune_max_delete is -1",
            ),
            ({"repositories": ["a:tag"], "rules": RULES}, "leave out the tag"),
            ({"repositories": ["regex:("], "rules": RULES}, "not a regular expression"),
            ({"repositories": ["a/b"], "rules": RULES, "protect": ["a/b:1 a/b:2"]}, "one entry for each"),
            ({"repositories": ["a/b"], "rules": RULES, "protect": [{"image": "a/b"}]}, "is a dictionary"),
            ({"repositories": ["a/b"], "rules": RULES, "protect": [1.1]}, "is a number"),
            ({"repositories": ["^team/.*"], "rules": RULES}, "in repositories can match no repository"),
            ({"repositories": ["a/*|b/*"], "rules": RULES}, "one entry for each repository"),
            (
                {"repositories": ["a/b"], "rules": [{"match": {"tags": ["^v.*"]}, "keep": True}]},
                "in match.tags can match no tag",
            ),
        ],
    )
    def test_bad_options_are_refused_before_any_request(
        self, pruned: Pruner, registry: Registry, params: dict[str, t.Any], part: str
    ) -> None:
        registry.clear_requests()
        with pytest.raises(InvalidInput, match=part):
            pruned(registry.url, *params.pop("repositories", []), **params)
        assert registry.requests() == []

    @pytest.mark.parametrize("check_mode", [False, True])
    @pytest.mark.parametrize("option", ["plan", "report"])
    @pytest.mark.parametrize("kind", [UNDO_FORMAT, "lock file"])
    def test_a_file_with_other_content_is_not_replaced(
        self,
        pruned: Pruner,
        registry: Registry,
        tmp_path: pathlib.Path,
        option: str,
        kind: str,
        check_mode: bool,
    ) -> None:
        file = tmp_path / "file"
        content = json.dumps({"format": kind, "images": []}) if kind == UNDO_FORMAT else "- image: a:1\n"
        file.write_text(content, "utf-8")
        registry.clear_requests()
        with pytest.raises(InvalidInput, match="file holds something else than a file of the format ocikit"):
            pruned(registry.url, "a/b", check_mode=check_mode, **{**ALL, option: file})
        assert registry.requests() == [] and file.read_text("utf-8") == content
        file.write_bytes(b"")
        for _run in range(2):
            pruned(registry.url, "files/none", **{**ALL, option: file})
        assert json.loads(file.read_bytes())["format"].startswith("ocikit.registry/prune-")

    @pytest.mark.parametrize("option", ["apply_plan", "restore"])
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff",
            b"{}",
            b"[]",
            b"null",
            b'{"format": 1}',
            b"[" * 100000,
            "other kind",
            "entry",
            "value",
            "url",
        ],
    )
    def test_bad_files_are_refused_in_one_sentence(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path, option: str, content: bytes | str
    ) -> None:
        kinds = {
            "apply_plan": (PLAN_FORMAT, "repositories"),
            "restore": (UNDO_FORMAT, "images"),
        }
        kind, key = kinds[option]
        if content == "other kind":
            kind = next(other for other, _key in kinds.values() if other != kind)
        entries: dict[str, t.Any] = {
            "other kind": [],
            "entry": [None],
            "value": [{"registry": registry.host, "repository": 5}],
            "url": [
                {
                    "registry": registry.host,
                    "repository": "a/../../b",
                    "delete": [],
                    "keep": [],
                    "digests": [],
                    "bytes": 0,
                }
            ],
        }
        raw = (
            content
            if isinstance(content, bytes)
            else json.dumps({"format": kind, key: entries[content]}).encode()
        )
        file = tmp_path / "file"
        file.write_bytes(raw)
        with pytest.raises(InvalidInput, match="is not a file that registry_prune wrote for this"):
            pruned(registry.url, **t.cast("dict[str, t.Any]", {option: file}))
        with pytest.raises(RegistryError, match="No such file"):
            pruned(registry.url, **t.cast("dict[str, t.Any]", {option: tmp_path / "none"}))

    @pytest.mark.parametrize("wrong", ["!", "YQ", "e30=", None, 5])
    def test_manifests_of_an_undo_file_are_checked_before_anything_is_written(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path, wrong: t.Any
    ) -> None:
        undo = tmp_path / "undo"
        seed(registry.url, "wrong/app")
        pruned(registry.url, "wrong/app", undo=undo, **ALL)
        document = json.loads(undo.read_text())
        document["images"][-1]["manifest"] = wrong
        undo.write_text(json.dumps(document))
        registry.clear_requests()
        with pytest.raises(InvalidInput):
            pruned(registry.url, restore=undo)
        assert writes(registry) == []

    def test_no_file_of_another_kind_is_overwritten_by_undo_data(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        seed(registry.url, "precious/app")
        file = tmp_path / "precious"
        file.write_text("mine")
        registry.clear_requests()
        with pytest.raises(InvalidInput, match="precious is not a file that registry_prune wrote"):
            pruned(registry.url, "precious/app", undo=file, **ALL)
        assert file.read_text() == "mine"
        assert writes(registry) == []


class TestPlanFile:
    def test_it_is_the_same_each_time_and_applied_exactly(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        seed(registry.url, "plan/app")
        plan = tmp_path / "plan"
        registry.clear_requests()
        assert pruned(registry.url, "plan/app", plan=plan, check_mode=True, **ALL)["changed"] is True
        assert not plan.exists()
        first = pruned(registry.url, "plan/app", plan=plan, **ALL)
        content = plan.read_bytes()
        second = pruned(registry.url, "plan/app", plan=plan, **ALL)
        assert [first["changed"], second["changed"], plan.read_bytes()] == [True, False, content]
        assert writes(registry) == []

        # Older images that come later are none of its business.
        images.push(registry.url, "plan/app", aged("late", 400), "b-400")
        predicted = pruned(registry.url, apply_plan=plan, check_mode=True)
        result = pruned(registry.url, apply_plan=plan)
        (planned,), (repository,) = json.loads(content)["repositories"], result["repositories"]
        assert predicted["changed"] is result["changed"] is True
        assert predicted["diff"] == result["diff"] == first["diff"]
        assert set(repository["deleted_tags"]) == names(planned["delete"]) == set(CANDIDATES)
        assert set(repository["deleted_digests"]) == set(planned["digests"])
        assert set(images.tags(registry.url, "plan/app")) == {*KEPT, "b-400"}
        assert_alive(registry.url, "plan/app")

        registry.clear_requests()
        for check_mode in (True, False):
            again = pruned(registry.url, apply_plan=plan, check_mode=check_mode)
            assert (again["changed"], again["diff"]) == (False, {"before": "", "after": ""})
            assert again["repositories"][0]["deleted_digests"] == []
        assert writes(registry) == []

    def test_what_moved_is_refused_by_name(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        seed(registry.url, "moved/app")
        plan = tmp_path / "plan"
        pruned(registry.url, "moved/app", plan=plan, **ALL)
        pushed = aged("pushed meanwhile", 0)
        images.push(registry.url, "moved/app", pushed, "b-40")
        for check_mode in (True, False):
            with pytest.raises(Refused, match="moved/app: b-40: it moved to " + pushed.digest) as caught:
                pruned(registry.url, apply_plan=plan, check_mode=check_mode)
            assert caught.value.result["repositories"][0]["refused"] == [
                {
                    "tag": "b-40",
                    "digest": OLD.digest,
                    "why": f"it moved to {pushed.digest} since the plan was made",
                }
            ]
        assert images.state(registry.url, "moved/app") == {**digests(KEPT), "b-40": pushed.digest}
        assert_alive(registry.url, "moved/app")

    @pytest.mark.parametrize("push", ["tag", "index", "nested", "referrer", "moved tag", "moved to index"])
    def test_what_is_needed_again_stays(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path, push: str
    ) -> None:
        repository = "needed/" + push.replace(" ", "-")
        seed(registry.url, repository)
        plan = tmp_path / "plan"
        pruned(registry.url, repository, plan=plan, **ALL)
        image, tag = {
            "tag": (OLDEST, "again"),
            "index": (images.index([OLDEST, NEW]), "again"),
            "nested": (images.index([images.index([OLDEST])]), "again"),
            "referrer": (images.image({"f": "about"}, subject=OLDEST), "again"),
            "moved tag": (OLDEST, "stable"),
            "moved to index": (images.index([OLDEST]), "stable"),
        }[push]
        images.push(registry.url, repository, image, tag)
        with pytest.raises(Refused, match=f"{tag}: {tag} needs {OLDEST.digest} now"):
            pruned(registry.url, apply_plan=plan)
        assert_complete(registry.url, repository, OLDEST)
        assert images.head(registry.url, repository, tag) == image.digest
        assert_complete(registry.url, repository, image)
        # The name was planned to go, and a sibling is no reason to keep it.
        assert "b-90" not in images.tags(registry.url, repository)

    def test_a_candidate_that_was_taken_off_the_file_stays(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        seed(registry.url, "edited/app")
        plan = tmp_path / "plan"
        pruned(registry.url, "edited/app", plan=plan, **ALL)
        document = json.loads(plan.read_text())
        document["repositories"][0]["delete"] = [
            one for one in document["repositories"][0]["delete"] if one["tag"] != "n-90"
        ]
        plan.write_text(json.dumps(document))
        with pytest.raises(Refused, match="n-90 needs"):
            pruned(registry.url, apply_plan=plan)
        assert_complete(registry.url, "edited/app", CANDIDATES["n-90"])
        assert_alive(registry.url, "edited/app")


class TestOtherRegistries:
    @pytest.mark.parametrize("digest_delete", ["202", "403tagged"])
    def test_registries_that_delete_tags(self, pruned: Pruner, digest_delete: str) -> None:
        with HostileRegistry(digest_delete=digest_delete) as server:
            add(server, "a/app")
            (repository,) = pruned(server.url, "a/app", **ALL)["repositories"]
            assert_pruned(server.url, "a/app")
            assert sorted(repository["deleted_tags"]) == sorted(CANDIDATES)
            assert sorted(repository["deleted_digests"]) == sorted(image.digest for image in GONE)
            # No placeholder was needed.
            assert server.count("^PUT ") == 0

    def test_an_image_that_goes_with_its_last_tag_is_put_back_if_it_is_needed(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        def lose(request: Request) -> None:
            name = request.path.rpartition("/")[2]
            if request.method == "DELETE" and name in content.tags:
                digest = content.tags[name]
                if list(content.tags.values()).count(digest) == 1:
                    del content.manifests[digest]

        with HostileRegistry(tag_delete="202") as server:
            add(server, "a/app")
            content = server.repositories["a/app"]
            pruned(server.url, "a/app", plan=tmp_path / "plan", **ALL)
            server.add("a/app", images.index([OLDEST]), "again")
            server.before = lose
            with pytest.raises(Refused, match=f"again needs {OLDEST.digest} now"):
                pruned(server.url, apply_plan=tmp_path / "plan")
            assert "b-90" not in content.tags
            assert content.manifests[OLDEST.digest] == (OLDEST.media_type, OLDEST.raw)

    def test_untagged_referrers_die_with_their_subject(self, pruned: Pruner) -> None:
        """With the API there are no fallback tags; a referrer may have referrers itself."""
        proof = images.artifact("application/vnd.example.sig", b"p", "text/plain", subject=SBOM_OLD)
        safe = images.artifact("application/vnd.example.sig", b"safe", "text/plain", subject=OLDEST)
        with HostileRegistry(referrers="on") as server:
            add(server, "a/app", fallback=False)
            for image in (proof, safe):
                server.add("a/app", image)
            (repository,) = pruned(server.url, "a/app", protect=[safe.digest], **ALL)["repositories"]
            left = server.repositories["a/app"].manifests
            assert {SBOM_OLD.digest, proof.digest, OLDEST.digest}.isdisjoint(left)
            assert {SBOM_NEW.digest, safe.digest} <= left.keys()
            order = repository["deleted_digests"]
            assert order.index(proof.digest) < order.index(SBOM_OLD.digest) < order.index(OLDEST.digest)

    @pytest.mark.parametrize("tag_delete", TAG_DELETE)
    def test_where_deletion_is_disabled_nothing_is_changed(
        self, pruned: Pruner, tag_delete: str, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry(tag_delete=tag_delete, digest_delete="405") as server:
            tags = add(server, "a/app")
            before = dict(tags)
            with pytest.raises(
                Unsupported, match="a/app: The registry does not allow deletion, so nothing was changed"
            ) as caught:
                pruned(server.url, "a/app", **ALL)
            assert tags == before
            assert caught.value.result["changed"] is False
            assert caught.value.result["repositories"][0]["deleted_tags"] == []
            assert caught.value.status == 405

    @pytest.mark.parametrize("tag_delete", TAG_DELETE)
    @pytest.mark.parametrize("how", ["405", "500"])
    @pytest.mark.parametrize("count", [3, 7, 12])
    def test_deletion_that_is_disabled_half_way(
        self, pruned: Pruner, tag_delete: str, how: str, count: int, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry(tag_delete=tag_delete) as server:
            tags = add(server, "a/app")
            meanwhile(server, DELETES, lambda: setattr(server.behaviour, "digest_delete", how), count)
            with pytest.raises(ServerFault if how == "500" else Unsupported) as caught:
                pruned(server.url, "a/app", undo=tmp_path / "undo", **ALL)
            (repository,) = caught.value.result["repositories"]
            assert caught.value.result["changed"] is (tags != digests({**CANDIDATES, **KEPT}))
            assert set(repository["deleted_tags"]) == CANDIDATES.keys() - tags.keys()
            left = server.repositories["a/app"].manifests
            assert set(repository["deleted_digests"]) == {image.digest for image in GONE} - left.keys()
            assert repository["error"]
            assert_alive(server.url, "a/app")
            server.behaviour.digest_delete = "202"
            pruned(server.url, "a/app", undo=tmp_path / "undo", **ALL)
            assert_pruned(server.url, "a/app")

    @pytest.mark.parametrize("digest_delete", ["keep-tags", "dangling"])
    def test_tags_that_the_deletion_of_a_digest_leaves_are_deleted_by_their_names(
        self, pruned: Pruner, digest_delete: str, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry(digest_delete=digest_delete, tag_delete="202") as server:
            tags = add(server, "a/app")
            before = dict(tags)
            (repository,) = pruned(server.url, "a/app", undo=tmp_path / "undo", **ALL)["repositories"]
            assert_pruned(server.url, "a/app")
            assert sorted(repository["deleted_tags"]) == sorted(CANDIDATES)
            pruned(server.url, restore=tmp_path / "undo")
            assert tags == before

    @pytest.mark.parametrize("digest_delete", ["keep-tags", "dangling"])
    def test_where_tags_stay_whatever_is_done_they_are_named_and_lead_to_their_images(
        self, pruned: Pruner, digest_delete: str
    ) -> None:
        with HostileRegistry(digest_delete=digest_delete, tag_delete="405") as server:
            tags = add(server, "a/app")
            before = dict(tags)
            rules = [{"match": {"tags": ["b-4*"]}, "delete": True}]
            with pytest.raises(RegistryError, match="nor b-4. by its name, so both stay") as caught:
                pruned(server.url, "a/app", rules=rules)
            (repository,) = caught.value.result["repositories"]
            assert set(repository["deleted_tags"]) == before.keys() - tags.keys()
            for tag, digest in tags.items():
                assert images.head(server.url, "a/app", tag) == digest

    def test_a_deletion_that_fails_and_happens_is_told(self, pruned: Pruner) -> None:
        with HostileRegistry(drop_first=1, drop_on=f"DELETE .*{OLD.digest}", drop_when="after") as server:
            tags = add(server, "a/app")
            with pytest.raises(RegistryError) as caught:
                pruned(server.url, "a/app", **ALL)
            (repository,) = caught.value.result["repositories"]
            assert "b-40" in repository["deleted_tags"]
            assert OLD.digest in repository["deleted_digests"]
            assert set(repository["deleted_tags"]) == CANDIDATES.keys() - tags.keys()

    def test_a_deletion_that_does_not_happen_is_told(self, pruned: Pruner) -> None:
        with HostileRegistry(digest_delete="ignored") as server:
            add(server, "a/app")
            with pytest.raises(Unsupported, match="accepted the deletion but has ") as caught:
                pruned(server.url, "a/app", **ALL)
            (repository,) = caught.value.result["repositories"]
            assert repository["deleted_digests"] == []
            # Tags go by their names where they do not go with their images.
            assert set(repository["deleted_tags"]) == set(CANDIDATES)
            assert server.state("a/app") == digests(KEPT)

    @pytest.mark.parametrize("broken", ["b-1", "b-90"])
    def test_a_tag_that_cannot_be_read_keeps_all_digests(self, pruned: Pruner, broken: str) -> None:
        image = {**CANDIDATES, **KEPT}[broken]
        with HostileRegistry(
            fail_first=-1, fail_on=f"GET .*/manifests/{image.digest}", fail_status=500
        ) as server:
            tags = add(server, "a/app")
            result = pruned(server.url, "a/app", **ALL)
            (repository,) = result["repositories"]
            assert {one["tag"]: one["why"] for one in repository["keep"]}[broken] == "it cannot be read"
            assert (repository["digests"], repository["deleted_digests"]) == ([], [])
            assert broken in tags
            assert {image.digest for image in GONE} <= server.repositories["a/app"].manifests.keys()
            assert "b-40" not in tags
            server.behaviour.fail_first = 0
            assert_alive(server.url, "a/app")

    def test_an_index_that_engines_read_differently_keeps_all_digests(self, pruned: Pruner) -> None:
        data = {**INDEX_NEW.manifest, "manifests": [], "Manifests": [CHILD.descriptor()]}
        odd = images.Image(json.dumps(data).encode(), INDEX_NEW.media_type, {})
        with HostileRegistry() as server:
            tags = add(server, "a/app")
            server.add("a/app", CHILD, "b-42")
            server.add("a/app", odd, "m-2")
            result = pruned(server.url, "a/app", **ALL)
            (repository,) = result["repositories"]
            assert {one["tag"]: one["why"] for one in repository["keep"]}["m-2"] == "it cannot be read"
            assert repository["deleted_digests"] == []
            assert "b-42" not in tags
            assert CHILD.digest in server.repositories["a/app"].manifests

    def test_a_tag_that_becomes_unreadable_stops_digests(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        with HostileRegistry() as server:
            tags = add(server, "a/app")
            pruned(server.url, "a/app", plan=tmp_path / "plan", **ALL)
            server.behaviour.fail_first, server.behaviour.fail_on = -1, "manifests/(b-40|stable)$"
            with pytest.raises(Refused) as caught:
                pruned(server.url, apply_plan=tmp_path / "plan")
            (repository,) = caught.value.result["repositories"]
            assert "b-40" in {one["tag"] for one in repository["refused"]}
            assert repository["deleted_digests"] == []
            assert {"b-40", "stable"} <= tags.keys()


class TestMeanwhile:
    """Somebody pushes while the plan is applied."""

    @pytest.mark.parametrize("tag_delete", TAG_DELETE)
    @pytest.mark.parametrize("count", range(1, 14, 3))
    def test_a_candidate_that_moves(self, pruned: Pruner, tag_delete: str, count: int) -> None:
        pushed = aged("pushed meanwhile", 0)
        moved: list[str] = []
        with HostileRegistry(tag_delete=tag_delete) as server:
            tags = add(server, "a/app")

            def push() -> None:
                there = [tag for tag in CANDIDATES if tag in tags and tags[tag] == CANDIDATES[tag].digest]
                # The one under way may still be lost: no registry deletes on condition.
                moved.append(next(tag for tag in there if tag in ("b-40", "b-90", "a-90", "n-90")))
                server.add("a/app", pushed, moved[0])

            meanwhile(server, "^HEAD .*/manifests/[bn]-", push, 20 + count)
            try:
                pruned(server.url, "a/app", **ALL)
            except RegistryError:
                pass
            assert tags[moved[0]] == pushed.digest
            assert_alive(server.url, "a/app")

    @pytest.mark.parametrize("tag", ["again", "stable"])
    @pytest.mark.parametrize("kind", ["image", "index"])
    def test_a_push_that_needs_a_candidate(self, pruned: Pruner, tag: str, kind: str) -> None:
        """A new tag, and one that is kept and moved."""
        with HostileRegistry() as server:
            add(server, "a/app")
            (planned,) = pruned(server.url, "a/app", check_mode=True, **ALL)["repositories"]
            digest = planned["digests"][-1]
            image = next(image for image in GONE if image.digest == digest)
            pushed = images.index([image]) if kind == "index" else image
            meanwhile(server, DELETES, lambda: server.add("a/app", pushed, tag), 5)
            with pytest.raises(Refused, match=f"{tag}: {tag} needs {digest} now"):
                pruned(server.url, "a/app", **ALL)
            assert images.head(server.url, "a/app", tag) == pushed.digest
            assert_complete(server.url, "a/app", pushed)

    @pytest.mark.parametrize("tag", ["release", "stable"])
    @pytest.mark.parametrize("status", [429, 503])
    def test_a_candidate_that_is_tagged_while_its_deletion_waits_survives(
        self, pruned: Pruner, tag: str, status: int
    ) -> None:
        with HostileRegistry(
            fail_first=1, fail_on=f"DELETE .*{OLD.digest}", fail_status=status, retry_after="1"
        ) as server:
            add(server, "a/app")
            meanwhile(server, f"^DELETE .*{OLD.digest}", lambda: server.add("a/app", OLD, tag))
            with pytest.raises(Refused, match=f"{tag}: {tag} needs {OLD.digest} now") as caught:
                pruned(server.url, "a/app", options={"retries": 2}, **ALL)
            assert images.head(server.url, "a/app", tag) == OLD.digest
            assert_complete(server.url, "a/app", OLD)
            (repository,) = caught.value.result["repositories"]
            assert OLD.digest not in repository["deleted_digests"]
            # The others go on.
            assert OLDEST.digest in repository["deleted_digests"]

    def test_a_candidate_that_is_tagged_while_an_answer_is_lost_survives(self, pruned: Pruner) -> None:
        with HostileRegistry(drop_first=1, drop_on=f"DELETE .*{OLD.digest}", drop_when="before") as server:
            add(server, "a/app")
            meanwhile(server, f"^DELETE .*{OLD.digest}", lambda: server.add("a/app", OLD, "release"))
            with pytest.raises(Refused, match=f"release needs {OLD.digest} now"):
                pruned(server.url, "a/app", options={"retries": 2}, **ALL)
            assert_complete(server.url, "a/app", OLD)

    def test_a_candidate_that_moves_while_its_deletion_waits_stays(self, pruned: Pruner) -> None:
        """Its image goes all the same: nothing leads to it any more."""
        pushed = aged("pushed meanwhile", 0)
        with HostileRegistry(
            fail_first=1, fail_on=f"DELETE .*{OLD.digest}", fail_status=429, retry_after="1"
        ) as server:
            tags = add(server, "a/app")
            meanwhile(server, f"^DELETE .*{OLD.digest}", lambda: server.add("a/app", pushed, "b-40"))
            with pytest.raises(Refused, match=f"b-40: it moved to {pushed.digest} while") as caught:
                pruned(server.url, "a/app", options={"retries": 2}, **ALL)
            assert tags["b-40"] == pushed.digest
            (repository,) = caught.value.result["repositories"]
            assert OLD.digest in repository["deleted_digests"] and "b-40" not in repository["deleted_tags"]

    @pytest.mark.parametrize("tag", ["again", "stable"])
    def test_what_came_too_late_is_put_back_even_after_a_failure(self, pruned: Pruner, tag: str) -> None:
        with HostileRegistry() as server:
            add(server, "a/app")
            order = pruned(server.url, "a/app", check_mode=True, **ALL)["repositories"][0]["digests"]
            image = min((OLD, OLDEST), key=lambda one: order.index(one.digest))
            server.behaviour.fail_first, server.behaviour.fail_on = -1, f"DELETE .*{order[-1]}"
            assert order[-1] != image.digest
            pushed = images.index([image])
            meanwhile(server, f"^DELETE .*{image.digest}", lambda: server.add("a/app", pushed, tag))
            with pytest.raises(ServerFault) as caught:
                pruned(server.url, "a/app", **ALL)
            assert image.digest not in caught.value.result["repositories"][0]["deleted_digests"]
            assert_complete(server.url, "a/app", pushed)

    @pytest.mark.parametrize("tag", ["again", "stable"])
    def test_what_came_too_late_is_put_back(self, pruned: Pruner, tag: str) -> None:
        """An index of candidates is pushed after the last look, just before these are deleted."""
        with HostileRegistry() as server:
            add(server, "a/app")
            inner = images.index([INDEX_OLD, OLD])
            outer = images.index([inner, NEW])
            meanwhile(server, f"^DELETE .*{INDEX_OLD.digest}", lambda: server.add("a/app", outer, tag))
            with pytest.raises(Refused, match=f"{tag}: {tag} needs .* now") as caught:
                pruned(server.url, "a/app", **ALL)
            (repository,) = caught.value.result["repositories"]
            saved = {INDEX_OLD.digest, CHILD.digest, OLD.digest}
            assert {one["digest"] for one in repository["refused"]} == saved
            assert saved.isdisjoint(repository["deleted_digests"])
            assert images.head(server.url, "a/app", tag) == outer.digest
            assert_complete(server.url, "a/app", outer)
            assert set(repository["deleted_digests"]) == {image.digest for image in GONE} - saved


class TestUndo:
    @pytest.mark.parametrize("way", ["file", "result", "unordered"])
    def test_restore_puts_everything_back(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path, way: str
    ) -> None:
        repository = f"undo/{way}"
        seed(registry.url, repository)
        undo = tmp_path / "undo"
        result = pruned(registry.url, repository, undo=None if way == "result" else undo, **ALL)
        assert ("previous" in result) is (way == "result")
        if way == "unordered":
            document = json.loads(undo.read_text())
            document["images"].reverse()
            undo.write_text(json.dumps(document))
        if way == "result":
            undo.write_text(json.dumps({"format": UNDO_FORMAT, "images": result["previous"]}))
        registry.clear_requests()
        predicted = pruned(registry.url, restore=undo, check_mode=True)
        assert writes(registry) == []
        restored = pruned(registry.url, restore=undo)
        assert restored == predicted
        assert restored["changed"] is True
        assert {one["outcome"] for one in restored["restored"]} == {"restored"}
        everything = {**CANDIDATES, **KEPT}
        assert images.state(registry.url, repository) == digests(everything)
        for image in [*everything.values(), SBOM_OLD]:
            assert_complete(registry.url, repository, image)
        again = pruned(registry.url, restore=undo)
        assert again["changed"] is False
        assert {one["outcome"] for one in again["restored"]} == {"unchanged"}

    def test_a_tag_that_is_in_use_again_is_left_alone(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        seed(registry.url, "undo/moved")
        pruned(registry.url, "undo/moved", undo=tmp_path / "undo", **ALL)
        images.push(registry.url, "undo/moved", NEW, "b-40")
        restored = pruned(registry.url, restore=tmp_path / "undo")["restored"]
        (moved,) = [one for one in restored if one["outcome"] == "moved"]
        assert moved["image"] == f"{registry.host}/undo/moved:b-40"
        assert moved["why"] == f"it is {NEW.digest} now"
        assert images.head(registry.url, "undo/moved", "b-40") == NEW.digest

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_what_garbage_collection_has_taken_is_lost_and_said_so(
        self, pruned: Pruner, tmp_path: pathlib.Path, check_mode: bool
    ) -> None:
        storage, undo = tmp_path / "storage", tmp_path / "undo"
        with Registry(storage=storage) as server:
            seed(server.url, "gc/app")
            pruned(server.url, "gc/app", undo=undo, **ALL)
        Registry(storage=storage).collect_garbage()
        with Registry(storage=storage) as server:
            document = json.loads(undo.read_text().replace(document_host(undo), server.host))
            undo.write_text(json.dumps(document))
            with pytest.raises(
                Refused, match="could not be put back.*the registry has collected sha256:"
            ) as caught:
                pruned(server.url, restore=undo, check_mode=check_mode)
            outcomes = {
                one["image"].partition("/")[2]: one["outcome"] for one in caught.value.result["restored"]
            }
            # The image that another tag has kept comes back.
            assert outcomes["gc/app:b-50"] == "restored"
            assert outcomes["gc/app:b-90"] == outcomes["gc/app:m-90"] == "lost"
            assert images.head(server.url, "gc/app", "b-90") is None
            assert images.head(server.url, "gc/app", "b-50") == (None if check_mode else SHARED.digest)
            assert_alive(server.url, "gc/app")

    def test_a_run_that_was_stopped_loses_nothing_of_its_undo_file(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        undo = tmp_path / "undo"
        with HostileRegistry() as server:
            tags = add(server, "a/app")
            before = dict(tags)
            meanwhile(server, DELETES, lambda: setattr(server.behaviour, "digest_delete", "500"), 5)
            with pytest.raises(ServerFault):
                pruned(server.url, "a/app", undo=undo, **ALL)
            assert json.loads(undo.read_text())["finished"] is False
            server.before = None
            server.behaviour.digest_delete = "202"
            pruned(server.url, "a/app", undo=undo, **ALL)
            assert json.loads(undo.read_text())["finished"] is True
            pruned(server.url, restore=undo)
            assert tags == before

    def test_undo_data_is_written_before_the_first_deletion(
        self, pruned: Pruner, tmp_path: pathlib.Path
    ) -> None:
        undo = tmp_path / "undo"
        with HostileRegistry() as server:
            add(server, "a/app")
            seen: list[int] = []
            meanwhile(server, WRITES, lambda: seen.append(len(json.loads(undo.read_text())["images"])))
            pruned(server.url, "a/app", undo=undo, **ALL)
            assert seen == [len(GONE) + 1]

    def test_where_it_cannot_be_written_nothing_is_deleted(self, pruned: Pruner, registry: Registry) -> None:
        seed(registry.url, "undo/nowhere")
        registry.clear_requests()
        with pytest.raises(InvalidInput, match="The directory /proc/no does not exist"):
            pruned(registry.url, "undo/nowhere", undo="/proc/no/undo", **ALL)
        assert writes(registry) == []

    def test_other_failures_are_no_losses(self, pruned: Pruner, tmp_path: pathlib.Path) -> None:
        undo = tmp_path / "undo"
        with HostileRegistry() as server:
            add(server, "a/app")
            pruned(server.url, "a/app", undo=undo, **ALL)
            server.behaviour.manifest_put = "412"
            with pytest.raises(Refused, match="could not be put back") as caught:
                pruned(server.url, restore=undo)
            assert {one["outcome"] for one in caught.value.result["restored"]} == {"failed", "lost"}
            server.behaviour.manifest_put = "201"
            pruned(server.url, restore=undo)
            assert server.repositories["a/app"].tags == digests({**CANDIDATES, **KEPT})


def document_host(undo: pathlib.Path) -> str:
    return str(json.loads(undo.read_text())["images"][0]["registry"])


class TestKilled:
    @pytest.mark.parametrize("seed_number", range(16))
    def test_applying_again_finishes(self, pruned: Pruner, tmp_path: pathlib.Path, seed_number: int) -> None:
        """At any request, on a registry that deletes tags or one that does not: nothing that should live is lost."""
        chance = random.Random(seed_number)
        plan, undo = tmp_path / "plan", tmp_path / "undo"
        with HostileRegistry(tag_delete=TAG_DELETE[seed_number % 2]) as server:
            tags = add(server, "a/app")
            before = dict(tags)
            pruned(server.url, "a/app", plan=plan, **ALL)
            started: list[subprocess.Popen[str]] = []

            def kill() -> None:
                # This request, which is under way, may come to nothing as well.
                if chance.random() < 0.5:
                    server.behaviour.drop_first = 1
                started[0].kill()

            meanwhile(server, WRITES if seed_number % 4 else ".", kill, chance.randint(1, 18))
            started.append(start(server.url, apply_plan=plan, undo=undo))
            started[0].communicate(timeout=60)
            assert started[0].returncode == -signal.SIGKILL
            server.before, server.behaviour.drop_first = None, 0
            assert_alive(server.url, "a/app")
            pruned(server.url, apply_plan=plan, undo=undo)
            assert_pruned(server.url, "a/app")
            assert not pruned(server.url, apply_plan=plan)["changed"]
            if undo.exists():
                pruned(server.url, restore=undo)
                assert tags == before

    @pytest.mark.parametrize("seed_number", range(0, 14, 2))
    def test_the_same_policy_again_finishes(
        self, pruned: Pruner, seed_number: int, tmp_path: pathlib.Path
    ) -> None:
        """Half-removed tags lead to a placeholder made just now: it must not pass for the newest image.

        What has lost its last tag is found by the undo file.
        """
        rules = [
            {"name": "last", "match": {"tags": ["b-*"]}, "keep_last": 2, "delete": True},
            {"match": {"tags": ["m-*", "n-*", "a-*"]}, "delete": True, "older_than": "30d"},
        ]
        policy: dict[str, t.Any] = {"rules": rules, "max_delete_percent": 100.0, "undo": tmp_path / "undo"}
        with HostileRegistry(tag_delete="400") as server:
            tags = add(server, "a/app")
            before = dict(tags)
            started: list[subprocess.Popen[str]] = []

            def kill() -> None:
                started[0].kill()

            # The first of them move a tag to the placeholder, and delete that.
            meanwhile(server, f"{DELETES}|^PUT .*/manifests/", kill, 3 + seed_number)
            started.append(start(server.url, repositories=["a/app"], **policy))
            started[0].communicate(timeout=60)
            assert started[0].returncode == -signal.SIGKILL
            server.before = None
            assert_alive(server.url, "a/app")
            pruned(server.url, "a/app", **policy)
            assert_pruned(server.url, "a/app")
            pruned(server.url, restore=tmp_path / "undo")
            assert tags == before

    def test_the_label_of_a_placeholder_deletes_no_other_image(self, pruned: Pruner) -> None:
        """Every image that is built FROM one with the label inherits it."""
        claim = {"ocikit.registry.removed": json.dumps({"stable": OLD.digest, "b-40": OLD.digest})}
        with HostileRegistry() as server:
            for tag in ("stable", "b-40"):
                server.add("a/app", images.image({"file": tag}, labels=claim), tag)
            server.add("a/app", NEW, "other")
            result = pruned(server.url, "a/app", rules=[{"match": {"tags": ["other"]}, "delete": True}])
            assert result["repositories"][0]["deleted_tags"] == ["other"]
            assert server.state("a/app").keys() == {"stable", "b-40"}

    @pytest.mark.parametrize("seed_number", range(4))
    def test_on_a_real_registry(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path, seed_number: int
    ) -> None:
        repository, plan = f"killed/app-{seed_number}", tmp_path / "plan"
        seed(registry.url, repository)
        pruned(registry.url, repository, plan=plan, **ALL)
        registry.clear_requests()
        moment = random.Random(seed_number).randint(40, 110)
        process = start(registry.url, apply_plan=plan)
        for _wait in range(6000):
            with open(registry.log, encoding="utf-8") as log:
                if process.poll() is not None or sum(1 for _line in log) >= moment:
                    break
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=60)
        assert_alive(registry.url, repository)
        pruned(registry.url, apply_plan=plan)
        assert_pruned(registry.url, repository)

    def test_an_interruption_tells_what_was_done(self) -> None:
        with HostileRegistry(delay=0.05, delay_on=DELETES) as server:
            tags = add(server, "a/app")
            add(server, "a/other")
            started: list[subprocess.Popen[str]] = []
            meanwhile(server, DELETES, lambda: started[0].send_signal(signal.SIGTERM), 5)
            started.append(start(server.url, repositories=["a/app", "a/other"], **ALL))
            output, errors = started[0].communicate(timeout=60)
            assert errors == ""
            result = json.loads(output)
            assert result["failed"] is True
            app, other = result["repositories"]
            assert (
                "The task was interrupted." in app["error"] and "The task was interrupted." in other["error"]
            )
            assert set(app["deleted_tags"]) == CANDIDATES.keys() - tags.keys()
            assert result["changed"] is True
            assert result["previous"]
            assert server.repositories["a/other"].tags == digests({**CANDIDATES, **KEPT})
            assert_alive(server.url, "a/app")


class TestDocumentation:
    def test_every_result_is_documented(
        self, pruned: Pruner, registry: Registry, tmp_path: pathlib.Path
    ) -> None:
        documented = yaml.safe_load(registry_prune.RETURN)
        seed(registry.url, "documented/app")
        result = pruned(registry.url, "documented/app", **ALL)
        (tmp_path / "undo").write_text(json.dumps({"format": UNDO_FORMAT, "images": result["previous"]}))
        result.update(pruned(registry.url, restore=tmp_path / "undo"))
        policy = {"repositories": ["documented/app"], "rules": RULES}
        more = {"policies": [policy], "undo": tmp_path / "new", "max_delete_percent": 100.0}
        result.update(pruned(registry.url, **t.cast("dict[str, t.Any]", more)))
        # error is that of a failed task.
        assert result.keys() ^ documented.keys() == {"changed", "diff", "error"}
        for key in ("policies", "repositories", "previous", "restored", "runs"):
            assert result[key][0].keys() == documented[key]["contains"].keys()

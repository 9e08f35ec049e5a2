# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a prune: diffs that can be read, plans that stay the same, undo files that lose nothing."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, Refused
from ansible_collections.ocikit.registry.plugins.module_utils._prune.apply import (
    PLAN_FORMAT,
    UNDO_FORMAT,
    UndoFile,
    diff_of,
    read_document,
    write_document,
)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def verdict(tag: str, why: str, number: int = 1) -> dict[str, t.Any]:
    return {"tag": tag, "digest": digest(number), "created": None, "why": why}


def plan(victims: t.Sequence[dict[str, t.Any]], kept: int) -> dict[str, t.Any]:
    return {
        "registry": "r.example.com",
        "repository": "team/app",
        "delete": list(victims),
        "keep": [verdict(f"kept-{number}", "no rule names it") for number in range(kept)],
        "digests": [digest(1), digest(2)],
        "bytes": 12345,
    }


def undo_entry(number: int, tags: t.Sequence[str], repository: str = "team/app") -> dict[str, t.Any]:
    return {
        "registry": "r.example.com",
        "repository": repository,
        "digest": digest(number),
        "tags": list(tags),
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "manifest": "e30=",
    }


class TestDiff:
    def test_few_victims_are_named_with_their_rule(self) -> None:
        victims = [verdict(f"build-{number}", "builds", number) for number in (1, 2, 3)]
        assert diff_of([plan(victims, 7)]) == {
            "before": "r.example.com/team/app: 10 tags\n"
            f"  build-1 {digest(1)} (builds)\n"
            f"  build-2 {digest(2)} (builds)\n"
            f"  build-3 {digest(3)} (builds)\n",
            "after": "r.example.com/team/app: 7 tags, 2 digests and 12345 bytes less\n",
        }

    def test_many_are_summed_up_by_rule(self) -> None:
        victims = [verdict(f"build-{number:04}", "builds") for number in range(2000)]
        victims += [verdict(f"pr-{number:04}", "pull requests") for number in range(600)]
        victims += [verdict(f"sha256-{number:064x}.sig", f"with {digest(number)}") for number in range(400)]
        assert diff_of([plan(victims, 1000)])["before"] == (
            "r.example.com/team/app: 4000 tags\n"
            "  2000 tags, build-0000 to build-1999 (builds)\n"
            "  600 tags, pr-0000 to pr-0599 (pull requests)\n"
            f"  400 tags, sha256-{0:064x}.sig to sha256-{399:064x}.sig (companions of digests that go)\n"
        )

    def test_repositories_with_nothing_to_delete_are_not_in_it(self) -> None:
        assert diff_of([{**plan([], 5), "digests": []}]) == {"before": "", "after": ""}


class TestDocuments:
    def test_they_are_the_same_each_time(self, tmp_path: pathlib.Path) -> None:
        path, content = tmp_path / "plan", {"repositories": [plan([verdict("a", "b")], 1)]}
        assert write_document(str(path), PLAN_FORMAT, content, True) is True
        assert not path.exists()
        assert write_document(str(path), PLAN_FORMAT, content, False) is True
        raw = path.read_bytes()
        assert write_document(str(path), PLAN_FORMAT, content, False) is False
        assert path.read_bytes() == raw
        assert read_document(str(path), PLAN_FORMAT) == content["repositories"]

    @pytest.mark.parametrize(
        "change",
        [
            {"registry": 5},
            {"repository": "Team/App"},
            {"repository": "../x"},
            {"delete": None},
            {"delete": [{**verdict("a", "b"), "digest": None}]},
            {"delete": [{**verdict("a", "b"), "tag": "a/../b"}]},
            {"delete": [{"tag": "a", "digest": digest(1)}]},
            {"keep": [{**verdict("a", "b"), "digest": "sha256:1"}]},
            {"keep": [{**verdict("a", "b"), "why": None}]},
            {"digests": ["sha256:../../x"]},
            {"bytes": "5"},
        ],
    )
    def test_plans_are_checked(self, tmp_path: pathlib.Path, change: dict[str, t.Any]) -> None:
        path = tmp_path / "plan"
        path.write_text(json.dumps({"format": PLAN_FORMAT, "repositories": [{**plan([], 1), **change}]}))
        with pytest.raises(InvalidInput, match="is not a file that registry_prune wrote"):
            read_document(str(path), PLAN_FORMAT)

    @pytest.mark.parametrize(
        "change",
        [
            {"digest": "x"},
            {"tags": "abc"},
            {"tags": ["a b"]},
            {"media_type": None},
            {"manifest": 5},
            {"repository": 1},
        ],
    )
    def test_undo_data_is_checked(self, tmp_path: pathlib.Path, change: dict[str, t.Any]) -> None:
        path = tmp_path / "undo"
        path.write_text(json.dumps({"format": UNDO_FORMAT, "images": [{**undo_entry(1, ["a"]), **change}]}))
        with pytest.raises(InvalidInput, match="is not a file that registry_prune wrote"):
            read_document(str(path), UNDO_FORMAT)


class TestUndoFile:
    def test_an_unfinished_one_is_added_to_and_a_finished_one_replaced(self, tmp_path: pathlib.Path) -> None:
        path = str(tmp_path / "undo")
        first = UndoFile(path)
        first.add([undo_entry(1, ["a", "b"]), undo_entry(2, [])])
        first.write(finished=False)

        second = UndoFile(path)
        assert second.unfinished("r.example.com", "team/app") == [digest(1), digest(2)]
        assert second.unfinished("r.example.com", "team/other") == []
        second.add([undo_entry(1, ["b", "c"]), undo_entry(3, ["d"], "team/other")])
        second.write(finished=True)
        assert [(one["digest"], one["tags"]) for one in read_document(path, UNDO_FORMAT)] == [
            (digest(1), ["a", "b", "c"]),
            (digest(2), []),
            (digest(3), ["d"]),
        ]

        third = UndoFile(path)
        assert third.unfinished("r.example.com", "team/app") == []
        third.write(finished=True)
        assert len(read_document(path, UNDO_FORMAT)) == 3
        third.add([undo_entry(9, ["z"])])
        third.write(finished=True)
        assert [one["digest"] for one in read_document(path, UNDO_FORMAT)] == [digest(9)]

    def test_what_another_task_wrote_meanwhile_is_not_lost(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "undo"
        first, second = UndoFile(str(path)), UndoFile(str(path))
        first.add([undo_entry(1, ["a"])])
        first.write(finished=False)
        before = path.read_bytes()
        second.add([undo_entry(2, ["b"])])
        with pytest.raises(Refused, match="was written by another task meanwhile: give each task"):
            second.write(finished=False)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]
        first.write(finished=True)
        assert [one["digest"] for one in read_document(str(path), UNDO_FORMAT)] == [digest(1)]

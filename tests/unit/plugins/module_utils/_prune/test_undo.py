# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo files: each run adds what it deletes, nothing that can be put back is lost, and what is read is checked."""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._prune.undo import (
    UNDO_FORMAT,
    UndoEntry,
    UndoFile,
    choose_runs,
    read_runs,
)

APP, OTHER = ("r.example.com", "team/app"), ("r.example.com", "team/other")


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def entry(number: int, tags: t.Sequence[str], place: tuple[str, str] = APP) -> UndoEntry:
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return UndoEntry(*place, digest(number), tuple(tags), media_type, "e30=")


def content(path: str) -> list[list[tuple[str, list[str]]]]:
    """The digests and tags of each run in a file."""
    return [[(one.digest, list(one.tags)) for one in run.entries.values()] for run in read_runs(path)]


@pytest.fixture(name="path")
def fixture_path(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "undo")


class TestUndoFile:
    def test_each_run_is_added_to_those_before(self, path: str) -> None:
        for number in range(3):
            file = UndoFile(path)
            file.begin(APP, [entry(number, [f"tag-{number}"])])
            file.finish(APP, before=True)
            file.close()
        assert content(path) == [[(digest(number), [f"tag-{number}"])] for number in range(3)]
        assert all(run.finished for run in read_runs(path))
        assert len({run.name for run in read_runs(path)}) == 3

    def test_a_run_without_deletions_leaves_the_file_as_it_is(self, path: str) -> None:
        file = UndoFile(path)
        file.finish(APP, before=True)
        file.close()
        assert not pathlib.Path(path).exists()
        file = UndoFile(path)
        file.begin(APP, [entry(1, ["a"])])
        file.finish(APP, before=True)
        file.close()
        before = pathlib.Path(path).read_bytes()
        file = UndoFile(path)
        file.finish(APP, before=True)
        file.close()
        assert pathlib.Path(path).read_bytes() == before

    def test_what_a_stopped_run_left_is_known_until_a_run_has_finished_the_repository(
        self, path: str
    ) -> None:
        stopped = UndoFile(path)
        stopped.begin(APP, [entry(1, ["a", "b"]), entry(2, [])])
        stopped.begin(OTHER, [entry(3, ["c"], OTHER)])
        assert [run.finished for run in read_runs(path)] == [False]

        second = UndoFile(path)
        assert second.unfinished(APP) == [digest(1), digest(2)]
        assert second.unfinished(OTHER) == [digest(3)]
        second.begin(APP, [entry(1, ["a"])])
        second.finish(APP, before=True)
        second.close()

        third = UndoFile(path)
        assert third.unfinished(APP) == []
        assert third.unfinished(OTHER) == [digest(3)]
        third.finish(OTHER, before=True)
        third.close()
        assert [run.finished for run in read_runs(path)] == [True, True]
        assert content(path)[0] == [(digest(1), ["a", "b"]), (digest(2), []), (digest(3), ["c"])]

    def test_a_run_that_did_not_deal_with_what_was_left_leaves_it(self, path: str) -> None:
        UndoFile(path).begin(APP, [entry(1, ["a"])])
        other = UndoFile(path)
        other.begin(APP, [entry(2, ["b"])])
        other.finish(APP, before=False)
        other.close()
        assert UndoFile(path).unfinished(APP) == [digest(1)]
        assert [run.finished for run in read_runs(path)] == [False, True]

    def test_what_another_task_wrote_meanwhile_is_not_lost(self, path: str, tmp_path: pathlib.Path) -> None:
        first, second = UndoFile(path), UndoFile(path)
        first.begin(APP, [entry(1, ["a"])])
        second.begin(OTHER, [entry(2, ["b"], OTHER)])
        first.begin(APP, [entry(3, ["c"])])
        for file, place in ((second, OTHER), (first, APP)):
            file.finish(place, before=True)
            file.close()
        assert sorted(content(path)) == [
            [(digest(1), ["a"]), (digest(3), ["c"])],
            [(digest(2), ["b"])],
        ]
        assert all(run.finished for run in read_runs(path))
        assert list(tmp_path.iterdir()) == [pathlib.Path(path)]

    def test_finished_runs_are_kept_for_as_many_days_as_the_user_says(self, path: str) -> None:
        def run(name: str, number: int, pending: bool = False) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
            return (
                {"run": name, "pending": [list(APP)] if pending else []},
                {"run": name, **entry(number, ["a"]).to_dict()},
            )

        made = [
            run("first", 1),
            run("20200101T000000Z-aaaaaa", 2),
            run("20200101T000000Z-bbbbbb", 3, pending=True),
            run(f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-cccccc", 4),
        ]
        document = {"runs": [one for one, _image in made], "images": [image for _one, image in made]}
        pathlib.Path(path).write_text(json.dumps({"format": UNDO_FORMAT, **document}))
        UndoFile(path).begin(OTHER, [entry(5, ["b"], OTHER)])
        assert [len(run) for run in content(path)] == [1, 1, 1, 1, 1]
        UndoFile(path, days=30).begin(OTHER, [entry(6, ["b"], OTHER)])
        assert [run[0][0] for run in content(path)] == [digest(number) for number in (1, 3, 4, 5, 6)]

    def test_a_file_that_another_task_has_replaced_by_something_else_is_left_alone(self, path: str) -> None:
        file = UndoFile(path)
        pathlib.Path(path).write_text("mine")
        with pytest.raises(InvalidInput, match="is not a file that registry_prune wrote"):
            file.begin(APP, [entry(1, ["a"])])
        assert pathlib.Path(path).read_text() == "mine"


class TestFilesWithoutRuns:
    """Those of earlier versions, and the result ``previous`` that somebody wrote to a file."""

    def write(self, path: str, **more: t.Any) -> None:
        images = [entry(1, ["a"]).to_dict(), entry(2, ["b"], OTHER).to_dict()]
        pathlib.Path(path).write_text(json.dumps({"format": UNDO_FORMAT, **more, "images": images}))

    @pytest.mark.parametrize("more", [{}, {"finished": True}])
    def test_it_is_one_run_that_others_are_added_to(self, path: str, more: dict[str, t.Any]) -> None:
        self.write(path, **more)
        file = UndoFile(path)
        assert file.unfinished(APP) == []
        file.begin(APP, [entry(3, ["c"])])
        assert content(path) == [[(digest(1), ["a"]), (digest(2), ["b"])], [(digest(3), ["c"])]]
        assert read_runs(path)[0].name == "first"

    def test_an_unfinished_one_is_known_as_that(self, path: str) -> None:
        self.write(path, finished=False)
        file = UndoFile(path)
        assert (file.unfinished(APP), file.unfinished(OTHER)) == ([digest(1)], [digest(2)])
        file.finish(APP, before=True)
        file.close()
        assert UndoFile(path).unfinished(APP) == []
        assert UndoFile(path).unfinished(OTHER) == [digest(2)]


class TestReading:
    @pytest.mark.parametrize(
        "change",
        [
            {"digest": "x"},
            {"tags": "abc"},
            {"tags": ["a b"]},
            {"media_type": None},
            {"manifest": 5},
            {"repository": 1},
            {"registry": None},
            {"run": 5},
        ],
    )
    def test_entries_are_checked(self, path: str, change: dict[str, t.Any]) -> None:
        images = [{**entry(1, ["a"]).to_dict(), **change}]
        pathlib.Path(path).write_text(json.dumps({"format": UNDO_FORMAT, "images": images}))
        with pytest.raises(InvalidInput, match="is not a file that registry_prune wrote"):
            read_runs(path)

    @pytest.mark.parametrize("change", [{"run": None}, {"pending": ["ab"]}, {"pending": [["r", "../x"]]}])
    def test_runs_are_checked(self, path: str, change: dict[str, t.Any]) -> None:
        runs = [{"run": "x", "pending": [], **change}]
        pathlib.Path(path).write_text(json.dumps({"format": UNDO_FORMAT, "runs": runs, "images": []}))
        with pytest.raises(InvalidInput, match="is not a file that registry_prune wrote"):
            read_runs(path)

    def test_runs_are_chosen_by_name_or_as_the_last(self, path: str) -> None:
        names = []
        for number in range(3):
            file = UndoFile(path)
            file.begin(APP, [entry(number, ["a"])])
            names.append(file.run_name)
        runs = read_runs(path)
        assert [run.name for run in choose_runs(runs, None)] == names
        assert [run.name for run in choose_runs(runs, names[1])] == [names[1]]
        assert [run.name for run in choose_runs(runs, "last")] == [names[2]]
        with pytest.raises(InvalidInput, match=f"has no run 'x': its newest are .*{names[2]}"):
            choose_runs(runs, "x")

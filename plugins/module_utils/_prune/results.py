# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The result of a prune, which stays small whatever was pruned: counts, and the first entries of each list.

A result goes through pipes, logs and databases in one piece. What is left out is in plan files and undo files, and in the
result with ``details``.
"""

from __future__ import annotations

import json
import typing as t

from .apply import Outcome
from .undo import Restored, Run, UndoEntry

# Bytes of JSON: all of a result stays below 64 KiB, also with the message of a failure and its parts.
_RESULT_LIMIT = 48 << 10
_PREVIOUS_LIMIT = 24 << 10
_DIFF_LIMIT = 6 << 10
_MESSAGE_LIMIT = 1000
_RUNS = 50
_RULES = 10
# So many entries of each list are shown: the largest number with which all repositories have room.
_LENGTHS = (300, 100, 30, 10, 3, 1, 0)
# What could not be put back is shown first.
_OUTCOMES = ("failed", "lost", "moved", "restored", "unchanged")

Result = t.Dict[str, t.Any]


def size_of(value: t.Any) -> int:
    """Return the bytes of a value as JSON."""
    return len(json.dumps(value))


def shortened(text: str, limit: int = _MESSAGE_LIMIT) -> str:
    """Return a message without what is beyond ``limit`` characters of it."""
    return text if len(text) <= limit else text[:limit] + "…"


def prune_result(
    changed: bool,
    outcomes: t.Sequence[Outcome],
    diff: t.Mapping[str, str],
    previous: t.Sequence[UndoEntry],
    details: bool,
) -> Result:
    """Return the result of a prune: its ``outcomes``, one for each repository, and the ``diff`` of their tags.

    ``previous`` undoes it, where no undo file does.

    Without ``details`` lists are cut short as far as is needed; ``truncated`` says so.
    """
    repositories = [outcome.to_dict() for outcome in outcomes]
    undo = [entry.to_dict() for entry in previous]
    shown, shown_diff, shown_undo = repositories, dict(diff), undo
    if not details:
        shown_diff = {side: _without_end(text) for side, text in diff.items()}
        shown_undo = undo if size_of(undo) <= _PREVIOUS_LIMIT else []
        shown = _without_ends(repositories, _RESULT_LIMIT - size_of(shown_undo) - size_of(shown_diff))
    result: Result = {
        "changed": changed,
        "totals": _totals(outcomes),
        "truncated": shown != repositories or shown_undo != undo,
        "repositories": shown,
        "diff": shown_diff,
    }
    return {**result, "previous": shown_undo} if shown_undo else result


def fits(previous: t.Sequence[UndoEntry]) -> bool:
    """Tell whether a result without details has room for what undoes the prune."""
    return size_of([entry.to_dict() for entry in previous]) <= _PREVIOUS_LIMIT


def restore_result(done: t.Sequence[Restored], runs: t.Sequence[Run], details: bool) -> Result:
    """Return the result of putting back what was deleted, cut short like that of a prune.

    ``runs`` are all in the undo file, of which the newest are named.
    """
    restored = [image.to_dict() for image in done]
    shown = restored
    if not details and size_of(restored) > _RESULT_LIMIT:
        ranked = sorted(restored, key=lambda image: _OUTCOMES.index(image["outcome"]))
        shown = _first(ranked, _RESULT_LIMIT)
    return {
        "changed": any(image.outcome == "restored" for image in done),
        "totals": {outcome: sum(image.outcome == outcome for image in done) for outcome in _OUTCOMES},
        "truncated": shown != restored,
        "restored": shown,
        "runs": [
            {"run": run.name, "finished": run.finished, "images": len(run.entries)} for run in runs[-_RUNS:]
        ],
    }


def _totals(outcomes: t.Sequence[Outcome]) -> dict[str, int]:
    totals = {
        "repositories": len(outcomes),
        "incomplete": sum(outcome.incomplete for outcome in outcomes),
        "bytes": sum(outcome.plan.bytes for outcome in outcomes if not outcome.error),
    }
    for outcome in outcomes:
        for name, count in outcome.counts.items():
            totals[name] = totals.get(name, 0) + count
    return totals


def _without_ends(repositories: t.Sequence[Result], room: int) -> list[Result]:
    """Return repositories with their lists cut short so that they have ``room`` bytes.

    If even that is too much, the first of those that something is wrong with are shown, then of those with work.
    """
    if size_of(repositories) <= room:
        return list(repositories)
    shown = list(repositories)
    for length in _LENGTHS:
        shown = [
            {
                name: value[:length]
                if name in entry["counts"]
                else value[:_RULES]
                if name == "rules"
                else value
                for name, value in entry.items()
            }
            for entry in repositories
        ]
        shown = [{**entry, "error": entry["error"] and shortened(entry["error"])} for entry in shown]
        if size_of(shown) <= room:
            return shown
    numbers = sorted(range(len(shown)), key=lambda number: _rank(repositories[number]))
    chosen = _first([{**shown[number], "number": number} for number in numbers], room)
    return [shown[number] for number in sorted(entry["number"] for entry in chosen)]


def _rank(repository: Result) -> int:
    if repository["error"] or repository["refused"]:
        return 0
    return 1 if repository["delete"] or repository["digests"] else 2


def _first(entries: t.Sequence[Result], room: int) -> list[Result]:
    """Return the first entries that have ``room`` bytes together."""
    chosen: list[Result] = []
    for entry in entries:
        room -= size_of(entry) + 2
        if room < 0:
            break
        chosen.append(entry)
    return chosen


def _without_end(diff: str) -> str:
    """Return one side of a diff, with a line in place of those for which there is no room."""
    if size_of(diff) <= _DIFF_LIMIT:
        return diff
    lines = diff.splitlines(keepends=True)
    room = _DIFF_LIMIT - 100
    for number, line in enumerate(lines):
        room -= size_of(line)
        if room < 0:
            return "".join(lines[:number]) + f"and {len(lines) - number} more lines\n"
    return diff

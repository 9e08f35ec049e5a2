# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the matrix of versions holds, and what it says of what cannot run."""

from __future__ import annotations

import pathlib

import pytest

from tests import matrix

PRINTED = "\n3 failed, 40 passed, 2 skipped in 65.10s (0:01:05)\n\n0 passed, 1 failed\n"
ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_each_version_is_in_a_row() -> None:
    assert [row.series for row in matrix.ROWS] == ["2.16", "2.17", "2.18", "2.19", "2.20", "2.21", "2.22"]
    assert {row.controller for row in matrix.ROWS} == {"3.10", "3.11", "3.12", "3.13"}
    targets = {version for row in matrix.ROWS for version in row.targets}
    assert targets == {"3.8", "3.9", "3.10", "3.11", "3.12", "3.13"}
    assert {row.requests for row in matrix.ROWS} == set(matrix.REQUESTS)


def test_what_a_row_runs_is_there() -> None:
    assert all((ROOT / path).exists() for path in matrix.UNIT_TESTS)
    folder = ROOT / "tests" / "integration" / "targets"
    names = {path.name for path in folder.iterdir()}
    assert names.issuperset(matrix.REPRESENTATIVE_TARGETS) and names.issuperset(matrix.ON_TARGETS)


def test_rows_and_parts_are_selected_by_their_names() -> None:
    selection = {
        row.series: parts for row, parts in matrix.chosen(["2.22:unit", "2.16", "2.22:targets"]).items()
    }
    assert selection == {"2.16": set(matrix.PARTS), "2.22": {"unit", "targets"}}
    assert list(matrix.chosen([])) == list(matrix.ROWS)
    for name in ("2.15", "2.16:nothing"):
        with pytest.raises(SystemExit, match=f"{name} is no row"):
            matrix.chosen([name])


def test_a_missing_python_is_named() -> None:
    with pytest.raises(matrix.Unavailable, match="Python 3.99 is not on this machine"):
        matrix.find_python("3.99")


def test_a_selected_row_without_its_python_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all rows, it is named and left out."""
    monkeypatch.setattr(matrix, "ROWS", (matrix.Row("2.16", "3.99", "newest", ()),))
    monkeypatch.setattr(matrix, "CACHE", tmp_path)
    for arguments, code in ([], 0), (["2.16:unit"], 1):
        monkeypatch.setattr("sys.argv", ["matrix", *arguments])
        assert matrix.main() == code
        assert (
            "| 2.16 | 3.99 | newest | not run: Python 3.99 is not on this machine |"
            in capsys.readouterr().out
        )


def test_a_failed_part_fails_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    result = matrix.Result(matrix.ROWS[0])
    monkeypatch.setattr(matrix, "make_environment", lambda *_arguments: pathlib.Path("/nowhere"))
    monkeypatch.setattr(matrix, "versions", lambda _environment: ("2.16.9", "2.19.1"))
    monkeypatch.setattr(matrix, "run", lambda *_arguments, **_variables: (1, PRINTED))
    result.test(["unit"], representative=False)
    assert not result.passed
    assert "| 2.16.9 | 3.10 | 2.19.1 | FAILED: 3 failed, 40 passed, 2 skipped | not run |" in matrix.table(
        [result]
    )

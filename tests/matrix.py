# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests with each version of ansible-core, Python and requests: ``python -m tests.matrix [ROW[:PART]...]``.

Each row is one series of ansible-core. The rows hold each series and each Python, not all pairs of them. A part is ``unit``,
``in-process`` or ``as-modules`` (integration targets, by the way a task runs), or ``targets`` (integration targets, with the
Python of a target). Rows that are not named are left out; without any name all parts of all rows run. Virtual environments are
kept in ``.cache/matrix``. At the end a table in Markdown shows the results, as README.md and docs/compatibility.md have it.
"""

from __future__ import annotations

import argparse
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "matrix"
PARTS = ("unit", "in-process", "as-modules", "targets")


class Row(t.NamedTuple):
    """One series of ansible-core, and what it runs with."""

    series: str
    controller: str
    requests: str
    targets: tuple[str, ...]


# Each row has the oldest Python of targets that both ansible-core and the modules support, and a newer one.
ROWS = (
    Row("2.16", "3.10", "oldest", ("3.8", "3.12")),
    Row("2.17", "3.12", "newest", ("3.8", "3.10")),
    Row("2.18", "3.13", "newest", ("3.8", "3.13")),
    Row("2.19", "3.11", "newest", ("3.8", "3.11")),
    Row("2.20", "3.12", "newest", ("3.9", "3.12")),
    Row("2.21", "3.13", "newest", ("3.9", "3.13")),
    Row("2.22", "3.13", "newest", ("3.9", "3.13")),
)
# urllib3 1.23 does not start on Python 3.12 and newer.
REQUESTS = {
    "newest": ("requests",),
    "oldest": ("--requirement", str(ROOT / "tests" / "requirements-oldest.in")),
}
OLDEST_REQUESTS_ON_TARGETS = ("3.8",)
LIBRARIES = ("cryptography", "zstandard")
TOOLS = ("pytest", "pytest-timeout", "pytest-xdist")
# The unit tests that run tasks, lookups, filters or plays; the others know nothing of ansible-core.
UNIT_TESTS = (
    "tests/unit/plugins/action",
    "tests/unit/plugins/filter",
    "tests/unit/plugins/lookup",
    "tests/unit/plugins/modules",
    "tests/unit/test_examples.py",
    "tests/unit/test_playbooks.py",
    "tests/unit/test_remote_targets.py",
)
# Of them those that run a whole play, a lookup or a filter.
REPRESENTATIVE_UNIT_TESTS = tuple(
    path for path in UNIT_TESTS if not path.endswith(("/modules", "/test_examples.py"))
)
# What tags, deletes, stores files and writes all or nothing, a lookup, and a role; in two halves that take about as long.
REPRESENTATIVE_TARGETS = (
    "lookup_registry_digest",
    "registry_promote",
    "registry_prune",
    "registry_pull",
    "registry_tag",
    "role_promote",
)
ON_TARGETS = ("registry_prune", "registry_pull", "registry_tag")


class Unavailable(Exception):
    """What a row needs is not on this machine."""


def find_python(version: str) -> pathlib.Path:
    """Return a program that is Python ``version``: that of pyenv, else one in ``PATH``.

    Raises:
        Unavailable: There is none.
    """
    # tests/run gives tests a home directory of their own.
    home = pathlib.Path(os.environ.get("ORIGINAL_HOME") or pathlib.Path.home())
    candidates = sorted(home.glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    in_path = shutil.which(f"python{version}")
    for candidate in [*candidates, *([pathlib.Path(in_path)] if in_path else [])]:
        # A shim of pyenv is no Python.
        done = subprocess.run([candidate, "-c", ""], capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
    raise Unavailable(f"Python {version} is not on this machine")


def make_environment(name: str, python: str, *requirements: str) -> pathlib.Path:
    """Make the virtual environment ``name`` with the newest versions that ``requirements`` permit; return its folder."""
    folder = CACHE / name
    if not (folder / "bin" / "python").exists():
        subprocess.run([find_python(python), "-m", "venv", "--clear", folder], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--upgrade", *requirements], check=True)
    return folder


def pinned(names: t.Collection[str]) -> list[str]:
    """Return ``names`` with the versions that all other tests have."""
    lines = (ROOT / "tests" / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.partition("==")[0] in names]


def versions(environment: pathlib.Path) -> tuple[str, str]:
    """Return the versions of ansible-core (empty if it is not there) and requests in an environment."""
    code = (
        "import importlib.metadata as m\n"
        "names = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        "print(names.get('ansible-core', ''), names['requests'], sep='\\n')"
    )
    python = environment / "bin" / "python"
    printed = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    core, requests = printed.split("\n")[:2]
    return core, requests


class Outcome(t.NamedTuple):
    """Whether a part passed, and its cell in the table."""

    passed: bool
    cell: str


def run(environment: pathlib.Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Call tests/run with the programs of ``environment``; return its exit code and what it printed."""
    settings = {**os.environ, "OCIKIT_TEST_ENVIRONMENT": str(environment), **variables}
    settings["HOME"] = os.environ.get("ORIGINAL_HOME") or os.environ["HOME"]
    process = subprocess.Popen(
        [ROOT / "tests" / "run", *arguments],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        lines.append(line)
    return process.wait(), "".join(lines)


def run_unit_tests(environment: pathlib.Path, representative: bool) -> Outcome:
    """Run the unit tests that depend on ansible-core."""
    paths = REPRESENTATIVE_UNIT_TESTS if representative else UNIT_TESTS
    processes = str((os.cpu_count() or 1) * 3)
    # Fixtures of a file that run plays are made once.
    code, output = run(environment, "unit", "--numprocesses", processes, "--dist", "loadfile", *paths)
    # pytest's last line, not the summary of tests/run.
    summary = re.search(r"^(?:=+ )?([0-9]+ [a-z0-9, ]+) in [0-9.]+s", output, re.MULTILINE)
    cell = summary[1] if summary else "no test ran"
    return Outcome(code == 0, cell if code == 0 else f"FAILED: {cell}")


def run_targets(environment: pathlib.Path, step: str, names: t.Sequence[str], **variables: str) -> Outcome:
    """Run integration targets, all if there are no ``names``."""
    code, output = run(environment, step, *names, **variables)
    count = len(re.findall(r"^Running \S+ integration test ", output, re.MULTILINE))
    return Outcome(code == 0, f"{count} targets pass" if code == 0 else f"FAILED, {count} targets ran")


def run_in_process(environment: pathlib.Path, representative: bool) -> Outcome:
    """Run integration targets in the worker process of Ansible."""
    return run_targets(environment, "integration", REPRESENTATIVE_TARGETS if representative else ())


def run_as_modules(environment: pathlib.Path, representative: bool) -> Outcome:
    """Run integration targets as modules of processes of their own."""
    return run_targets(
        environment, "integration-as-modules", REPRESENTATIVE_TARGETS if representative else ()
    )


def run_on_target(environment: pathlib.Path, python: str) -> Outcome:
    """Run integration targets as modules by another ``python`` than that of the controller."""
    requests = "oldest" if python in OLDEST_REQUESTS_ON_TARGETS else "newest"
    target = make_environment(f"target-{python}", python, *REQUESTS[requests])
    interpreter = str(target / "bin" / "python")
    outcome = run_targets(environment, "integration", ON_TARGETS, OCIKIT_TEST_TARGET_PYTHON=interpreter)
    return Outcome(outcome.passed, f"{python} with requests {versions(target)[1]}: {outcome.cell}")


RUNNERS = {"unit": run_unit_tests, "in-process": run_in_process, "as-modules": run_as_modules}


class Result:
    """What the parts of one row gave."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.core = row.series
        self.requests = row.requests
        self.cells: dict[str, list[str]] = {}
        self.passed = True

    def test(self, parts: t.Collection[str], representative: bool) -> None:
        """Run ``parts``, with all their tests or ``representative`` ones.

        Raises:
            Unavailable: The Python of the controller is not on this machine.
        """
        row = self.row
        environment = make_environment(
            f"ansible-core-{row.series}",
            row.controller,
            # A pre-release is as good as a release where there is no release.
            f"ansible-core~={row.series}.0a1" if row == ROWS[-1] else f"ansible-core~={row.series}.0",
            *REQUESTS[row.requests],
            *pinned([*LIBRARIES, *(TOOLS if "unit" in parts else [])]),
        )
        self.core, self.requests = versions(environment)
        for part in (part for part in PARTS if part in parts):
            if part == "targets":
                for python in row.targets:
                    self._test(part, functools.partial(run_on_target, environment, python))
            else:
                self._test(part, functools.partial(RUNNERS[part], environment, representative))

    def _test(self, part: str, runner: t.Callable[[], Outcome]) -> None:
        print(f"\n== ansible-core {self.core} on Python {self.row.controller}: {part}", flush=True)
        started = time.monotonic()
        try:
            outcome = runner()
        except Unavailable as error:
            outcome = Outcome(True, f"not run: {error}")
        print(f"== {outcome.cell} ({time.monotonic() - started:.0f} s)", flush=True)
        self.cells.setdefault(part, []).append(outcome.cell)
        self.passed = self.passed and outcome.passed


HEADINGS = (
    "ansible-core",
    "Python",
    "requests",
    "unit tests",
    "in the worker process",
    "as modules",
    "as modules on another Python",
)


def table(results: t.Sequence[Result]) -> str:
    """Return the results in Markdown."""
    lines = [[*HEADINGS], ["--"] * len(HEADINGS)]
    for result in results:
        cells = ["; ".join(result.cells.get(part, ["not run"])) for part in PARTS]
        lines.append([result.core, result.row.controller, result.requests, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def chosen(selection: t.Sequence[str]) -> dict[Row, set[str]]:
    """Return the rows that ``selection`` names, each with its parts; all if it names none.

    Raises:
        SystemExit: A name is unknown.
    """
    rows = {row.series: row for row in ROWS}
    parts: dict[Row, set[str]] = {}
    for name in selection or rows:
        series, _colon, part = name.partition(":")
        if series not in rows or part not in ("", *PARTS):
            raise SystemExit(
                f"{name} is no row: write {' or '.join(rows)}, and perhaps :{' or :'.join(PARTS)}."
            )
        parts.setdefault(rows[series], set()).update([part] if part else PARTS)
    return {row: parts[row] for row in ROWS if row in parts}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("selection", nargs="*", metavar="ROW[:PART]")
    parser.add_argument(
        "--representative",
        action="store_true",
        help=f"fewer tests; of the integration targets {', '.join(REPRESENTATIVE_TARGETS)}",
    )
    options = parser.parse_args()
    results = []
    for row, parts in chosen(options.selection).items():
        result = Result(row)
        results.append(result)
        try:
            result.test(parts, options.representative)
        except Unavailable as error:
            # A row that was asked for by its name must not be left out.
            result.passed = not options.selection
            result.cells = {part: [f"not run: {error}"] for part in parts}
    print(f"\n{table(results)}")
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

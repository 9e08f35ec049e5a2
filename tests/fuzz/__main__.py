# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzzes and shows figures: PYTHONPATH=.cache/dev .venv/bin/python -m tests.fuzz [--seconds 120] [--target NAME] [FILE...]

Ends with 1 when there was a finding, whose input is then among the kept ones. With FILEs these are replayed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
import typing as t

from tests.fuzz.generated import fuzz
from tests.fuzz.targets import CORPUS, TARGETS, Target

WORK = pathlib.Path(__file__).resolve().parents[2] / ".cache" / "fuzz"
_OPTIONS = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=1")
# A process that does not end by itself is stopped this long after its time.
_GRACE = 60
_FINDINGS = ("crash", "timeout", "oom")
_WORD = re.compile(rb"[A-Za-z0-9_.+/-]{2,40}|[^A-Za-z0-9\s]{1,3}")


class Figures(t.NamedTuple):
    """What came of a target. ``found`` is the input of the finding."""

    target: str
    engine: str
    executions: int
    seconds: float
    new: int
    found: pathlib.Path | None


def guided(target: Target, seconds: int) -> Figures:
    """Fuzz with atheris. What reaches new code is remembered in the work folder, for the next time."""
    work = WORK / target.name
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ocikit-fuzz-", dir=_fastest()) as place:
        words = pathlib.Path(place) / "words"
        words.write_text("".join(f'"{word}"\n' for word in _words(target)), encoding="ascii")
        command = [sys.executable, "-m", "tests.fuzz.guided", target.name, *_OPTIONS]
        command += [f"-max_total_time={seconds}", f"-artifact_prefix={place}/", f"-dict={words}"]
        command += [str(work), str(CORPUS / target.name)]
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds + _GRACE,
                check=False,
                env={**os.environ, "TMPDIR": place},
            )
        except subprocess.TimeoutExpired:
            raise SystemExit(f"The process for {target.name} did not end.") from None
        inputs = [path for kind in _FINDINGS for path in pathlib.Path(place).glob(f"{kind}-*")]
        found = _keep(target, inputs[0].read_bytes()) if inputs else None
    log = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        print(log[-6000:])
        if found is None:
            raise SystemExit(f"The process for {target.name} ended with {done.returncode}.")
    numbers = dict(re.findall(r"stat::(\w+):\s+(\d+)", log))
    executions, new = (int(numbers.get(name, 0)) for name in ("number_of_executed_units", "new_units_added"))
    return Figures(target.name, "atheris", executions, time.monotonic() - started, new, found)


def _fastest() -> str | None:
    """Return a folder in memory, where there is one: some targets read files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def generated(target: Target, seconds: int) -> Figures:
    """Fuzz with hypothesis, which does not know what code an input reaches."""
    started = time.monotonic()
    executions, finding = fuzz(target, seconds)
    found = None
    if finding:
        traceback.print_exception(finding.error)
        found = _keep(target, finding.data)
    return Figures(target.name, "hypothesis", executions, time.monotonic() - started, 0, found)


def _words(target: Target) -> list[str]:
    """Return the words of the kept inputs, as libFuzzer's dictionaries are written."""
    found = {word for path in target.seeds for word in _WORD.findall(path.read_bytes())}
    return ["".join(f"\\x{byte:02x}" for byte in word) for word in sorted(found)]


def _keep(target: Target, data: bytes) -> pathlib.Path:
    path = CORPUS / target.name / f"finding-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _replay(target: Target, paths: t.Iterable[pathlib.Path]) -> None:
    for path in paths:
        target.check(path.read_bytes())
        print(f"{path}: nothing to complain of")


def _show(figures: t.Sequence[Figures]) -> None:
    print(
        "\n| target | engine | executions | per second | new inputs | findings |\n|---|---|--:|--:|--:|--:|"
    )
    for one in figures:
        rate = one.executions / max(one.seconds, 1)
        print(
            f"| {one.target} | {one.engine} | {one.executions} | {rate:.0f} | {one.new} | {int(bool(one.found))} |"
        )
    for one in figures:
        if one.found:
            print(f"\nA finding in {one.target}: python -m tests.fuzz --target {one.target} {one.found}")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", choices=TARGETS, action="append", help="instead of all; can be repeated")
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), help="instead of the best there is")
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="inputs to replay in one target")
    arguments = parser.parse_args()
    targets = [TARGETS[name] for name in arguments.target or TARGETS]
    if arguments.files:
        if len(targets) != 1:
            parser.error("files are replayed in one target: name it with --target")
        _replay(targets[0], arguments.files)
        return 0
    engine = arguments.engine or ("atheris" if importlib.util.find_spec("atheris") else "hypothesis")
    figures: list[Figures] = []
    try:
        for target in targets:
            figures.append((guided if engine == "atheris" else generated)(target, arguments.seconds))
            print(f"{target.name}: {figures[-1].executions} executions", flush=True)
    finally:
        _show(figures)
    return int(any(one.found for one in figures))


if __name__ == "__main__":
    sys.exit(main())

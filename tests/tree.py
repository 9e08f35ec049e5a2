# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the checkout to where ansible-test wants it: ``python tests/tree.py DESTINATION``.

ansible-test works only in a git checkout at ``ansible_collections/NAMESPACE/NAME``. The copy is one, and holds the
files that git lists here: tracked ones and new ones, not ignored ones. What tests write there stays between runs.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys


def listed(tree: pathlib.Path) -> set[str]:
    """Return the files of ``tree`` that git tracks or would track, as paths relative to it."""
    command = ["git", "-C", str(tree), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    return {name for name in names if name and (tree / name).is_file()}


def synchronise(source: pathlib.Path, destination: pathlib.Path) -> None:
    """Make the listed files of ``destination`` those of ``source``."""
    destination.mkdir(parents=True, exist_ok=True)
    if not (destination / ".git").exists():
        subprocess.run(["git", "init", "--quiet", str(destination)], check=True)
    wanted = listed(source)
    for name in listed(destination) - wanted:
        (destination / name).unlink()
    for name in wanted:
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, destination / name)
    subprocess.run(["git", "-C", str(destination), "add", "--all"], check=True)


if __name__ == "__main__":
    synchronise(pathlib.Path(__file__).resolve().parents[1], pathlib.Path(sys.argv[1]).resolve())

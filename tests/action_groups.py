# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that the action group holds just the modules that take the connection options."""

from __future__ import annotations

import pathlib
import re
import sys

import yaml

FRAGMENT = "ocikit.registry._registry"


DOCUMENTATION = re.compile(r'^DOCUMENTATION = r"""(.*?)"""', re.MULTILINE | re.DOTALL)


def fragments(module: pathlib.Path) -> list[str]:
    """Return the documentation fragments that a module uses."""
    found = DOCUMENTATION.search(module.read_text(encoding="utf-8"))
    names = yaml.safe_load(found.group(1)).get("extends_documentation_fragment", []) if found else []
    return [names] if isinstance(names, str) else names


def main() -> int:
    """Compare the group with the modules and say what differs."""
    root = pathlib.Path(__file__).resolve().parents[1]
    runtime = yaml.safe_load((root / "meta/runtime.yml").read_text(encoding="utf-8"))
    group = runtime["action_groups"]["registry"]
    modules = sorted(
        path.stem for path in (root / "plugins/modules").glob("*.py") if FRAGMENT in fragments(path)
    )
    for name in sorted(set(modules) - set(group)):
        print(f"The action group in meta/runtime.yml lacks {name}, which takes the connection options.")
    for name in sorted(set(group) - set(modules)):
        print(f"The action group in meta/runtime.yml names {name}, which takes no connection options.")
    if group != sorted(set(group)):
        print("The action group in meta/runtime.yml is not sorted, or names a module twice.")
    return int(group != modules)


if __name__ == "__main__":
    sys.exit(main())

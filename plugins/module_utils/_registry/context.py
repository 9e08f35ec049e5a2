# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a module's function works with. It knows no AnsibleModule, so that lookups, tests and runners can make one."""

from __future__ import annotations

import typing as t

from .._progress import Progress
from .connection import RegistryClients


class ModuleContext:
    """Parameters, check mode, the registries, and ways to warn, to set the attributes of files and to show progress.

    ``empty_suboptions`` are those that were given as null: ``params`` do not tell them from those that were left out.
    """

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        check_mode: bool,
        clients: RegistryClients,
        set_attributes: t.Callable[[str, t.Mapping[str, t.Any]], bool] | None = None,
        empty_suboptions: t.Sequence[str] = (),
        progress: Progress | None = None,
    ) -> None:
        self.params = params
        self.empty_suboptions = empty_suboptions
        self.check_mode = check_mode
        self.clients = clients
        self.progress = progress or Progress()
        self._set_attributes = set_attributes

    def warn(self, text: str) -> None:
        """Warn the user; secrets are masked."""
        self.clients.warn(text)

    def set_attributes(self, path: str, attributes: t.Mapping[str, t.Any]) -> bool:
        """Give a file the ``mode``, ``owner`` and ``group`` of ``attributes`` that are not None.

        Returns whether any differed. In check mode nothing is set.
        """
        return self._set_attributes is not None and self._set_attributes(path, attributes)


def empty_suboptions(
    params: t.Mapping[str, t.Any], spec: t.Mapping[str, t.Any], prefix: str = ""
) -> t.Iterator[str]:
    """Yield the suboptions that are null in ``params`` as they were given, such as ``rules[1].older_than``."""
    for option, details in spec.items():
        for name in (option, *details.get("aliases", ())):
            value, suboptions = params.get(name), details.get("options")
            if not suboptions:
                continue
            entries = (
                {f"[{number}]": entry for number, entry in enumerate(value, 1)}
                if isinstance(value, list)
                else {"": value}
            )
            for number, entry in entries.items():
                if isinstance(entry, dict):
                    place = f"{prefix}{name}{number}."
                    yield from (f"{place}{key}" for key, content in entry.items() if content is None)
                    yield from empty_suboptions(entry, suboptions, place)

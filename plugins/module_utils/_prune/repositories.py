# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Which repositories the entries of a policy name: plain names, and patterns over the catalogs of registries."""

from __future__ import annotations

import typing as t

from .._errors import InvalidInput, printable
from .._oci.reference import Reference
from .._oci.tag_patterns import REPOSITORIES, Patterns, is_pattern
from .._registry.catalog import find_repositories
from .._registry.client import RegistryClient
from .._registry.context import ModuleContext
from .options import Policy


class _Pattern(t.NamedTuple):
    text: str
    client: RegistryClient
    names: Patterns


class Catalogs:
    """Finds repositories. The catalog of each registry is read once, when a pattern first needs it."""

    def __init__(self, context: ModuleContext) -> None:
        self._context = context
        self._names: dict[str, list[str]] = {}

    def check(self, policy: Policy) -> None:
        """Raise InvalidInput where an entry of a policy is no repository and no pattern. Sends nothing."""
        self._read(policy)

    def repositories(self, policy: Policy) -> list[Reference]:
        """Return the repositories that entries of a policy name, then those that match its patterns, each once.

        Warns of a pattern that matches none. Raises RegistryError where a catalog cannot be read.
        """
        references, patterns = self._read(policy)
        for pattern in patterns:
            registry = pattern.client.endpoint.name
            matching = [name for name in self._catalog(pattern.client) if pattern.names.match(name)]
            if not matching:
                self._context.warn(
                    f"{printable(pattern.text)} in {policy.option} matches no repository in the catalog of {registry}: check"
                    " the pattern, and whether the account you are authenticated as may see the repositories."
                )
            references += [self._context.clients.repository(f"{registry}/{name}") for name in matching]
        return list(dict.fromkeys(references))

    def _read(self, policy: Policy) -> tuple[list[Reference], list[_Pattern]]:
        references, patterns = [], []
        # In their order: credentials without a registry belong to the one that is named first.
        for entry in policy.entries:
            if is_pattern(entry):
                patterns.append(self._pattern(entry, policy.option))
            else:
                references.append(self._context.clients.repository(entry))
                self._context.clients.client(references[-1])
        return references, patterns

    def _pattern(self, entry: str, option: str) -> _Pattern:
        """Read a pattern such as ``team/*``, or ``registry.example.com/team/*`` with its registry."""
        text = entry.strip()
        host, slash, path = text.partition("/")
        named = slash and not is_pattern(host) and ("." in host or ":" in host or host == "localhost")
        if text.startswith("regex:") or not named:
            if not self._context.params["registry"]:
                raise InvalidInput(
                    f"{printable(text)} in {option} is a pattern over the catalog of a registry: write the registry before"
                    " it, as in registry.example.com/team/*, or set registry."
                )
            return _Pattern(text, self._context.clients.default(), Patterns([text], option, REPOSITORIES))
        client = self._context.clients.client(Reference(host, "any"))
        return _Pattern(text, client, Patterns([path], option, REPOSITORIES))

    def _catalog(self, client: RegistryClient) -> list[str]:
        registry = client.endpoint.name
        if registry not in self._names:
            self._names[registry], _truncated = find_repositories(client, [], [], None)
        return self._names[registry]

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this plugin_utils is PRIVATE to the collection.
"""What turns a function of images into an Ansible lookup."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.lookup import LookupBase
from ansible.template import Templar
from ansible.utils.display import Display

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    NotFound,
    RegistryError,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.library_versions import missing_library
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import REQUESTS_IMPORT_ERROR
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import Reference
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import map_concurrent
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
    environment_variable,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import check_text
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from ansible_collections.ocikit.registry.plugins.module_utils._registry.shared_clients import OF_PROCESS
from ansible_collections.ocikit.registry.plugins.module_utils._secrets import userinfo_secrets

# What ansible-core hands to lookups besides the user's own keywords.
_FOREIGN_KEYWORDS = frozenset(("wantlist",))

display = Display()
Answer = t.TypeVar("Answer")


class Question:
    """What a lookup's function works with: the terms, its options, and the registries."""

    def __init__(self, terms: list[str], options: t.Mapping[str, t.Any], clients: RegistryClients) -> None:
        """``options`` holds ``default`` only if the user gave one, as every value is a possible one."""
        self.terms = terms
        self.options = options
        self.clients = clients

    def ask(
        self, references: t.Sequence[Reference], function: t.Callable[[Repository, Reference], Answer]
    ) -> list[Answer | NotFound]:
        """Return ``function`` of each reference, in order; what was not found as the NotFound that says so.

        Each distinct image or repository is asked for once, and many at a time.
        """
        keys = [_key(reference) for reference in references]
        # All before the first request, so that credentials can only go to the registry that is named first.
        repositories = {key: self.clients.repository_of(key) for key in keys}

        def answer(key: Reference) -> Answer | NotFound:
            try:
                return function(repositories[key], key)
            except NotFound as missing:
                return missing

        # One request alone meets the challenge of each registry; the others know the way in then.
        pairs = reversed(list(repositories.items()))
        first = list({id(repository.client): key for key, repository in pairs}.values())
        answers: dict[Reference, Answer | NotFound] = {}
        for batch in (first, [key for key in repositories if key not in first]):
            answers.update(zip(batch, map_concurrent(answer, batch, self.clients.concurrency)))
        return [answers[key] for key in keys]

    def value_without(self, missing: NotFound) -> t.Any:
        """Return the option ``default`` for something absent. Raises ``missing`` if it was not given."""
        if "default" in self.options:
            return self.options["default"]
        raise missing


class _DisplayEvents(Events):
    """Keeps what happens until the end: then all secrets are known, and only one thread writes."""

    def __init__(self) -> None:
        # The log file may have a verbosity of its own, since ansible-core 2.19.
        super().__init__(max(display.verbosity, getattr(display, "log_verbosity", 0)) >= 3)
        self._warnings: list[str] = []
        self._lines: list[str] = []

    def warn(self, text: str) -> None:
        self._warnings.append(text)

    def log(self, line: str) -> None:
        self._lines.append(line)

    def show(self, plugin: str) -> None:
        for line in self._lines:
            display.vvv(self.secrets.mask(f"{plugin}: {line}"))
        for text in self._warnings:
            display.warning(self.secrets.mask(text))


def run(
    plugin: LookupBase,
    function: t.Callable[[Question], list[t.Any]],
    terms: t.Sequence[t.Any],
    variables: t.Mapping[str, t.Any] | None,
    direct: t.Mapping[str, t.Any],
) -> list[t.Any]:
    """Run ``function`` as the lookup ``plugin``, called with ``terms`` and the keywords ``direct``.

    Raises AnsibleLookupError with one sentence for everything that can go wrong.
    """
    if REQUESTS_IMPORT_ERROR:
        raise AnsibleLookupError(missing_library())
    direct = {name: value for name, value in direct.items() if name not in _FOREIGN_KEYWORDS}
    events = _DisplayEvents()
    events.secrets.add(*userinfo_secrets([list(terms), direct]))
    try:
        _check_keywords(plugin, direct)
        var_options = _variables(plugin, variables or {})
        _check_booleans(plugin, direct, var_options)
        _check_texts(plugin, direct)
        plugin.set_options(var_options=var_options, direct=direct)
        options = plugin.get_options()
        if "default" not in direct:
            options.pop("default", None)
        with RegistryClients(options, events, shared=OF_PROCESS) as clients:
            return function(Question(_texts(plugin, terms), options, clients))
    except RegistryError as error:
        # Not "from error": its text is not clean, and causes are shown.
        raise AnsibleLookupError(events.secrets.mask(str(error))) from None
    finally:
        events.show(plugin._load_name.rpartition(".")[2])


def _key(reference: Reference) -> Reference:
    """Return what is the same for all references that mean the same: a tag next to a digest has no say."""
    return dataclasses.replace(reference, tag=None if reference.digest else reference.target)


def _texts(plugin: LookupBase, terms: t.Sequence[t.Any]) -> list[str]:
    return [check_text(term, "the terms") for term in plugin._flatten(terms)]


def _check_texts(plugin: LookupBase, direct: t.Mapping[str, t.Any]) -> None:
    """Refuse numbers and booleans where a name or a pattern is meant: ansible-core takes 1.10 for the text 1.1."""
    for option, definition in plugin.option_definitions.items():
        if option in OPTIONS or definition.get("type") not in ("str", "list"):
            continue
        value = direct.get(option)
        for entry in value if isinstance(value, (list, tuple)) else [] if value is None else [value]:
            check_text(entry, option)


def _check_keywords(plugin: LookupBase, direct: t.Mapping[str, t.Any]) -> None:
    """Refuse keywords that are no option: ansible-core ignores them, whatever they were meant to secure."""
    definitions = plugin.option_definitions
    known = {alias for option in definitions.values() for alias in option.get("aliases", [])}.union(
        definitions
    )
    for name in direct:
        if name not in known:
            names = ", ".join(sorted(name for name in definitions if not name.startswith("_")))
            raise InvalidInput(f"{name} is no option of this lookup: it has {names}.")


def _variable(option: str) -> str:
    return "ocikit_registry_" + ("url" if option == "registry" else option)


def _variables(plugin: LookupBase, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the variables that are options. Lookups get them as written, so templates are filled in."""
    names = [_variable(option) for option in OPTIONS]
    templar = t.cast(Templar, plugin._templar)
    return {name: templar.template(variables[name]) for name in names if name in variables}


def _check_booleans(
    plugin: LookupBase, direct: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]
) -> None:
    """Refuse what is no boolean: ansible-core takes it for false, and no certificate is checked."""
    for option, definition in plugin.option_definitions.items():
        if definition.get("type") != "bool":
            continue
        given = (
            direct.get(option),
            variables.get(_variable(option)),
            os.environ.get(environment_variable(option)),
        )
        for value in given:
            try:
                boolean(value if value is not None else False)
            except TypeError:
                raise InvalidInput(f"{option} must be true or false.") from None

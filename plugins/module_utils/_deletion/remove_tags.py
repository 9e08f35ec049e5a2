# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The task of registry_rmtag: which tags are meant, and what is reported of their removal."""

from __future__ import annotations

import typing as t

from .._errors import InvalidInput, RegistryError
from .._oci.content import digest_diff
from .._oci.reference import Reference, check_tag
from .._oci.tag_patterns import TAGS, Patterns, is_pattern
from .._registry.context import ModuleContext
from .._registry.repository import Repository
from .tag_states import TagStates, read_tags
from .tags import TagRemover


def remove_tags(context: ModuleContext) -> dict[str, t.Any]:
    """Remove the tags that the parameters ``image`` and ``tags`` name, by ``strategy``, and return the module's result.

    Raises InvalidInput before any request, and what TagRemover raises; its ``result`` tells what was removed by then.
    """
    reference = context.clients.reference(context.params["image"])
    entries = _entries(reference, context.params["tags"])
    strategy = context.params["strategy"]
    actions = () if context.check_mode else ("push", "delete")
    repository = context.clients.repository_of(reference, *actions)
    matches, states = _look_up(repository, entries, everything=strategy == "manifest")
    remover = TagRemover(repository, states, context.warn)
    removals = remover.plan(tag for tags in matches.values() for tag in tags)
    if context.check_mode:
        remover.check(removals, strategy)
    else:
        try:
            remover.remove(removals, strategy)
        except RegistryError as error:
            removed = [removal.to_dict(False) for removal in removals if removal.method]
            error.add_result({"changed": remover.changed, "removed": removed})
            raise
    present = {removal.tag for removal in removals}
    before = {str(reference.with_tag(removal.tag)): removal.digest or "missing" for removal in removals}
    return {
        "changed": bool(removals),
        "repository": reference.name,
        "removed": [removal.to_dict(context.check_mode) for removal in removals],
        "absent": [entry for entry, tags in matches.items() if present.isdisjoint(tags)],
        "diff": digest_diff(before, {}),
    }


def _entries(reference: Reference, tags: t.Sequence[str]) -> dict[str, Patterns | None]:
    """Return the entries, each with its patterns, None for a tag. Raises InvalidInput for what is neither."""
    if reference.digest:
        raise InvalidInput(
            f"{reference} names a digest: registry_rmtag removes tags, so name the repository and the tags."
        )
    entries = ([reference.tag] if reference.tag else []) + list(tags)
    if not entries:
        raise InvalidInput(f"No tag of {reference} is named: set tags.")
    for entry in entries:
        if not is_pattern(entry):
            check_tag(entry)
    return {entry: Patterns([entry], "tags", TAGS) if is_pattern(entry) else None for entry in entries}


def _look_up(
    repository: Repository, entries: t.Mapping[str, Patterns | None], everything: bool
) -> tuple[dict[str, list[str]], TagStates]:
    """Return the tags that each of ``entries`` means, and the states of these tags, with ``everything`` of all tags.

    All tags are listed only where a pattern asks for it, and looked at only where an image is deleted.
    """
    if not everything and not any(entries.values()):
        return {tag: [tag] for tag in entries}, read_tags(repository, entries, fetch=True)
    listed = repository.tag_names()
    matches = {
        entry: [tag for tag in listed if (patterns.match(tag) if patterns else tag == entry)]
        for entry, patterns in entries.items()
    }
    named = sorted({tag for tags in matches.values() for tag in tags})
    # Where nothing is to be removed, no sibling has to be known.
    return matches, read_tags(repository, listed if everything and named else named)

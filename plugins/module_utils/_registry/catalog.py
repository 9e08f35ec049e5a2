# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The repositories of a registry, where it tells them."""

from __future__ import annotations

import typing as t

from .._errors import Denied, NotFound, ProtocolError, RegistryError, Unauthorized, Unsupported
from .._oci.tag_patterns import REPOSITORIES, Patterns
from .._parallel import map_concurrent
from .client import RegistryClient
from .context import ModuleContext
from .option_types import check_number
from .repository import Repository

_ABSENT = frozenset((400, 404, 405, 501))


def inspect_catalog(context: ModuleContext) -> dict[str, t.Any]:
    """Return the result of a task of registry_catalog_info. Raises InvalidInput and Unsupported."""
    params = context.params
    check_number(params["limit"], "limit", 1)
    client = context.clients.default()
    names, truncated = find_repositories(client, params["include"], params["exclude"], params["limit"])
    listed = [Repository(client, name) for name in names]
    repositories: list[dict[str, t.Any]] = [
        {"name": repository.name, "repository": str(repository)} for repository in listed
    ]
    if params["tag_counts"]:
        for entry, count in zip(
            repositories, map_concurrent(count_tags, listed, context.clients.concurrency)
        ):
            entry["tag_count"] = count
    return {
        "changed": False,
        "registry": client.endpoint.name,
        "repositories": repositories,
        "truncated": truncated,
    }


def find_repositories(
    client: RegistryClient, include: t.Sequence[str], exclude: t.Sequence[str], limit: int | None
) -> tuple[list[str], bool]:
    """Return the repositories that match, sorted, and whether there are more than ``limit`` of them.

    ``include`` (nothing: all) and ``exclude`` are patterns. No page is read that ``limit`` makes superfluous; the
    repositories are then the first ones of the registry's own order. Raises Unsupported where there is no catalog, and
    InvalidInput for a pattern that can match no repository.
    """
    included = Patterns(include or ["*"], "include", REPOSITORIES)
    excluded = Patterns(exclude, "exclude", REPOSITORIES)
    names: dict[str, None] = {}
    for page in _catalog(client):
        names.update(
            dict.fromkeys(name for name in page if included.match(name) and not excluded.match(name))
        )
        if limit and len(names) > limit:
            return sorted(list(names)[:limit]), True
    return sorted(names), False


def count_tags(repository: Repository) -> int | None:
    """Return how many tags ``repository`` has; None where the credentials have no right to know.

    A repository without tags, or one that was removed meanwhile, has none.
    """
    try:
        return len(repository.tag_names())
    except (Unauthorized, Denied):
        return None


def _catalog(client: RegistryClient) -> t.Iterator[list[str]]:
    try:
        yield from client.catalog()
    except RegistryError as error:
        hidden = isinstance(error, (Unauthorized, Denied))
        absent = isinstance(error, (Unsupported, NotFound, ProtocolError)) and error.status in _ABSENT
        # Wrong credentials and a wrong address are not a matter of the catalog.
        if not (hidden or absent) or not _lets_in(client):
            raise
        does = (
            "does not show its catalog to these credentials"
            if hidden
            else "offers no catalog of its repositories"
        )
        raise Unsupported(
            f"{client.endpoint.name} {does}: name the repositories that you need.",
            status=error.status,
            code=error.code,
            registry_message=error.registry_message,
            method="GET",
            url=f"{client.endpoint.base}_catalog",
        ) from error


def _lets_in(client: RegistryClient) -> bool:
    try:
        return client.ping().status == 200
    except RegistryError:
        return False

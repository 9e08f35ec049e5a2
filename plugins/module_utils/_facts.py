# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a prune has to know of a repository, read before anything is decided. What cannot change is remembered on disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.ocikit.registry.plugins.module_utils._client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    ProtocolError,
    RegistryError,
    ServerFault,
)
from ansible_collections.ocikit.registry.plugins.module_utils._files import replacing, storage_errors, write_all
from ansible_collections.ocikit.registry.plugins.module_utils._inspect import image_config
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import each
from ansible_collections.ocikit.registry.plugins.module_utils._retention import Facts, ManifestFacts

_CREATED = "org.opencontainers.image.created"
_MAX_NESTING = 6
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)\Z")
_FORMAT = 1


class FactsCache:
    """Facts of manifests by digest, in a file for each repository. Without a directory nothing is kept.

    A digest stands for content that cannot change, so nothing here grows old. What the file says is checked for its
    form; a file that is not right counts as empty.
    """

    def __init__(self, directory: str | None, registry: str, repository: str) -> None:
        name = hashlib.sha256(f"{registry}/{repository}".encode()).hexdigest()
        self._path = os.path.join(directory, f"{name}.json") if directory else None
        self.known = self._load()

    def save(self, facts: t.Mapping[str, ManifestFacts]) -> None:
        """Keep ``facts``, and only these: what the repository no longer has is dropped. Raises LocalStorageError."""
        if self._path is None or facts == self.known:
            return
        content = json.dumps({"format": _FORMAT, "manifests": facts}, separators=(",", ":")).encode()
        with storage_errors(self._path):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with replacing(self._path) as file:
                write_all(file, content)

    def _load(self) -> dict[str, ManifestFacts]:
        try:
            with open(self._path or os.devnull, "rb") as file:
                data = json.loads(file.read())
            if data["format"] != _FORMAT:
                return {}
            return {digest: _from_json(entry) for digest, entry in data["manifests"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}


def gather(client: RegistryClient, repository: str, concurrency: int, cache: FactsCache) -> Facts | None:
    """Read the facts of a repository, or None where it does not exist.

    A HEAD for each tag; a manifest and a config for each digest that is not in ``cache``. A tag whose data cannot be
    read has the digest None; anything that says nothing about single tags, such as a refusal, is raised.
    """
    page = client.tags(repository)
    if page is None:
        return None
    found = each(lambda tag: _digest(client, repository, tag), page.names, concurrency)
    tags = {tag: digest for tag, (exists, digest) in zip(page.names, found) if exists}
    manifests: dict[str, ManifestFacts] = {}
    unreadable: set[str] = set()
    wanted = {digest for digest in tags.values() if digest}
    for _level in range(_MAX_NESTING):
        batch = sorted(wanted)
        known = each(lambda digest: _read(client, repository, digest, cache), batch, concurrency)
        for digest, (readable, facts) in zip(batch, known):
            if facts:
                manifests[digest] = facts
            elif not readable:
                unreadable.add(digest)
        wanted = {
            digest
            for parent in batch
            if parent in manifests
            for digest in (*manifests[parent].children, *([manifests[parent].subject] if manifests[parent].subject else ()))
            if digest and digest not in manifests and digest not in unreadable
        }
        if not wanted:
            break
    cache.save(manifests)
    _date_indexes(manifests)
    broken = {tag for tag, digest in tags.items() if digest in unreadable or _lacks(digest, manifests, unreadable)}
    return Facts({tag: None if tag in broken else digest for tag, digest in tags.items()}, manifests)


def parse_time(text: t.Any) -> float | None:
    """Return an RFC 3339 time in seconds since 1970, or None where it is none. Fractions of a second are dropped."""
    found = _TIME.match(text) if isinstance(text, str) else None
    if not found:
        return None
    zone = found.group(7)
    offset = timedelta()
    if zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime(*(int(part) for part in found.groups()[:6]), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        return (moment - offset).timestamp()
    except (ValueError, OverflowError):
        return None


def _digest(client: RegistryClient, repository: str, tag: str) -> tuple[bool, str | None]:
    """Return whether a tag exists, and its digest if it can be read."""
    try:
        descriptor = client.resolve(repository, tag)
    except (ProtocolError, ServerFault, DigestMismatch):
        return True, None
    return descriptor is not None, descriptor.digest if descriptor else None


def _read(
    client: RegistryClient, repository: str, digest: str, cache: FactsCache
) -> tuple[bool, ManifestFacts | None]:
    """Return whether a manifest is readable, and its facts; a digest that does not exist is readable without any."""
    if digest in cache.known:
        return True, cache.known[digest]
    try:
        fetched = client.find_manifest(repository, digest)
        return True, _facts(client, repository, fetched.manifest) if fetched else None
    except (ProtocolError, ServerFault, DigestMismatch):
        return False, None


def _facts(client: RegistryClient, repository: str, manifest: Manifest) -> ManifestFacts:
    return ManifestFacts(
        manifest.media_type,
        len(manifest.raw),
        _created(client, repository, manifest),
        tuple(child.digest for child in manifest.children if child.is_manifest),
        manifest.subject.digest if manifest.subject else None,
        tuple((one.digest, one.size) for one in manifest.successors() if not one.is_manifest),
    )


def _created(client: RegistryClient, repository: str, manifest: Manifest) -> float | None:
    """Return when an image was made; its config is read only if the manifest does not say it."""
    created = created_time(manifest, None)
    if created is not None:
        return created
    try:
        return created_time(manifest, image_config(client, repository, manifest))
    except RegistryError:
        # A config that is gone or broken says nothing of the age; the manifest is known all the same.
        return None


def created_time(manifest: Manifest, config: t.Mapping[str, t.Any] | None) -> float | None:
    """Return when an image was made, by the first source that says it: annotation, config, label, history.

    ``config`` is as image_config() returns it.
    """
    sources: list[t.Any] = [manifest.annotations.get(_CREATED)]
    dates: list[t.Any] = []
    if config:
        sources += [config["created"], config["labels"].get(_CREATED)]
        history = config["full"].get("history")
        dates = [entry.get("created") for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []
    for source in sources:
        created = parse_time(source)
        if created is not None:
            return created
    return max((time for time in map(parse_time, dates) if time is not None), default=None)


def _date_indexes(manifests: dict[str, ManifestFacts]) -> None:
    """An index without a date of its own is as new as the newest image in it."""

    def date(digest: str, depth: int = 0) -> float | None:
        facts = manifests.get(digest)
        if facts is None or depth > _MAX_NESTING:
            return None
        if facts.created is None and facts.children:
            dates = [date(child, depth + 1) for child in facts.children]
            manifests[digest] = facts._replace(created=max((one for one in dates if one is not None), default=None))
        return manifests[digest].created

    for digest in list(manifests):
        date(digest)


def _lacks(digest: str | None, manifests: t.Mapping[str, ManifestFacts], unreadable: set[str], depth: int = 0) -> bool:
    """Tell whether something below a digest could not be read."""
    facts = manifests.get(digest or "")
    if facts is None or depth > _MAX_NESTING:
        return False
    return any(child in unreadable or _lacks(child, manifests, unreadable, depth + 1) for child in facts.children)


def _from_json(entry: t.Any) -> ManifestFacts:
    media_type, size, created, children, subject, blobs = entry
    if not isinstance(media_type, str) or not isinstance(size, int) or not isinstance(created, (int, float, type(None))):
        raise ValueError
    if not isinstance(subject, (str, type(None))):
        raise ValueError
    return ManifestFacts(
        media_type, size, created, tuple(str(one) for one in children), subject, tuple((str(b), int(s)) for b, s in blobs)
    )

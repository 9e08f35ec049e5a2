# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Prunes carried out: a plan made from facts, applied only as far as it still holds, and undone from what was written down."""

from __future__ import annotations

import base64
import json
import os
import time
import typing as t
from datetime import datetime, timezone

from ansible_collections.ocikit.registry.plugins.module_utils._client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._content import Descriptor, Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._deletion import Remover, check_deletable, look_up
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    RegistryError,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._files import replacing, storage_errors, write_all
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import each
from ansible_collections.ocikit.registry.plugins.module_utils._reference import is_digest, is_repository, is_tag
from ansible_collections.ocikit.registry.plugins.module_utils._retention import (
    Facts,
    RetentionPlan,
    Verdict,
    companion_of,
)

PLAN_FORMAT = "ocikit.registry/prune-plan/1"
UNDO_FORMAT = "ocikit.registry/prune-undo/1"
_BATCH = 50
_PAUSES = (0, 0.5, 1, 2)
_FILE_LIMIT = 1 << 30


def plan_document(
    client: RegistryClient, repository: str, facts: Facts, plan: RetentionPlan, concurrency: int
) -> dict[str, t.Any]:
    """Return the plan for one repository as it is shown, written to a file, and applied."""
    digests = plan.digests + _referrers(client, repository, plan, concurrency)
    return {
        "registry": client.endpoint.name,
        "repository": repository,
        "delete": [_shown(verdict) for verdict in plan.victims],
        "keep": [_shown(verdict) for verdict in plan.kept],
        "digests": digests,
        "bytes": plan.bytes,
    }


def _referrers(client: RegistryClient, repository: str, plan: RetentionPlan, concurrency: int) -> list[str]:
    """Find what only the referrers API knows to be about a digest that goes: it goes as well."""
    if not plan.digests or client.referrers(repository, plan.digests[0]) is None:
        return []
    listed = each(lambda digest: client.referrers(repository, digest) or [], plan.digests, concurrency)
    known = plan.needed.union(plan.digests)
    return list(dict.fromkeys(one.digest for found in listed for one in found if one.digest not in known))


def _shown(verdict: Verdict) -> dict[str, t.Any]:
    created = verdict.created
    return {
        "tag": verdict.tag,
        "digest": verdict.digest,
        "created": datetime.fromtimestamp(created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if created else None,
        "why": verdict.why,
    }


class Application:
    """One plan on its way. What moved since the plan was made is refused; what is gone already needs nothing."""

    def __init__(self, client: RegistryClient, plan: t.Mapping[str, t.Any], concurrency: int) -> None:
        """Look at all tags as they are now. Raises RegistryError."""
        self._client = client
        self._repository: str = plan["repository"]
        self._concurrency = concurrency
        self._planned = {entry["tag"]: entry["digest"] for entry in plan["delete"]}
        self._expected = {**{entry["tag"]: entry["digest"] for entry in plan["keep"]}, **self._planned}
        self.tags, self._unreadable = self._look(self._names())
        self.refused: list[dict[str, t.Any]] = []
        self.deleted_tags: list[str] = []
        self.deleted_digests: list[str] = []
        self._victims = self._unmoved()
        self._blocked: set[str] = set()
        self._digests = self._free(list(plan["digests"]))

    @property
    def has_work(self) -> bool:
        return bool(self._victims or self._digests)

    def originals(self) -> list[dict[str, t.Any]]:
        """Return what undoes the plan: each manifest that goes, and the tags that lead to it, needed ones first."""
        tags: dict[str, list[str]] = {}
        for tag in self._victims:
            tags.setdefault(self._planned[tag], []).append(tag)
        wanted = list(dict.fromkeys([*reversed(self._digests), *tags]))
        manifests = each(lambda digest: self._client.find_manifest(self._repository, digest), wanted, self._concurrency)
        return [
            {
                "registry": self._client.endpoint.name,
                "repository": self._repository,
                "digest": digest,
                "tags": tags.get(digest, []),
                "media_type": fetched.manifest.media_type,
                "manifest": base64.b64encode(fetched.manifest.raw).decode("ascii"),
            }
            for digest, fetched in zip(wanted, manifests)
            if fetched
        ]

    def run(self) -> None:
        """Delete tags whose digest stays by the safe ladder, then digests, what needs others first.

        Raises RegistryError at the first failure; ``deleted_tags`` and ``deleted_digests`` tell what was done by then.
        """
        if not self.has_work:
            return
        going = set(self._digests)
        if going:
            check_deletable(self._client, self._repository)
        single = [tag for tag in self._victims if self._planned[tag] not in going]
        remover = Remover(self._client, self._repository, self.tags, {}, self._concurrency)
        removals = remover.plan(single)
        try:
            remover.remove(removals)
        finally:
            self.deleted_tags += [removal.tag for removal in removals if removal.method]
        for start in range(0, len(self._digests), _BATCH):
            if start:
                self._look_for_news()
            for digest in [digest for digest in self._digests[start : start + _BATCH] if digest not in self._blocked]:
                self._delete(digest)
        self._check_gone()

    def _names(self) -> list[str]:
        page = self._client.tags(self._repository)
        return page.names if page else []

    def _unmoved(self) -> list[str]:
        victims = []
        for tag, digest in self._planned.items():
            found = self.tags.get(tag)
            if found and found.digest == digest:
                victims.append(tag)
            elif found:
                self._refuse(tag, digest, f"it moved to {found.digest} since the plan was made")
        return victims

    def _free(self, digests: list[str]) -> list[str]:
        """Return the digests that no tag outside the plan leads to: neither by itself nor through an index that is new."""
        for tag in self._unreadable if digests else ():
            self._refuse(tag, None, "it cannot be read, and may need any digest: none is deleted")
            return []
        victims = set(self._victims)
        self._block({tag: one for tag, one in self.tags.items() if tag not in victims}, digests)
        return [digest for digest in digests if digest not in self._blocked]

    def _block(self, tags: t.Mapping[str, Descriptor], digests: t.Sequence[str]) -> None:
        """Refuse what ``tags`` need of ``digests``. Only what the plan did not know is read."""
        for tag, descriptor in tags.items():
            if self._expected.get(tag) == descriptor.digest and descriptor.digest not in digests:
                continue
            for digest in sorted(self._needs(descriptor).intersection(digests) - self._blocked):
                self._blocked.add(digest)
                self._refuse(tag, digest, f"{tag} needs {digest} now")

    def _needs(self, descriptor: Descriptor) -> set[str]:
        needs, waiting = set(), [descriptor]
        while waiting:
            one = waiting.pop()
            if one.digest in needs or not one.is_manifest:
                continue
            needs.add(one.digest)
            fetched = self._client.find_manifest(self._repository, one.digest)
            if fetched:
                subject = [fetched.manifest.subject] if fetched.manifest.subject else []
                waiting += [*fetched.manifest.children, *subject]
        return needs

    def _look_for_news(self) -> None:
        """Someone may push while this runs: names that were not there before are looked at."""
        new, unreadable = self._look([name for name in self._names() if name not in self.tags])
        self.tags.update(new)
        self._block(new, self._digests)
        if unreadable:
            raise next(iter(unreadable.values()))

    def _look(self, names: t.Sequence[str]) -> tuple[dict[str, Descriptor], dict[str, RegistryError]]:
        return look_up(self._client, self._repository, names, self._concurrency)

    def _delete(self, digest: str) -> None:
        planned = [tag for tag in self._victims if self._planned[tag] == digest]
        found, unreadable = self._look(planned)
        if unreadable:
            raise next(iter(unreadable.values()))
        mine = [tag for tag, one in found.items() if one.digest == digest]
        for tag in set(found).difference(mine):
            self._refuse(tag, digest, f"it moved to {found[tag].digest} while the plan was applied")
        deletion = self._client.delete_manifest(self._repository, digest)
        if deletion.error:
            self._delete_tags_first(mine, digest, deletion.error)
        self.deleted_digests.append(digest)
        self.deleted_tags += mine

    def _delete_tags_first(self, tags: t.Sequence[str], digest: str, error: RegistryError) -> None:
        """Some registries delete no manifest that has a tag."""
        if not tags:
            raise error
        remover = Remover(self._client, self._repository, self.tags, {}, self._concurrency)
        remover.remove(remover.plan(tags), "tag")
        deletion = self._client.delete_manifest(self._repository, digest)
        if deletion.error:
            raise deletion.error

    def _check_gone(self) -> None:
        left = list(self.deleted_digests)
        for pause in _PAUSES:
            time.sleep(pause)
            found = each(lambda digest: self._client.resolve(self._repository, digest), left, self._concurrency)
            left = [digest for digest, one in zip(left, found) if one]
            if not left:
                return
        raise Unsupported(f"The registry accepted the deletion but keeps {', '.join(left[:5])}.")

    def _refuse(self, tag: str, digest: str | None, why: str) -> None:
        self.refused.append({"tag": tag, "digest": digest, "why": why})


def restore(
    client_of: t.Callable[[str], RegistryClient], items: t.Sequence[t.Mapping[str, t.Any]], check_mode: bool
) -> list[dict[str, t.Any]]:
    """Put manifests and tags back that are missing. A tag that exists is left as it is.

    Returns what became of each item: ``restored``, ``unchanged``, ``moved`` (the tag is something else now), or
    ``lost`` with the registry's reason: its blobs may have been collected.
    """
    results = []
    for item in items:
        client, repository = client_of(item["registry"]), item["repository"]
        manifest = Manifest.parse(base64.b64decode(item["manifest"]), item["media_type"], item["digest"])
        present = client.resolve(repository, manifest.digest) is not None
        for tag in item["tags"] or [None]:
            outcome, why = _restore_one(client, repository, manifest, tag, present, check_mode)
            name = f"{item['registry']}/{repository}" + (f":{tag}" if tag else f"@{manifest.digest}")
            results.append({"image": name, "digest": manifest.digest, "outcome": outcome, "why": why})
    return results


def _restore_one(
    client: RegistryClient, repository: str, manifest: Manifest, tag: str | None, present: bool, check_mode: bool
) -> tuple[str, str | None]:
    found = client.resolve(repository, tag) if tag else None
    if found and found.digest != manifest.digest:
        return "moved", f"it is {found.digest} now"
    if found or (tag is None and present):
        return "unchanged", None
    if not check_mode:
        try:
            client.put_manifest(repository, tag or manifest.digest, manifest)
        except RegistryError as error:
            return "lost", str(error)
    return "restored", None


def write_document(path: str, kind: str, content: t.Mapping[str, t.Any], check_mode: bool) -> bool:
    """Write a plan or undo file, and return whether that changes it. Raises LocalStorageError."""
    raw = json.dumps({"format": kind, **content}, indent=1, sort_keys=False).encode() + b"\n"
    with storage_errors(path):
        if os.path.exists(path):
            with open(path, "rb") as file:
                if file.read(_FILE_LIMIT) == raw:
                    return False
        if not check_mode:
            with replacing(path) as file:
                write_all(file, raw)
    return True


def read_document(path: str, kind: str, key: str) -> list[dict[str, t.Any]]:
    """Return the entries of a plan or undo file, checked: nothing of it reaches a URL unseen. Raises InvalidInput."""
    with storage_errors(path):
        with open(path, "rb") as file:
            raw = file.read(_FILE_LIMIT)
    try:
        data = json.loads(raw)
        entries = data[key] if data["format"] == kind else None
    except (ValueError, KeyError, TypeError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not all(_is_entry(entry, kind) for entry in entries):
        raise InvalidInput(f"{path} is not a file that registry_prune wrote for this ({kind}).")
    return entries


def _is_entry(entry: t.Any, kind: str) -> bool:
    if not isinstance(entry, dict) or not is_repository(entry.get("repository")) or not isinstance(entry.get("registry"), str):
        return False
    if kind == UNDO_FORMAT:
        tags = entry.get("tags")
        return is_digest(entry.get("digest")) and isinstance(tags, list) and all(is_tag(tag) for tag in tags)
    lists = [entry.get(name) for name in ("delete", "keep", "digests")]
    if not all(isinstance(one, list) for one in lists):
        return False
    verdicts = t.cast("list[t.Any]", lists[0]) + t.cast("list[t.Any]", lists[1])
    right = all(
        isinstance(one, dict) and is_tag(one.get("tag")) and (one.get("digest") is None or is_digest(one["digest"]))
        for one in verdicts
    )
    return right and all(is_digest(digest) for digest in t.cast("list[t.Any]", lists[2]))


def diff_of(plans: t.Sequence[t.Mapping[str, t.Any]], limit: int = 50) -> dict[str, str]:
    """Return the diff of plans: a line for each victim, or where they are many, a line for each reason."""
    before, after = [], []
    for plan in plans:
        name, victims = f"{plan['registry']}/{plan['repository']}", plan["delete"]
        if not victims and not plan["digests"]:
            continue
        total = len(victims) + len(plan["keep"])
        before.append(f"{name}: {total} tags\n")
        after.append(f"{name}: {len(plan['keep'])} tags, {plan['bytes']} bytes less\n")
        if len(victims) <= limit:
            before += [f"  {one['tag']} {one['digest']} ({one['why']})\n" for one in victims]
            continue
        reasons: dict[str, list[str]] = {}
        for one in victims:
            why = "companions of digests that go" if companion_of(one["tag"]) else one["why"]
            reasons.setdefault(why, []).append(one["tag"])
        before += [f"  {len(tags)} tags, {tags[0]} … {tags[-1]} ({why})\n" for why, tags in reasons.items()]
    return {"before": "".join(before), "after": "".join(after)}

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Prunes carried out: a plan made from facts, applied only as far as it still holds, and undone from what was written down."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import typing as t
from datetime import datetime, timezone

from .._deletion.tags import Remover, check_deletable, look_up, poll, try_delete, wait_until_gone
from .._errors import (
    DigestMismatch,
    InvalidInput,
    ProtocolError,
    Refused,
    RegistryError,
    ServerFault,
    Unreachable,
    Unsupported,
)
from .._oci.content import Descriptor, Manifest, digest_of
from .._oci.digest_tags import subject_of_tag
from .._oci.reference import is_digest, is_repository, is_tag
from .._parallel import map_concurrent
from .._registry.client import RegistryClient
from .._registry.placeholder import read_removed_tags
from .._registry.repository import Repository
from .._storage.files import file_digest, read_file, replacing, storage_errors, write_all
from .policy import RetentionPlan, Snapshot, Verdict
from .protection import Protection

PLAN_FORMAT = "ocikit.registry/prune-plan/1"
UNDO_FORMAT = "ocikit.registry/prune-undo/1"
# So many digests are deleted between two looks at all tags, and between two at the names that are new.
_LOOK_EVERY = 100
_NEWS_EVERY = 10
_FILE_LIMIT = 1 << 30


def plan_document(
    client: RegistryClient,
    repository: str,
    facts: Snapshot,
    plan: RetentionPlan,
    protection: Protection,
    concurrency: int,
) -> dict[str, t.Any]:
    """Return the plan for one repository as it is shown, written to a file, and applied."""
    return {
        "registry": client.endpoint.name,
        "repository": repository,
        "delete": [_shown(verdict) for verdict in plan.candidates],
        "keep": [_shown(verdict) for verdict in plan.kept],
        "digests": _with_referrers(client, repository, facts, plan, protection, concurrency),
        "bytes": plan.bytes,
    }


def _with_referrers(
    client: RegistryClient,
    repository: str,
    facts: Snapshot,
    plan: RetentionPlan,
    protection: Protection,
    concurrency: int,
) -> list[str]:
    """Return the digests that go, before each of them what only the referrers API knows to be about it."""
    found: dict[str, list[str]] = {}
    level = plan.digests
    while level and client.referrers(repository, level[0]) is not None:
        listed = map_concurrent(lambda digest: client.referrers(repository, digest) or [], level, concurrency)
        for digest, referrers in zip(level, listed):
            found[digest] = [
                one.digest
                for one in referrers
                if one.digest not in facts.manifests and not protection.why_digest(one.digest)
            ]
        level = [one for digest in level for one in found[digest] if one not in found]
    ordered: dict[str, None] = {}

    def place(digest: str) -> None:
        for referrer in found.get(digest, ()):
            place(referrer)
        ordered.setdefault(digest)

    for digest in plan.digests:
        place(digest)
    return list(ordered)


def _shown(verdict: Verdict) -> dict[str, t.Any]:
    created = verdict.created
    return {
        "tag": verdict.tag,
        "digest": verdict.digest,
        "created": (
            None
            if created is None
            else datetime.fromtimestamp(created, timezone.utc).isoformat().replace("+00:00", "Z")
        ),
        "why": verdict.why,
    }


class PlanApplier:
    """One plan on its way. What moved since the plan was made is refused; what is gone already needs nothing."""

    def __init__(self, client: RegistryClient, plan: t.Mapping[str, t.Any], concurrency: int) -> None:
        """Look at all tags as they are now. Raises RegistryError."""
        self._client = client
        self._repository: str = plan["repository"]
        self._concurrency = concurrency
        self._plan = plan
        self._planned: dict[str, str] = {entry["tag"]: entry["digest"] for entry in plan["delete"]}
        self._expected = {**{entry["tag"]: entry["digest"] for entry in plan["keep"]}, **self._planned}
        self._tags, self._unreadable = self._look(self._names())
        self.refused: list[dict[str, t.Any]] = []
        self.deleted_tags: list[str] = []
        self.deleted_digests: list[str] = []
        # Tags that were to stay, and went away after digests were deleted.
        self.vanished: list[str] = []
        self._originals: dict[str, Manifest] = {}
        self._victims = self._unmoved()
        left_over = {digest for tag, digest in self._victims.items() if digest != self._planned[tag]}
        self._digests = self._free([*sorted(left_over), *plan["digests"]])

    @property
    def has_work(self) -> bool:
        return bool(self._victims or self._digests)

    @property
    def pending(self) -> dict[str, t.Any]:
        """The part of the plan that is still to be done."""
        victims = [entry for entry in self._plan["delete"] if entry["tag"] in self._victims]
        return {**self._plan, "delete": victims, "digests": self._digests}

    def originals(self) -> list[dict[str, t.Any]]:
        """Return what undoes the plan: each manifest that goes, and the tags that lead to it, needed ones first."""
        tags: dict[str, list[str]] = {}
        for tag in self._victims:
            tags.setdefault(self._planned[tag], []).append(tag)
        wanted = list(dict.fromkeys([*reversed(self._digests), *tags]))
        found = map_concurrent(
            lambda digest: self._client.find_manifest(self._repository, digest), wanted, self._concurrency
        )
        self._originals = {digest: fetched.manifest for digest, fetched in zip(wanted, found) if fetched}
        return [
            {
                "registry": self._client.endpoint.name,
                "repository": self._repository,
                "digest": digest,
                "tags": tags.get(digest, []),
                "media_type": manifest.media_type,
                "manifest": base64.b64encode(manifest.raw).decode("ascii"),
            }
            for digest, manifest in self._originals.items()
        ]

    def run(self) -> None:
        """Delete tags whose digest stays by the safe ladder, then digests, what needs others first.

        Raises RegistryError at the first failure; ``deleted_tags`` and ``deleted_digests`` tell what was done by then.
        """
        if self._digests:
            check_deletable(self._client, self._repository)
        going = set(self._digests)
        single = [tag for tag, digest in self._victims.items() if digest not in going]
        try:
            self._untag(single)
        finally:
            self._keep({self._victims[tag] for tag in single})
        try:
            for number, digest in enumerate(self._digests):
                if number % _NEWS_EVERY == 0 and (number or single):
                    self._look_again(everything=number % _LOOK_EVERY == 0)
                if digest not in self._blocked:
                    self._delete(digest)
        except BaseException:
            with contextlib.suppress(RegistryError):
                self._look_again(everything=True)
            raise
        if going:
            self._look_again(everything=True)
        self._check_gone()

    def _names(self) -> list[str]:
        page = self._client.tags(self._repository)
        return page.names if page else []

    def _look(self, names: t.Sequence[str]) -> tuple[dict[str, Descriptor], dict[str, RegistryError]]:
        return look_up(self._client, self._repository, names, self._concurrency)

    def _unmoved(self) -> dict[str, str]:
        """Return the victims, each with what it points to: still its image, or what a killed run has left there."""
        victims = {}
        for tag, digest in self._planned.items():
            found = self._tags.get(tag)
            if tag in self._unreadable:
                self._refuse(tag, digest, "it cannot be read")
            elif found and (found.digest == digest or self._is_left_over(tag, found.digest)):
                victims[tag] = found.digest
            elif found:
                self._refuse(tag, digest, f"it moved to {found.digest} since the plan was made")
        return victims

    def _is_left_over(self, tag: str, digest: str) -> bool:
        try:
            repository = Repository(self._client, self._repository)
            fetched = repository.find_manifest(digest)
            return fetched is not None and tag in read_removed_tags(repository, fetched.manifest)
        except (DigestMismatch, ProtocolError, ServerFault):
            return False

    def _free(self, digests: list[str]) -> list[str]:
        """Return the digests that exist and that no tag outside the plan leads to."""
        self._blocked: set[str] = set()
        present = map_concurrent(
            lambda digest: self._client.resolve(self._repository, digest), digests, self._concurrency
        )
        digests = [digest for digest, one in zip(digests, present) if one]
        if digests and self._unreadable:
            tag = min(self._unreadable)
            self._refuse(tag, None, "it cannot be read, and may need any digest: none is deleted")
            return []
        self._block({tag: one for tag, one in self._tags.items() if tag not in self._victims}, digests)
        return [digest for digest in digests if digest not in self._blocked]

    def _block(self, tags: t.Mapping[str, Descriptor], digests: t.Sequence[str]) -> None:
        """Refuse what ``tags`` need of ``digests``. Only what the plan did not know is read."""
        going = set(digests)
        news = (
            [tag for tag, one in tags.items() if self._expected.get(tag) != one.digest or one.digest in going]
            if going
            else []
        )
        late: set[str] = set()
        for tag, needs in zip(
            news, map_concurrent(lambda tag: self._needs(tags[tag]), news, self._concurrency)
        ):
            for digest in sorted(needs & going - self._blocked):
                self._blocked.add(digest)
                self._refuse(tag, digest, f"{tag} needs {digest} now")
                late.update({digest}.intersection(self.deleted_digests))
        if late:
            self._put_back(late)

    def _needs(self, descriptor: Descriptor) -> set[str]:
        needs, waiting = set(), [descriptor]
        while waiting:
            one = waiting.pop()
            if one.digest in needs:
                continue
            needs.add(one.digest)
            manifest = self._originals.get(one.digest)
            if not manifest and one.is_manifest:
                fetched = self._client.find_manifest(self._repository, one.digest)
                manifest = fetched.manifest if fetched else None
            if manifest:
                waiting += [*manifest.children, *filter(None, [manifest.subject])]
        return needs

    def _look_again(self, everything: bool) -> None:
        """Someone may push while this runs: tags that are new, or were moved, may need what was to go."""
        names = self._names()
        tags, unreadable = self._look(
            names if everything else [name for name in names if name not in self._tags]
        )
        if unreadable:
            raise next(iter(unreadable.values()))
        moved = {
            tag: one
            for tag, one in tags.items()
            if self._tags.get(tag) != one and self._victims.get(tag) != one.digest
        }
        if everything and self.deleted_digests:
            self.vanished += [tag for tag in self._tags if tag not in tags and tag not in self._victims]
        self._tags = tags if everything else {**self._tags, **tags}
        self._block(moved, self._digests)

    def _put_back(self, digests: set[str]) -> None:
        """Undo what came too late to be refused. The registry has the blobs until it collects its garbage."""
        for digest in reversed(self._digests):
            if digest in digests:
                self._client.put_manifest(self._repository, digest, self._originals[digest])
                self.deleted_digests.remove(digest)

    def _untag(self, tags: t.Sequence[str]) -> None:
        remover = Remover(self._client, self._repository, self._tags, {}, self._concurrency)
        removals = remover.plan(tags)
        try:
            remover.remove(removals)
        finally:
            self.deleted_tags += [removal.tag for removal in removals if removal.method]

    def _keep(self, digests: set[str]) -> None:
        """Put back what went with its last tag, as on zot 1.4.3: only the tag was to go, as something needs the image."""

        def one(digest: str) -> None:
            if digest in self._originals and not self._client.resolve(self._repository, digest):
                self._client.put_manifest(self._repository, digest, self._originals[digest])

        map_concurrent(one, sorted(digests), self._concurrency)

    def _delete(self, digest: str) -> None:
        """Delete a digest with its tags, save those that moved a moment ago."""
        named = [tag for tag, found in self._victims.items() if found == digest]
        found, unreadable = self._look(named)
        if unreadable:
            raise next(iter(unreadable.values()))
        tags = []
        for tag, one in found.items():
            if one.digest == digest:
                tags.append(tag)
            else:
                self._refuse(tag, digest, f"it moved to {one.digest} while the plan was applied")
                self._block({tag: one}, self._digests)
        if digest in self._blocked:
            return
        try:
            error = try_delete(self._client, self._repository, digest)
            if error and tags:
                # Some registries delete no manifest that has a tag.
                self._untag(tags)
                error = try_delete(self._client, self._repository, digest)
            if error:
                raise error
        except (RegistryError, KeyboardInterrupt):
            # The registry may have done it, or be about to.
            for _look in poll():
                if self._gone(digest):
                    break
            self._note(digest, tags, self._gone)
            raise
        self._note(digest, tags, lambda _reference: True)

    def _note(self, digest: str, tags: t.Sequence[str], gone: t.Callable[[str], bool]) -> None:
        self.deleted_digests += [digest] if gone(digest) else []
        self.deleted_tags += [tag for tag in tags if tag not in self.deleted_tags and gone(tag)]

    def _gone(self, reference: str) -> bool:
        """Tell whether something is gone in spite of a failure."""
        try:
            return self._client.resolve(self._repository, reference) is None
        except RegistryError:
            return False

    def _check_gone(self) -> None:
        left = wait_until_gone(self._client, self._repository, self.deleted_digests, self._concurrency)
        if not left:
            return
        self.deleted_digests = [digest for digest in self.deleted_digests if digest not in left]
        self.deleted_tags = [
            tag for tag in self.deleted_tags if self._victims[tag] not in left or self._gone(tag)
        ]
        raise Unsupported(
            f"The registry accepted the deletion but has {', '.join(left[:5])} still, or again if it was pushed meanwhile."
        )

    def _refuse(self, tag: str, digest: str | None, why: str) -> None:
        self.refused.append({"tag": tag, "digest": digest, "why": why})


class UndoFile:
    """What ``restore`` needs, written before anything is deleted.

    A run that was stopped half-way leaves its file unfinished: the next one adds to it, and loses nothing of it. Nor does
    one at the same time: it is refused.
    """

    def __init__(self, path: str) -> None:
        """Raises InvalidInput where ``path`` is a file of another kind."""
        self._path = path
        self._images: dict[tuple[str, str, str], dict[str, t.Any]] = {}
        self._seen = _fingerprint(path)
        if os.path.exists(path):
            document = _read(path, UNDO_FORMAT)
            self.add([] if document.get("finished") else document["images"])

    def unfinished(self, registry: str, repository: str) -> list[str]:
        """Return the digests of a repository that a stopped run has left to be deleted, as far as it did not do so."""
        return [digest for *place, digest in self._images if place == [registry, repository]]

    def add(self, images: t.Iterable[dict[str, t.Any]]) -> None:
        for image in images:
            known = self._images.setdefault(
                (image["registry"], image["repository"], image["digest"]), {**image, "tags": []}
            )
            known["tags"] = sorted({*known["tags"], *image["tags"]})

    def write(self, finished: bool) -> None:
        """Write the file, unless there is nothing for it.

        Raises LocalStorageError, and Refused where something else has written it since it was read.
        """
        if not self._images:
            return
        raw = _encoded(UNDO_FORMAT, {"finished": finished, "images": list(self._images.values())})
        with storage_errors(self._path), replacing(self._path) as file:
            # Only one task at a time gets here.
            if _fingerprint(self._path) != self._seen:
                raise Refused(
                    f"{self._path} was written by another task meanwhile: give each task an undo file of its own."
                )
            write_all(file, raw)
        self._seen = digest_of(raw)


def restore(
    client_of: t.Callable[[str], RegistryClient],
    items: t.Sequence[t.Mapping[str, t.Any]],
    check_mode: bool,
    concurrency: int,
) -> t.Iterator[dict[str, t.Any]]:
    """Put manifests and tags back that are missing, needed ones first. A tag that exists is left as it is.

    Yields what became of each: ``restored``, ``unchanged``, ``moved`` (the tag is something else now), ``lost`` (the
    registry has collected a part of it) or ``failed``, with the reason. Raises Unreachable and InvalidInput.
    """
    originals = [(item, _original(item)) for item in items]
    height = _heights(manifest for _item, manifest in originals)
    # In check mode what would have been restored by then counts as being there.
    there: set[tuple[str, str, str]] = set()
    # What several runs have added to one file is in no order.
    for item, manifest in sorted(originals, key=lambda original: height(original[1].digest)):
        client, repository = client_of(item["registry"]), item["repository"]
        present = client.resolve(repository, manifest.digest) is not None
        missing = None
        if not present:
            missing = _missing_part(client, repository, manifest, there, concurrency)
        for tag in item["tags"] or [None]:
            outcome, why = _restore_one(client, repository, manifest, tag, present, missing, check_mode)
            if outcome == "restored":
                there.add((client.endpoint.name, repository, manifest.digest))
            name = f"{item['registry']}/{repository}" + (f":{tag}" if tag else f"@{manifest.digest}")
            yield {"image": name, "digest": manifest.digest, "outcome": outcome, "why": why}


def _heights(manifests: t.Iterable[Manifest]) -> t.Callable[[str], int]:
    """Return a function that tells how many levels of ``manifests`` a digest needs, itself included."""
    by_digest = {manifest.digest: manifest for manifest in manifests}
    heights: dict[str, int] = {}

    def height(digest: str) -> int:
        if digest in by_digest and digest not in heights:
            below = (height(child.digest) for child in by_digest[digest].children)
            heights[digest] = 1 + max(below, default=0)
        return heights.get(digest, 0)

    return height


def _restore_one(
    client: RegistryClient,
    repository: str,
    manifest: Manifest,
    tag: str | None,
    present: bool,
    missing: str | None,
    check_mode: bool,
) -> tuple[str, str | None]:
    found = client.resolve(repository, tag) if tag else None
    if found and found.digest != manifest.digest:
        return "moved", f"it is {found.digest} now"
    if found or (tag is None and present):
        return "unchanged", None
    if missing:
        return "lost", f"the registry has collected {missing}, which is a part of it"
    if manifest.is_schema1:
        return "failed", "it is a schema 1 image, which registries do not take back"
    if not check_mode:
        try:
            client.put_manifest(repository, tag or manifest.digest, manifest)
        except Unreachable:
            raise
        except RegistryError as error:
            return "failed", str(error)
    return "restored", None


def _missing_part(
    client: RegistryClient,
    repository: str,
    manifest: Manifest,
    there: set[tuple[str, str, str]],
    concurrency: int,
) -> str | None:
    """Return a blob or child that the registry does not have any more, or None. Foreign layers were never there."""

    def has(part: Descriptor) -> bool:
        if part.is_manifest:
            known = (client.endpoint.name, repository, part.digest) in there
            return known or client.resolve(repository, part.digest) is not None
        return part.is_foreign or client.has_blob(repository, part.digest)

    parts = manifest.successors()
    present = map_concurrent(has, parts, concurrency)
    return next((part.digest for part, one in zip(parts, present) if not one), None)


def _original(item: t.Mapping[str, t.Any]) -> Manifest:
    try:
        return Manifest.parse(
            base64.b64decode(item["manifest"], validate=True), item["media_type"], item["digest"]
        )
    except (ValueError, DigestMismatch, ProtocolError) as error:
        raise InvalidInput(
            f"The file holds something else than the manifest {item['digest']}: {error}"
        ) from None


def write_document(path: str, kind: str, content: t.Mapping[str, t.Any], check_mode: bool) -> bool:
    """Write a plan or undo file, and return whether that changes it. Raises LocalStorageError."""
    raw = _encoded(kind, content)
    with storage_errors(path):
        if os.path.exists(path):
            with open(path, "rb") as file:
                if file.read(_FILE_LIMIT) == raw:
                    return False
        if not check_mode:
            with replacing(path) as file:
                write_all(file, raw)
    return True


def _encoded(kind: str, content: t.Mapping[str, t.Any]) -> bytes:
    return json.dumps({"format": kind, **content}, indent=1, sort_keys=False).encode() + b"\n"


def _fingerprint(path: str) -> str | None:
    """Return the digest of a file, None where there is none. Raises LocalStorageError."""
    with storage_errors(path):
        return file_digest(path, "sha256:") if os.path.exists(path) else None


def read_document(path: str, kind: str) -> list[dict[str, t.Any]]:
    """Return the entries of a plan or undo file, checked: nothing of it reaches a URL unseen. Raises InvalidInput."""
    return t.cast("list[dict[str, t.Any]]", _read(path, kind)[_ENTRIES[kind]])


def _read(path: str, kind: str) -> dict[str, t.Any]:
    with storage_errors(path):
        raw = read_file(path, _FILE_LIMIT)
    try:
        document = json.loads(raw)
        entries = document[_ENTRIES[kind]]
        right = document["format"] == kind and isinstance(entries, list) and all(map(_CHECKS[kind], entries))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        right = False
    if not right:
        raise InvalidInput(f"{path} is not a file that registry_prune wrote for this ({kind}).")
    return t.cast("dict[str, t.Any]", document)


def _is_undo_entry(entry: t.Any) -> bool:
    return (
        _is_place(entry)
        and is_digest(entry["digest"])
        and isinstance(entry["tags"], list)
        and all(map(is_tag, entry["tags"]))
        and isinstance(entry["media_type"], str)
        and isinstance(entry["manifest"], str)
    )


def _is_plan_entry(entry: t.Any) -> bool:
    return (
        _is_place(entry)
        and all(_is_verdict(one) and is_digest(one["digest"]) for one in entry["delete"])
        and all(
            _is_verdict(one) and (one["digest"] is None or is_digest(one["digest"])) for one in entry["keep"]
        )
        and all(map(is_digest, entry["digests"]))
        and isinstance(entry["bytes"], int)
    )


def _is_place(entry: t.Any) -> bool:
    return isinstance(entry["registry"], str) and is_repository(entry["repository"])


def _is_verdict(one: t.Any) -> bool:
    return (
        is_tag(one["tag"]) and isinstance(one["why"], str) and isinstance(one["created"], (str, type(None)))
    )


_ENTRIES = {PLAN_FORMAT: "repositories", UNDO_FORMAT: "images"}
_CHECKS = {PLAN_FORMAT: _is_plan_entry, UNDO_FORMAT: _is_undo_entry}


def diff_of(plans: t.Iterable[t.Mapping[str, t.Any]], limit: int = 50) -> dict[str, str]:
    """Return the diff of plans: a line for each victim, or where they are many, a line for each reason."""
    before, after = [], []
    for plan in plans:
        name, victims = f"{plan['registry']}/{plan['repository']}", plan["delete"]
        if not victims and not plan["digests"]:
            continue
        before.append(f"{name}: {len(victims) + len(plan['keep'])} tags\n")
        after.append(
            f"{name}: {len(plan['keep'])} tags, {len(plan['digests'])} digests and {plan['bytes']} bytes less\n"
        )
        if len(victims) <= limit:
            before += [f"  {one['tag']} {one['digest']} ({one['why']})\n" for one in victims]
            continue
        reasons: dict[str, list[str]] = {}
        for one in victims:
            why = "companions of digests that go" if subject_of_tag(one["tag"]) else one["why"]
            reasons.setdefault(why, []).append(one["tag"])
        before += [f"  {len(tags)} tags, {tags[0]} to {tags[-1]} ({why})\n" for why, tags in reasons.items()]
    return {"before": "".join(before), "after": "".join(after)}

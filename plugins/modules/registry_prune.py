#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_prune
short_description: Delete the tags and images that a policy names, and nothing that anything else needs
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Applies a policy to repositories. Everything of a repository is read before anything in it is deleted; a repository
    that cannot be read is left alone and reported, the others go on.
  - The rules give votes. A tag is deleted if a rule votes for that and none votes to keep it. Keep beats delete, whatever
    the order, and a tag that no rule names is kept.
  - A digest is deleted when a tag of it was, and nothing that stays needs it; no other tag, no index it is part of, no
    referrer. Signatures, attestations and referrers stay and go with the image that they are about; rules do not apply to
    their tags (C(sha256-…), C(sha256-….sig) and the like).
  - What cannot be read is kept. As it may need any digest, none is deleted in that repository, only tags are.
  - A plan can be written to a file, looked at, and applied later; what moved in the meantime is refused.
  - The age of a tag is that of its image, as annotation, configuration or history tell it, not the time it was pushed.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  repositories:
    description:
      - The repositories. An entry with C(*), C(?) or C([), or after C(regex:), is a pattern over the catalog of the
        registry that O(registry) names.
    type: list
    elements: str
    default: []
    aliases: [images, repository]
  rules:
    description:
      - The policy.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the rule is called in plans and reports. By default C(rule) and its position.
        type: str
      match:
        description: Which tags the rule is about. All that is given must hold.
        type: dict
        required: true
        suboptions:
          tags:
            description: Shell patterns, or regular expressions after C(regex:), of which one must match the whole tag.
            type: list
            elements: str
          exclude:
            description: Patterns of which none may match.
            type: list
            elements: str
          version:
            description:
              - A range that the tag, as a version, must lie in, such as V(>=1.2 <2), V(^1.2), V(~1.2.3) or V(1.x);
                alternatives stand between C(||).
            type: str
          prereleases:
            description: Whether versions such as V(1.5.0-rc.1) are meant as well, not at all, or alone.
            type: str
            choices: [any, none, only]
            default: any
          orphans:
            description:
              - Also signatures, attestations and lists of referrers whose image is not in the repository any more.
              - No registry lists manifests without a tag; these are what is left of such that can be found.
            type: bool
            default: false
            aliases: [untagged]
      keep:
        description: Vote to keep what matches.
        type: bool
        default: false
      delete:
        description: Vote to delete what matches, save what O(rules[].keep_last) keeps.
        type: bool
        default: false
      keep_last:
        description:
          - Vote to keep so many of what matches, the newest. Ages given in the rule do not matter for the count.
        type: int
      by:
        description: What is newest for O(rules[].keep_last). With V(version), only tags that are versions match.
        type: str
        choices: [created, version]
        default: created
      group:
        description:
          - Count O(rules[].keep_last) separately for each V(major) version, each V(minor) one (major and minor number), or
            for each value of the groups of this regular expression. What has no group is left to the other rules.
        type: str
      older_than:
        description: Only what is older, such as V(30d). Units are C(s), C(m) (minutes), C(h), C(d), C(w) and C(y).
        type: str
      younger_than:
        description: Only what is younger.
        type: str
  protect:
    description:
      - What must not be deleted, such as the images that run on hosts and in clusters. Digests, references with tag or
        digest, tags, and patterns over any of them.
    type: list
    elements: str
    default: []
  unknown_age:
    description:
      - What becomes of tags whose age is not known, or cannot be true (before 2013, or in the future), where a rule asks
        for it. V(delete) takes them for very old.
    type: str
    choices: [keep, delete]
    default: keep
  max_delete:
    description:
      - How many tags of a repository may be deleted. If the plan has more, the whole repository is left alone and the task
        fails after the others. Tags that go along with an image, such as those of signatures, are not counted.
    type: int
  max_delete_percent:
    description:
      - The same as a share of the repository's tags, in percent.
    type: float
    default: 50.0
  plan:
    description:
      - Write the plan to this file, and delete nothing. Repositories that could not be read, or where the plan went too far,
        are not in it.
    type: path
  apply_plan:
    description:
      - Carry out the plan in this file, and nothing else. Tags that moved since are refused, as are digests that something
        needs now. After a failure the same plan can be applied again.
    type: path
  undo:
    description:
      - Before anything is deleted, write what is needed for O(restore) to this file.
      - A run that was stopped half-way leaves the file unfinished. The next one adds to it, and deletes what has lost its last
        tag by then. A file that is finished is replaced.
      - Tasks that run at the same time need a file each. One that finds its file written by another deletes nothing more.
    type: path
  restore:
    description:
      - Put back what the file of O(undo) holds, as far as the registry has the blobs still, which is until it collects
        its garbage. Tags that exist are left alone.
    type: path
  cache_dir:
    description:
      - A directory to remember what cannot change, by digest. The next run, also one in check mode, then asks only for
        what is new. Files that others can write are not believed.
    type: path
seealso:
  - module: ocikit.registry.registry_rmtag
  - module: ocikit.registry.registry_rmrepo
"""

EXAMPLES = r"""
---
- name: Keep ten releases of each major version, and what was built within a month; drop other builds
  ocikit.registry.registry_prune:
    registry: registry.example.com
    repositories:
      - team/*
    rules:
      - name: releases
        match:
          version: ">=1.0.0"
          prereleases: none
        keep_last: 10
        by: version
        group: major
      - name: builds
        match:
          tags: ["build-*", "pr-*"]
        delete: true
        older_than: 30d
        keep_last: 3
    protect: "{{ running_images }}"
    cache_dir: /var/cache/registry-prune
    undo: /var/lib/registry-prune/undo.json

- name: Plan now
  ocikit.registry.registry_prune:
    repositories:
      - registry.example.com/team/app
    rules: "{{ prune_rules }}"
    plan: /srv/plans/app.json

- name: Apply when somebody has looked at it
  ocikit.registry.registry_prune:
    apply_plan: /srv/plans/app.json
    undo: /srv/plans/app-undo.json

- name: Put everything back
  ocikit.registry.registry_prune:
    restore: /srv/plans/app-undo.json
"""

RETURN = r"""
repositories:
  description: The repositories, in the order they were taken.
  returned: success, and on failure once a repository was looked at; not with O(restore)
  type: list
  elements: dict
  contains:
    registry:
      description: The registry.
      type: str
    repository:
      description: The repository.
      type: str
    delete:
      description: The tags that go, each with C(digest), C(created), and the rule that chose it in C(why).
      type: list
      elements: dict
    keep:
      description: The tags that stay, each with C(digest), C(created), and the rule or reason for it in C(why).
      type: list
      elements: dict
    digests:
      description: The digests that are deleted as a whole.
      type: list
      elements: str
    bytes:
      description: How many bytes become free when the registry collects its garbage, as far as known.
      type: int
    deleted_tags:
      description: The tags that were deleted by this run.
      type: list
      elements: str
    deleted_digests:
      description: The digests that were deleted by this run.
      type: list
      elements: str
    refused:
      description: What was left alone because it moved or is needed again, each with C(tag), C(digest) and C(why).
      type: list
      elements: dict
    error:
      description: Why the repository was left alone, or what stopped it half-way. V(null) if nothing did.
      type: str
previous:
  description: What O(restore) needs, for what was deleted, unless O(undo) names a file for it.
  returned: when something was deleted
  type: list
  elements: dict
  contains:
    registry:
      description: The registry.
      type: str
    repository:
      description: The repository.
      type: str
    digest:
      description: The digest.
      type: str
    tags:
      description: The tags that led to it and were deleted.
      type: list
      elements: str
    media_type:
      description: The media type of the manifest.
      type: str
    manifest:
      description: The bytes of the manifest in base64.
      type: str
restored:
  description: What became of each image in the file of O(restore).
  returned: with O(restore)
  type: list
  elements: dict
  contains:
    image:
      description: The image.
      type: str
    digest:
      description: Its digest.
      type: str
    outcome:
      description:
        - One of V(restored), V(unchanged), V(moved) (the tag is something else now), V(lost) (the registry has collected a
          part of it) and V(failed).
      type: str
    why:
      description: The reason, for the last three.
      type: str
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(refused) or V(storage).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: refused
    status:
    code:
    message:
    detail:
    method:
    url:
"""

import contextlib
import time
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    Refused,
    RegistryError,
)
from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import Reference
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_patterns import (
    REPOSITORIES,
    Patterns,
    is_pattern,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.apply import (
    PLAN_FORMAT,
    UNDO_FORMAT,
    PlanApplier,
    UndoFile,
    diff_of,
    plan_document,
    read_document,
    restore,
    write_document,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.policy import check_limits, make_plan
from ansible_collections.ocikit.registry.plugins.module_utils._prune.protection import Protection
from ansible_collections.ocikit.registry.plugins.module_utils._prune.rules import Rule, parse_rules
from ansible_collections.ocikit.registry.plugins.module_utils._prune.snapshot import (
    SnapshotCache,
    take_snapshot,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.catalog import find_repositories
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext

_MATCH_SPEC: dict[str, t.Any] = {
    "tags": {"type": "list", "elements": "str"},
    "exclude": {"type": "list", "elements": "str"},
    "version": {"type": "str"},
    "prereleases": {"type": "str", "choices": ["any", "none", "only"], "default": "any"},
    "orphans": {"type": "bool", "default": False, "aliases": ["untagged"]},
}
_RULE_SPEC: dict[str, t.Any] = {
    "name": {"type": "str"},
    "match": {"type": "dict", "required": True, "options": _MATCH_SPEC},
    "keep": {"type": "bool", "default": False},
    "delete": {"type": "bool", "default": False},
    "keep_last": {"type": "int"},
    "by": {"type": "str", "choices": ["created", "version"], "default": "created"},
    "group": {"type": "str"},
    "older_than": {"type": "str"},
    "younger_than": {"type": "str"},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "repositories": {
        "type": "list",
        "elements": "str",
        "default": [],
        "aliases": ["images", "repository"],
    },
    "rules": {"type": "list", "elements": "dict", "default": [], "options": _RULE_SPEC},
    "protect": {"type": "list", "elements": "str", "default": []},
    "unknown_age": {"type": "str", "choices": ["keep", "delete"], "default": "keep"},
    "max_delete": {"type": "int"},
    "max_delete_percent": {"type": "float", "default": 50.0},
    "plan": {"type": "path"},
    "apply_plan": {"type": "path"},
    "undo": {"type": "path"},
    "restore": {"type": "path"},
    "cache_dir": {"type": "path"},
}


def prune(context: ModuleContext) -> dict[str, t.Any]:
    params = context.params
    _check(params)
    if params["restore"]:
        return _restore(context)
    undo = UndoFile(params["undo"]) if params["undo"] else None
    if params["apply_plan"]:
        plans = [_not_done(plan) for plan in read_document(params["apply_plan"], PLAN_FORMAT)]
    else:
        rules, now = parse_rules(params["rules"]), time.time()
        plans = [_plan(context, repository, rules, now, undo) for repository in _repositories(context)]
    result = _write_plan(context, plans) if params["plan"] else _apply(context, plans, undo)
    failures = [plan["error"] for plan in plans if plan["error"]]
    result["repositories"] = [
        {**plan, "error": str(plan["error"]) if plan["error"] else None} for plan in plans
    ]
    undone = [plan for plan in plans if plan["error"] or plan["refused"]]
    if undone:
        # A task that did not do all of its work has failed, and says what it did.
        raise _failure(undone[0], len(undone), len(plans), failures, result)
    return result


def _check(params: t.Mapping[str, t.Any]) -> None:
    ways = [name for name in ("repositories", "apply_plan", "restore") if params[name]]
    if len(ways) != 1:
        raise InvalidInput("Set one of repositories (with rules), apply_plan and restore.")
    if ways != ["repositories"] and (params["rules"] or params["plan"]):
        raise InvalidInput(f"rules and plan go with repositories, not with {ways[0]}.")
    if params["undo"] and (params["plan"] or params["restore"]):
        way = "plan" if params["plan"] else "restore"
        raise InvalidInput(f"With {way} nothing is deleted, so there is nothing to undo: leave undo out.")


def _repositories(context: ModuleContext) -> list[Reference]:
    """Return the repositories that are named, then those of the catalog that match."""
    entries: list[str] = context.params["repositories"]
    patterns = [entry for entry in entries if is_pattern(entry)]
    found = [context.clients.repository(entry) for entry in entries if entry not in patterns]
    if patterns:
        if not context.params["registry"]:
            raise InvalidInput(f"{patterns[0]} is a pattern over a catalog: set registry to say whose.")
        client = context.clients.default()
        wanted = Patterns(
            [_without_registry(one, client.endpoint.name) for one in patterns], "repositories", REPOSITORIES
        )
        names, _more = find_repositories(client, [], [], None)
        found += [Reference(client.endpoint.name, name) for name in names if wanted.match(name)]
    return list(dict.fromkeys(found))


def _without_registry(pattern: str, registry: str) -> str:
    host, _slash, rest = pattern.partition("/")
    if pattern.startswith("regex:") or not rest or not ("." in host or ":" in host or host == "localhost"):
        return pattern
    if host != registry:
        raise InvalidInput(
            f"{pattern} is a pattern over another catalog than that of {registry}: set registry to {host}."
        )
    return rest


def _plan(
    context: ModuleContext, repository: Reference, rules: t.Sequence[Rule], now: float, undo: UndoFile | None
) -> dict[str, t.Any]:
    """Plan for one repository; what goes wrong in it is its own affair."""
    params, path = context.params, repository.repository
    empty = {
        "registry": repository.registry,
        "repository": path,
        "delete": [],
        "keep": [],
        "digests": [],
        "bytes": 0,
    }
    try:
        client = context.clients.client(repository)
        cache = SnapshotCache(params["cache_dir"], repository.registry, path)
        unfinished = undo.unfinished(repository.registry, path) if undo else []
        facts = take_snapshot(client, path, context.clients.concurrency, cache, unfinished)
        if facts is None:
            return _not_done(empty)
        protection = Protection(params["protect"], repository.registry, path)
        plan = make_plan(facts, rules, protection, now, params["unknown_age"] == "delete", unfinished)
        document = plan_document(client, path, facts, plan, protection, context.clients.concurrency)
        refusal = check_limits(plan, params["max_delete"], params["max_delete_percent"])
        return _not_done(document, Refused(f"{refusal}: nothing was deleted.") if refusal else None)
    except RegistryError as error:
        return _not_done(empty, error)


def _not_done(plan: t.Mapping[str, t.Any], error: RegistryError | None = None) -> dict[str, t.Any]:
    return {**plan, "deleted_tags": [], "deleted_digests": [], "refused": [], "error": error}


def _write_plan(context: ModuleContext, plans: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    kept = ("registry", "repository", "delete", "keep", "digests", "bytes")
    sound = [{key: plan[key] for key in kept} for plan in plans if not plan["error"]]
    changed = write_document(context.params["plan"], PLAN_FORMAT, {"repositories": sound}, context.check_mode)
    return {"changed": changed, "diff": diff_of(sound)}


def _apply(
    context: ModuleContext, plans: t.Sequence[dict[str, t.Any]], undo: UndoFile | None
) -> dict[str, t.Any]:
    """Carry the plans out, one repository after another. All that undoes them is written before each."""
    previous: list[dict[str, t.Any]] = []
    pending = []
    changed = False
    stopped: RegistryError | None = None
    for plan in plans:
        if plan["error"] or not (plan["delete"] or plan["digests"]):
            continue
        if stopped:
            plan["error"] = stopped
            continue
        application = None
        originals: list[dict[str, t.Any]] = []
        try:
            client = context.clients.client(Reference(plan["registry"], plan["repository"]))
            application = PlanApplier(client, plan, context.clients.concurrency)
            pending.append(application.pending)
            if context.check_mode:
                changed = changed or application.has_work
            elif application.has_work:
                originals = application.originals()
                if undo:
                    undo.add(originals)
                    undo.write(finished=False)
                application.run()
        except RegistryError as error:
            plan["error"] = error
        except KeyboardInterrupt as interrupt:
            plan["error"] = stopped = RegistryError(str(interrupt))
        finally:
            if application:
                plan["deleted_tags"], plan["deleted_digests"] = (
                    application.deleted_tags,
                    application.deleted_digests,
                )
                plan["refused"] = application.refused
                _warn_of_vanished(context, plan, application.vanished)
        if plan["deleted_tags"] or plan["deleted_digests"]:
            changed = True
            previous += originals
    result: dict[str, t.Any] = {"changed": changed, "diff": diff_of(pending)}
    if undo and not context.check_mode:
        # Another task that writes it by now has read what we put there, or is refused.
        with contextlib.suppress(Refused):
            undo.write(finished=not any(plan["error"] for plan in plans))
    elif previous:
        result["previous"] = previous
    return result


def _warn_of_vanished(context: ModuleContext, plan: t.Mapping[str, t.Any], tags: t.Sequence[str]) -> None:
    """A tag that somebody points to an image in the moment of its deletion goes with it; or somebody removed it."""
    for tag in tags:
        context.clients.warn(
            f"{plan['registry']}/{plan['repository']}:{tag} was to stay, and went away while images were deleted: if it"
            " was pointed to one of these at that moment, it went with that."
        )


def _failure(
    plan: t.Mapping[str, t.Any],
    undone: int,
    total: int,
    failures: t.Sequence[RegistryError],
    result: dict[str, t.Any],
) -> RegistryError:
    """Return the first failure, or a refusal, in the words of the whole task and with its result."""
    why = plan["error"] or f"{plan['refused'][0]['tag']}: {plan['refused'][0]['why']}."
    error = failures[0] if failures else Refused("")
    error.args = (
        f"{undone} of {total} repositories were not pruned as planned; {plan['repository']}: {why}",
    )
    error.result = result
    return error


def _restore(context: ModuleContext) -> dict[str, t.Any]:
    items = read_document(context.params["restore"], UNDO_FORMAT)
    done: list[dict[str, t.Any]] = []
    result: dict[str, t.Any] = {"changed": False, "restored": done}

    def client_of(registry: str) -> RegistryClient:
        return context.clients.client(Reference(registry, "any"))

    try:
        for one in restore(client_of, items, context.check_mode, context.clients.concurrency):
            done.append(one)
            result["changed"] = result["changed"] or one["outcome"] == "restored"
        wrong = [one for one in done if one["outcome"] in ("lost", "failed")]
        if wrong:
            raise Refused(
                f"{len(wrong)} of {len(done)} could not be put back; {wrong[0]['image']}: {wrong[0]['why']}."
            )
    except RegistryError as error:
        error.result = result
        raise
    return result


def main() -> None:
    run(prune, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()

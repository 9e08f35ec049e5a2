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
    referrer. Signatures, attestations and referrers stay and go with the image that they are about.
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
            description: Also signatures, attestations and referrers whose image is not in the repository any more.
            type: bool
            default: false
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
      - What becomes of tags whose age is not known, or cannot be true, where a rule asks for it. V(delete) takes them for
        very old.
    type: str
    choices: [keep, delete]
    default: keep
  max_delete:
    description:
      - How many tags of a repository may be deleted. If the plan has more, the whole repository is left alone and the task
        fails after the others.
    type: int
  max_delete_percent:
    description:
      - The same as a share of the repository's tags, in percent.
    type: float
    default: 50.0
  plan:
    description:
      - Write the plan to this file, and delete nothing.
    type: path
  apply_plan:
    description:
      - Carry out the plan in this file, and nothing else.
    type: path
  undo:
    description:
      - Before anything is deleted, write what is needed for O(restore) to this file.
    type: path
  restore:
    description:
      - Put back what the file of O(undo) holds, as far as the registry has the blobs still. Tags that exist are left alone.
    type: path
  cache_dir:
    description:
      - Where to remember what cannot change, by digest. The next run then asks only for what is new.
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
      description: One of V(restored), V(unchanged), V(moved) (the tag is something else now) and V(lost).
      type: str
    why:
      description: The reason, for the last two.
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

import time
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, Refused, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._facts import FactsCache, gather
from ansible_collections.ocikit.registry.plugins.module_utils._module import Task, run
from ansible_collections.ocikit.registry.plugins.module_utils._patterns import Patterns, is_pattern
from ansible_collections.ocikit.registry.plugins.module_utils._prune import (
    PLAN_FORMAT,
    UNDO_FORMAT,
    Application,
    diff_of,
    plan_document,
    read_document,
    restore,
    write_document,
)
from ansible_collections.ocikit.registry.plugins.module_utils._reference import Reference
from ansible_collections.ocikit.registry.plugins.module_utils._retention import (
    Protection,
    Rule,
    check_brakes,
    make_plan,
    parse_rules,
)


def prune(task: Task) -> dict[str, t.Any]:
    params = task.params
    _check(params)
    if params["restore"]:
        return _restore(task)
    if params["apply_plan"]:
        plans = [_not_done(plan) for plan in read_document(params["apply_plan"], PLAN_FORMAT, "repositories")]
    else:
        rules, now = parse_rules(params["rules"]), time.time()
        plans = [_plan(task, repository, rules, now) for repository in _repositories(task)]
    result: dict[str, t.Any] = {"changed": False, "repositories": plans, "diff": diff_of(plans)}
    if params["plan"]:
        kept = ("registry", "repository", "delete", "keep", "digests", "bytes")
        content = {"repositories": [{key: plan[key] for key in kept} for plan in plans if not plan["error"]]}
        result["changed"] = write_document(params["plan"], PLAN_FORMAT, content, task.check_mode)
    else:
        result.update(_apply(task, plans))
    _fail_if_any(plans, result)
    return result


def _check(params: t.Mapping[str, t.Any]) -> None:
    ways = [name for name in ("repositories", "apply_plan", "restore") if params[name]]
    if len(ways) != 1:
        raise InvalidInput("Set one of repositories (with rules), apply_plan and restore.")
    if ways != ["repositories"] and (params["rules"] or params["plan"]):
        raise InvalidInput(f"rules and plan go with repositories, not with {ways[0]}.")
    if params["plan"] and params["undo"]:
        raise InvalidInput("With plan nothing is deleted, so there is nothing to undo: leave undo out.")


def _repositories(task: Task) -> list[Reference]:
    found: dict[Reference, None] = {}
    patterns = [entry for entry in task.params["repositories"] if is_pattern(entry)]
    for entry in task.params["repositories"]:
        if entry not in patterns:
            found[task.connection.repository(entry)] = None
    if patterns:
        wanted, client = Patterns(patterns, "repositories"), task.connection.home()
        for page in client.catalog():
            for name in page:
                if wanted.match(name):
                    found[Reference(client.endpoint.name, name)] = None
    return list(found)


def _plan(task: Task, repository: Reference, rules: t.Sequence[Rule], now: float) -> dict[str, t.Any]:
    """Plan for one repository; what goes wrong in it is its own affair."""
    params, path = task.params, repository.repository
    empty = {"registry": repository.registry, "repository": path, "delete": [], "keep": [], "digests": [], "bytes": 0}
    try:
        client = task.connection.client(repository)
        cache = FactsCache(params["cache_dir"], repository.registry, path)
        facts = gather(client, path, task.connection.concurrency, cache)
        if facts is None:
            return _not_done(empty)
        protection = Protection(params["protect"], repository.registry, path)
        plan = make_plan(facts, rules, protection, now, params["unknown_age"] == "delete")
        document = _not_done(plan_document(client, path, facts, plan, task.connection.concurrency))
        refusal = check_brakes(plan, params["max_delete"], params["max_delete_percent"])
        if refusal:
            document["error"] = f"{refusal}: nothing was deleted."
        return document
    except RegistryError as error:
        return {**_not_done(empty), "error": str(error)}


def _not_done(plan: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {**plan, "deleted_tags": [], "deleted_digests": [], "refused": [], "error": None}


def _apply(task: Task, plans: t.Sequence[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Carry the plans out, one repository after another. All that undoes them is written before each."""
    previous: list[dict[str, t.Any]] = []
    changed = False
    for plan in plans:
        if plan["error"] or not (plan["delete"] or plan["digests"]):
            continue
        application = None
        try:
            client = task.connection.client(Reference(plan["registry"], plan["repository"]))
            application = Application(client, plan, task.connection.concurrency)
            if task.check_mode:
                changed = changed or application.has_work
                continue
            previous += application.originals()
            if task.params["undo"] and previous:
                write_document(task.params["undo"], UNDO_FORMAT, {"images": previous}, False)
            application.run()
        except RegistryError as error:
            plan["error"] = str(error)
        finally:
            if application:
                plan["deleted_tags"], plan["deleted_digests"] = application.deleted_tags, application.deleted_digests
                plan["refused"] = application.refused
        changed = changed or bool(plan["deleted_tags"] or plan["deleted_digests"])
    result: dict[str, t.Any] = {"changed": changed}
    if previous and not task.params["undo"]:
        result["previous"] = previous
    return result


def _restore(task: Task) -> dict[str, t.Any]:
    items = read_document(task.params["restore"], UNDO_FORMAT, "images")
    results = restore(lambda registry: task.connection.client(Reference(registry, "any")), items, task.check_mode)
    result = {"changed": any(one["outcome"] == "restored" for one in results), "restored": results}
    lost = [one["image"] for one in results if one["outcome"] == "lost"]
    if lost:
        error = Refused(f"{len(lost)} images could not be put back, such as {lost[0]}: {results[-1]['why'] or 'see restored'}")
        error.result = result
        raise error
    return result


def _fail_if_any(plans: t.Sequence[t.Mapping[str, t.Any]], result: dict[str, t.Any]) -> None:
    """A task that did not do all of its work has failed, and says what it did."""
    failed = [plan for plan in plans if plan["error"] or plan["refused"]]
    if not failed:
        return
    first = failed[0]
    why = first["error"] or f"{first['refused'][0]['tag']}: {first['refused'][0]['why']}."
    error = Refused(f"{len(failed)} of {len(plans)} repositories were not pruned as planned; {first['repository']}: {why}")
    error.result = result
    raise error


def main() -> None:
    match = {
        "tags": {"type": "list", "elements": "str"},
        "exclude": {"type": "list", "elements": "str"},
        "version": {"type": "str"},
        "prereleases": {"type": "str", "choices": ["any", "none", "only"], "default": "any"},
        "orphans": {"type": "bool", "default": False},
    }
    rule = {
        "name": {"type": "str"},
        "match": {"type": "dict", "required": True, "options": match},
        "keep": {"type": "bool", "default": False},
        "delete": {"type": "bool", "default": False},
        "keep_last": {"type": "int"},
        "by": {"type": "str", "choices": ["created", "version"], "default": "created"},
        "group": {"type": "str"},
        "older_than": {"type": "str"},
        "younger_than": {"type": "str"},
    }
    run(
        prune,
        {
            "repositories": {"type": "list", "elements": "str", "default": [], "aliases": ["images", "repository"]},
            "rules": {"type": "list", "elements": "dict", "default": [], "options": rule},
            "protect": {"type": "list", "elements": "str", "default": []},
            "unknown_age": {"type": "str", "choices": ["keep", "delete"], "default": "keep"},
            "max_delete": {"type": "int"},
            "max_delete_percent": {"type": "float", "default": 50.0},
            "plan": {"type": "path"},
            "apply_plan": {"type": "path"},
            "undo": {"type": "path"},
            "restore": {"type": "path"},
            "cache_dir": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()

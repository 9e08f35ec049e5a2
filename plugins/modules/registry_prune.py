#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_prune
short_description: Delete the tags and images that a policy names, except what anything else needs
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Applies a policy to repositories. Everything is read before anything is deleted. A repository that cannot be read is left
    alone and reported; the others are pruned, and the task fails at the end.
  - A tag is deleted if a rule deletes it and no rule keeps it, whatever the order of the rules. A tag that no rule matches
    is kept.
  - A digest is deleted when a tag of it is deleted and nothing that stays needs it, that is, no other tag, no index that it is
    part of, and no referrer. Signatures, attestations and other referrers stay and are deleted with the image that they are
    about; rules do not apply to their tags (such as C(sha256-….sig)).
  - What cannot be read is kept. As it may need any digest, no digest is deleted in that repository, only tags are.
  - A plan can be written to a file, reviewed, and applied later. What moved in the meantime is left alone, and the task fails.
  - The age of a tag is that of its image, from annotation, configuration or history, and not the time of the push.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  repositories:
    description:
      - Repositories to prune, by their names or by patterns over the catalog of a registry.
      - An entry with C(*), C(?) or C([) is a shell pattern, in which C(*) matches slashes as well, so that V(team/*) includes
        V(team/a/b). An entry after C(regex:) is a regular expression. Both must match the whole name.
      - A pattern belongs to the registry before it, as in V(registry.example.com/team/*), else to O(registry). A pattern that
        matches no repository is warned about.
    type: list
    elements: str
    default: []
    aliases: [images, repository]
  rules:
    description:
      - Rules of the policy. Each says which tags it is about, and whether it keeps or deletes them.
    type: list
    elements: dict
    default: []
    suboptions: &rule
      name:
        description: Name of the rule in plans and reports. By default C(rule) and its position.
        type: str
      match:
        description: Tags that the rule is about. All that is given must hold.
        type: dict
        required: true
        suboptions:
          tags:
            description:
              - Patterns of which one must match the whole tag. They are shell patterns such as V(build-*), or regular
                expressions after C(regex:).
              - A pattern that can match no tag, such as V(^v.*) or V(a|b), is refused.
            type: list
            elements: str
          exclude:
            description:
              - Patterns of which none may match, written as in O(rules[].match.tags).
            type: list
            elements: str
          version:
            description:
              - Range that the tag, as a version, must lie in, such as V(>=1.2 <2), V(^1.2), V(~1.2.3) or V(1.x).
                Alternatives stand between C(||).
              - A range that ends with a version excludes the prereleases of that version, as in npm and PEP 440. V(<2), V(<=2),
                V(^1) and V(1.x) do not match V(2.0.0-rc.1). A range includes them if it names one, such as V(<2.0.0-rc.2).
              - V(2.0.0-0) in a range is the place before all prereleases of 2.0.0.
            type: str
          prereleases:
            description: Whether versions such as V(1.5.0-rc.1) match as well, not at all, or alone.
            type: str
            choices: [any, none, only]
            default: any
          labels:
            description:
              - Labels that the image must have. The value of each must match a shell pattern, or a regular expression after
                C(regex:). With an empty pattern the label may have any value.
              - An index has the labels that all images in it have with the same value. Attestations are not counted.
              - If a label cannot be read, the tag is kept.
            type: dict
          orphans:
            description:
              - Whether signatures, attestations and lists of referrers match if their image is not in the repository any more.
                They match besides the tags that the other suboptions name.
              - No registry lists manifests without a tag; these are what is left of such that can be found.
            type: bool
            default: false
            aliases: [untagged]
          dangling:
            description:
              - Whether only tags match that the registry lists although their manifest is missing. Such a tag is deleted by its name.
              - As such a tag may need any digest, no digest is deleted in a repository while one of them is kept.
              - Rules without it match such tags by their names as well. Their age is unknown, and O(rules[].keep_last) does not
                count them.
            type: bool
            default: false
      keep:
        description: Whether to keep the tags that match. No other rule deletes them then.
        type: bool
        default: false
      delete:
        description: Whether to delete the tags that match, except what O(rules[].keep_last) keeps.
        type: bool
        default: false
      keep_last:
        description:
          - Number of images to keep of those that match, the newest. All tags of these images are kept, also tags that do not
            match, such as V(latest).
          - O(rules[].older_than) and O(rules[].younger_than) do not matter for the count.
        type: int
      count:
        description:
          - What O(rules[].keep_last) counts. With V(tags), tags of the same image are counted one by one, and only the tags
            that are counted are kept.
        type: str
        choices: [images, tags]
        default: images
      by:
        description:
          - What is newest for O(rules[].keep_last). V(created) is the time at which the image was created. V(version) is the
            highest version of the image among the tags that match; only tags that are versions match then.
        type: str
        choices: [created, version]
        default: created
      group:
        description:
          - Count O(rules[].keep_last) separately for each V(major) version, each V(minor) one (major and minor number), or
            for each value of the groups of this regular expression. Tags without a group are left to the other rules.
        type: str
      strict_versions:
        description:
          - Whether only tags with a dot are versions, such as V(1.4) and V(v1.4.2-rc.1).
          - Set it to V(false) to take V(1), V(v2), V(42) and V(1-alpine) for versions. Commits of all digits (V(8675309))
            and dates (V(20240506)) are very high versions then.
        type: bool
        default: true
      older_than:
        description:
          - Minimum age of the images that the rule keeps or deletes, such as V(30d). The units are C(s), C(min), C(h), C(d),
            C(w), C(mo) (30 days) and C(y) (365 days). C(m) is refused, as it may be minutes or months.
        type: str
      younger_than:
        description:
          - Maximum age of the images that the rule keeps or deletes, with the units of O(rules[].older_than).
        type: str
  policies:
    description:
      - Several policies to apply in one task, each to repositories of its own, in place of O(repositories) and O(rules).
      - If one cannot be applied, the others are, and the task fails at the end. A repository that two policies name is left
        alone, and the task fails at the end.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the policy in results, messages and reports. By default C(policy) and its position.
        type: str
      repositories:
        description: Repositories to prune by this policy, as in O(repositories).
        type: list
        elements: str
        required: true
        aliases: [images, repository]
      rules:
        description: Rules of this policy, as in O(rules).
        type: list
        elements: dict
        required: true
        suboptions: *rule
      protect:
        description: Images that must not be deleted by this policy, besides those of O(protect).
        type: list
        elements: raw
      unknown_age:
        description: Treatment of tags of unknown age. By default that of O(unknown_age).
        type: str
        choices: [keep, delete]
      max_delete:
        description: Maximum number of tags to delete per repository. By default that of O(max_delete).
        type: int
      max_delete_percent:
        description: Maximum share of tags to delete per repository, in percent. By default that of O(max_delete_percent).
        type: float
  protect:
    description:
      - Images that must not be deleted, such as those that run on hosts and in clusters. An image is protected with all its
        tags, the indexes that it is in, and what it needs.
      - Each entry is a digest, a reference, a tag, or a pattern over these (a shell pattern, or a regular expression after
        C(regex:)). V(*) in a shell pattern matches slashes as well.
      - A digest is that of a manifest, or the ID of an image (the digest of its configuration), as C(docker inspect) shows
        it. An ID may be written without C(sha256:), and cut to 12 or more digits.
      - References are compared by what they mean. Capitals in the host, default ports, the names of Docker Hub, and prefixes
        such as C(docker-pullable://) and C(https://) make no difference. A reference without a host is about that repository
        in every registry. A repository without tag and digest protects all its images.
      - Blanks, line ends and invisible characters around an entry are ignored. An entry that is none of these fails the task
        before the first request, for example a comment, a dictionary, a number, or several images in one entry.
      - A reference to an image of one of the repositories, or a tag, that matches nothing is warned about.
    type: list
    elements: raw
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
      - Maximum number of tags to delete per repository. If the plan has more, nothing is deleted in that repository; the others
        are pruned, and the task fails at the end.
      - Tags that are deleted with the image they are about, such as those of signatures, are not counted.
    type: int
  max_delete_percent:
    description:
      - Maximum share of the tags of a repository to delete, in percent, from V(0) to V(100). A share that is given holds in every
        repository. If the plan exceeds it, nothing is deleted in that repository, as with O(max_delete).
      - By default it is V(50) in repositories with more than 50 tags. In those with up to 50 tags any number may be deleted by
        default, except all of them.
    type: float
  plan:
    description:
      - File to write the plan to, in which case nothing is deleted. Repositories that could not be read, or where the plan
        exceeds a limit, are not in it.
    type: path
  apply_plan:
    description:
      - Plan file to apply. Tags that moved since the plan was made are left alone, as are digests that something needs now, and
        the task fails at the end. After a failure the same plan can be applied again.
    type: path
  undo:
    description:
      - File to which everything is added that O(restore) needs, before it is deleted. Each run adds to what is there.
      - A run that was stopped half-way leaves its part unfinished. The next one also deletes what has lost its last tag by
        then.
    type: path
  undo_days:
    description:
      - Number of days after which a finished run is removed from the file of O(undo). By default all runs are kept, and the file
        grows with each.
    type: int
  restore:
    description:
      - Put back what this file of O(undo) holds, as far as the registry still has the blobs, which is until its garbage
        collection. Tags that exist are left alone.
      - Of a tag that several runs have deleted, the newest image is put back.
    type: path
  restore_run:
    description:
      - Run in the file of O(restore) to put back, by its name, or V(last) for the newest. By default all runs are put back,
        the newest first.
    type: str
  cache_dir:
    description:
      - Directory in which to keep what was read of manifests, by digest, so that the next run reads only what is new. Check mode
        uses it, and does not write it. Files that other users can write are ignored.
    type: path
  report:
    description:
      - File to write everything to as JSON, with all tags, what became of each, and why. It is written as well when the task
        fails because not everything was pruned as planned, and not in check mode. The role P(ocikit.registry.prune#role) makes
        an HTML page and Markdown of it.
    type: path
  details:
    description:
      - Return everything. By default the result stays below 64 KiB, whatever its size; RV(totals) and C(counts) are complete, and
        lists hold the first entries.
    type: bool
    default: false
  option_names:
    description:
      - Names that messages use for options, by the option, for roles that set the options of this module from variables.
    type: dict
    default: {}
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

- name: Apply several policies in one run, with one undo file
  ocikit.registry.registry_prune:
    policies:
      - name: continuous integration
        repositories:
          - registry.example.com/ci/*
        rules:
          - match:
              tags: ["*"]
            delete: true
            older_than: 14d
      - name: team
        repositories:
          - registry.example.com/team/*
        rules: "{{ team_rules }}"
        protect: "{{ team_images }}"
        max_delete: 200
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

- name: Put back what the last run has deleted
  ocikit.registry.registry_prune:
    restore: /srv/plans/app-undo.json
    restore_run: last
"""

RETURN = r"""
totals:
  description:
    - Sums over all repositories, whatever RV(repositories) shows. C(repositories) is their number, C(incomplete) that of those not
      pruned as planned, C(bytes) what becomes free, and the others are the lengths of the lists of these names.
    - With O(restore), the number of images for each C(outcome).
  returned: success, and on failure once a repository was looked at
  type: dict
  sample:
    repositories: 2
    incomplete: 0
    bytes: 734003200
    delete: 12
    keep: 30
    digests: 9
    deleted_tags: 12
    deleted_digests: 9
    refused: 0
truncated:
  description:
    - Whether lists in RV(repositories), RV(previous) or RV(restored) were cut short to keep the result below 64 KiB. Set O(details) to
      get all, or look into the files of O(report), O(plan) and O(undo).
  returned: success, and on failure once a repository was looked at
  type: bool
policies:
  description: The policies of O(policies).
  returned: with O(policies)
  type: list
  elements: dict
  contains:
    name:
      description: The name of the policy.
      type: str
    repositories:
      description: The number of repositories that it names.
      type: int
    error:
      description: Why the policy could not be applied to any. V(null) if it was.
      type: str
repositories:
  description:
    - The repositories, in the order of their entries. Where they are too many for a result below 64 KiB, those that were not pruned
      as planned are shown first.
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
    policy:
      description: The name of its policy, with O(policies).
      type: str
    counts:
      description: The lengths of all lists, whatever is shown of these.
      type: dict
    rules:
      description:
        - How many tags each rule decided to C(delete) and to C(keep). C(rule) is its name, or the reason where no rule decided.
      type: list
      elements: dict
    delete:
      description:
        - The tags that go, each with C(digest) and C(created). C(rule) is the rule that deletes it, V(null) if none does, and
          C(reason) its condition, such as V(40 days old, kept until 30 days). C(why) is both in one line.
      type: list
      elements: dict
    keep:
      description:
        - The tags that stay, each with C(digest) and C(created). C(rule) is the rule that decided, V(null) if none did, and
          C(reason) its condition, such as V(newest 3). C(why) is both in one line.
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
      description: The tags that were deleted by this run, and that the registry does not serve or list any more.
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
  description:
    - What O(restore) needs for what was deleted. It is left out, with a warning before the deletion, where it is too large for a
      result below 64 KiB.
  returned: when something was deleted without O(undo)
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
undo_run:
  description: Name of this run in the file of O(undo), for O(restore_run).
  returned: with O(undo), when something was about to be deleted
  type: str
  sample: 20260401T033000Z-5f01c7
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
runs:
  description: The newest runs in the file of O(restore), the oldest first.
  returned: with O(restore)
  type: list
  elements: dict
  contains:
    run:
      description: The name of the run, for O(restore_run).
      type: str
    finished:
      description: Whether the run finished all its repositories.
      type: bool
    images:
      description: The number of its images.
      type: int
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(refused) or V(storage).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
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

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._prune.prune import prune
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT

_MATCH_SPEC: dict[str, t.Any] = {
    "tags": {"type": LIST, "elements": TEXT},
    "exclude": {"type": LIST, "elements": TEXT},
    "version": {"type": TEXT},
    "prereleases": {"type": "str", "choices": ["any", "none", "only"], "default": "any"},
    "labels": {"type": "dict"},
    "orphans": {"type": "bool", "default": False, "aliases": ["untagged"]},
    "dangling": {"type": "bool", "default": False},
}
_RULE_SPEC: dict[str, t.Any] = {
    "name": {"type": "str"},
    "match": {"type": "dict", "required": True, "options": _MATCH_SPEC},
    "keep": {"type": "bool", "default": False},
    "delete": {"type": "bool", "default": False},
    "keep_last": {"type": "int"},
    "count": {"type": "str", "choices": ["images", "tags"], "default": "images"},
    "by": {"type": "str", "choices": ["created", "version"], "default": "created"},
    "group": {"type": TEXT},
    "strict_versions": {"type": "bool", "default": True},
    "older_than": {"type": "str"},
    "younger_than": {"type": "str"},
}
_POLICY_SPEC: dict[str, t.Any] = {
    "name": {"type": "str"},
    "repositories": {
        "type": LIST,
        "elements": TEXT,
        "required": True,
        "aliases": ["images", "repository"],
    },
    "rules": {"type": "list", "elements": "dict", "required": True, "options": _RULE_SPEC},
    "protect": {"type": LIST, "elements": "raw"},
    "unknown_age": {"type": "str", "choices": ["keep", "delete"]},
    "max_delete": {"type": "int"},
    "max_delete_percent": {"type": "float"},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "repositories": {
        "type": LIST,
        "elements": TEXT,
        "default": [],
        "aliases": ["images", "repository"],
    },
    "rules": {"type": "list", "elements": "dict", "default": [], "options": _RULE_SPEC},
    "policies": {"type": "list", "elements": "dict", "default": [], "options": _POLICY_SPEC},
    "protect": {"type": LIST, "elements": "raw", "default": []},
    "unknown_age": {"type": "str", "choices": ["keep", "delete"], "default": "keep"},
    "max_delete": {"type": "int"},
    "max_delete_percent": {"type": "float"},
    "plan": {"type": "path"},
    "apply_plan": {"type": "path"},
    "undo": {"type": "path"},
    "undo_days": {"type": "int"},
    "restore": {"type": "path"},
    "restore_run": {"type": TEXT},
    "cache_dir": {"type": "path"},
    "report": {"type": "path"},
    "details": {"type": "bool", "default": False},
    "option_names": {"type": "dict", "default": {}},
}


def main() -> None:
    run(prune, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()

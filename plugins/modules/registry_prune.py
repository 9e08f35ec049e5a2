#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_prune
short_description: Delete the tags and images that a policy selects and nothing else needs
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Applies a policy to repositories. Everything is read before anything is deleted. A repository that cannot be read is left
    alone and reported; the others are pruned, and the task fails at the end.
  - A tag is deleted if a rule deletes it and no rule keeps it, whatever the order of the rules. A tag that no rule matches
    is kept.
  - A digest is deleted if a tag of it is deleted and nothing that is kept needs it, which is no other tag, no index that contains
    it, and no referrer. Signatures, attestations and other referrers are kept or deleted with their image. Rules do not apply to
    their tags (such as C(sha256-….sig)).
  - Tags whose manifest cannot be read are kept. As they may need any digest, only tags are deleted in that repository.
  - A plan can be written to a file, reviewed, and applied later. Tags that moved in the meantime are kept, and the task fails.
  - The age of a tag is that of its image, from its annotation, configuration or history. It is not the time of the push.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._progress
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
      - Images that must not be deleted, such as those that run on hosts and in clusters. A digest or image ID protects the image with
        all of its tags, the indexes that contain it, and everything that it needs. A tag, or a reference with a tag, protects that tag
        and its image, but no other tags of the image.
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
      - Treatment of tags of unknown age in rules that depend on the age. An age before 2013 or in the future is unknown as well.
        With V(delete), such tags are treated as very old.
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
        exceeds a limit, are not in it. A file with other content is not replaced, and fails the task.
    type: path
  apply_plan:
    description:
      - Plan file to apply. Tags that moved since the plan was made are left alone, as are digests that something needs now, and
        the task fails at the end. After a failure the same plan can be applied again.
      - O(protect) is refused here, because the plan says already what is deleted. Write a new plan with it.
    type: path
  undo:
    description:
      - Undo file, to which everything that O(restore) needs is added before it is deleted. Each run is added to those before.
      - A run that was interrupted is unfinished in the file. The next run also deletes the digests whose last tag that run deleted.
    type: path
  undo_days:
    description:
      - Number of days after which a finished run is removed from the file of O(undo). By default all runs are kept, and the file
        grows with each.
    type: int
  restore:
    description:
      - Undo file to restore. Tags and images are restored if the registry still has their blobs, which is until its garbage
        collection. Tags that exist are not changed.
      - If several runs deleted the same tag, its newest image is restored.
    type: path
  restore_run:
    description:
      - Run in the file of O(restore) to restore, by its name, or V(last) for the newest. By default all runs are restored, the newest
        first.
    type: str
  cache_dir:
    description:
      - Directory in which to cache manifests by digest, so that the next run reads only new ones. Check mode reads the cache and does
        not write to it. Files that other users can write are ignored.
    type: path
  report:
    description:
      - File to write a complete report to as JSON, with all tags, whether each was kept or deleted, and the reason. It is also written
        if the task fails because not everything was pruned as planned. It is not written in check mode. The role
        P(ocikit.registry.prune#role) converts it to an HTML page and to Markdown.
      - A file with other content is not replaced, and fails the task before anything is deleted.
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

- name: Write a plan without deleting anything
  ocikit.registry.registry_prune:
    repositories:
      - registry.example.com/team/app
    rules: "{{ prune_rules }}"
    plan: /srv/plans/app.json

- name: Apply the plan after a review
  ocikit.registry.registry_prune:
    apply_plan: /srv/plans/app.json
    undo: /srv/plans/app-undo.json

- name: Restore everything in the undo file
  ocikit.registry.registry_prune:
    restore: /srv/plans/app-undo.json

- name: Restore what the last run deleted
  ocikit.registry.registry_prune:
    restore: /srv/plans/app-undo.json
    restore_run: last
"""

RETURN = r"""
totals:
  description:
    - Sums over all repositories, also over those that RV(repositories) omits. C(repositories) is their number, C(incomplete) the number
      of those not pruned as planned, and C(bytes) the space that becomes free. The others are the lengths of the lists of these names.
    - With O(restore), the number of images for each C(outcome).
  returned: success, and on failure once a repository was read
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
    - Whether lists in RV(repositories), RV(previous) or RV(restored) were shortened to keep the result below 64 KiB. Set
      O(details=true) to return all entries, or use the files of O(report), O(plan) and O(undo).
  returned: success, and on failure once a repository was read
  type: bool
  sample: false
policies:
  description: Policies of O(policies).
  returned: with O(policies)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the policy.
      type: str
    repositories:
      description: Number of repositories of the policy.
      type: int
    error:
      description: Why the policy could not be applied. V(null) if it was applied.
      type: str
  sample:
    - name: continuous integration
      repositories: 12
      error:
repositories:
  description:
    - Repositories, in the order of the option. If they are too many for a result below 64 KiB, those that were not pruned as planned
      are returned first.
  returned: success, and on failure once a repository was read; not with O(restore)
  type: list
  elements: dict
  contains:
    registry:
      description: Registry of the repository.
      type: str
      sample: registry.example.com
    repository:
      description: Name of the repository without the registry.
      type: str
      sample: team/app
    policy:
      description: Name of the policy of the repository, with O(policies).
      type: str
      sample: team
    counts:
      description: Complete lengths of all lists, also of those that were shortened.
      type: dict
      sample:
        delete: 2
        keep: 14
        digests: 1
        deleted_tags: 2
        deleted_digests: 1
        refused: 0
    rules:
      description:
        - Number of tags that each rule decided to C(delete) and to C(keep). C(rule) is its name, or the reason if no rule decided.
      type: list
      elements: dict
      sample:
        - rule: old builds
          delete: 2
          keep: 3
        - rule: no rule deletes it
          delete: 0
          keep: 11
    delete:
      description:
        - Tags to delete, each with C(digest) and C(created). C(rule) is the rule that deletes the tag, or V(null) if the tag is deleted
          with its image. C(reason) is the condition, such as V(40 days old, kept until 30 days). C(why) is both in one line.
      type: list
      elements: dict
      sample:
        - tag: build-17
          digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
          created: "2026-01-15T08:30:00Z"
          rule: old builds
          reason: 40 days old, kept until 30 days
          why: old builds, 40 days old, kept until 30 days
    keep:
      description:
        - Tags to keep, each with C(digest) and C(created). C(rule) is the rule that decided, or V(null) if no rule did. C(reason) is the
          condition, such as V(newest 3). C(why) is both in one line.
      type: list
      elements: dict
      sample:
        - tag: build-21
          digest: sha256:9c2f5bd1a4b0e6d3f78c21a5e9d0b4f6a7c8e1d2b3f4a5968778695a4b3c2d1e
          created: "2026-02-20T08:30:00Z"
          rule: old builds
          reason: newest 3
          why: old builds, newest 3
    digests:
      description: Digests to delete.
      type: list
      elements: str
      sample:
        - sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    bytes:
      description: Space in bytes that becomes free with the garbage collection of the registry, as far as known.
      type: int
      sample: 734003200
    deleted_tags:
      description: Tags that this run deleted, and that the registry does not serve or list any more.
      type: list
      elements: str
      sample: [build-17, build-18]
    deleted_digests:
      description: Digests that this run deleted.
      type: list
      elements: str
      sample:
        - sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    refused:
      description: Tags and digests that were not deleted because they moved or are needed again, each with C(tag), C(digest) and C(why).
      type: list
      elements: dict
      sample: []
    error:
      description: Why the repository was not pruned, or not completely. V(null) if it was pruned as planned.
      type: str
      sample:
previous:
  description:
    - Data to restore what was deleted. If it is too large for a result below 64 KiB, it is omitted, with a warning before anything is
      deleted. Use O(undo) in that case.
  returned: when something was deleted without O(undo)
  type: list
  elements: dict
  contains:
    registry:
      description: Registry of the repository.
      type: str
      sample: registry.example.com
    repository:
      description: Name of the repository without the registry.
      type: str
      sample: team/app
    digest:
      description: Digest of the manifest.
      type: str
      sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    tags:
      description: Deleted tags of this digest.
      type: list
      elements: str
      sample: [build-17]
    media_type:
      description: Media type of the manifest.
      type: str
      sample: application/vnd.oci.image.manifest.v1+json
    manifest:
      description: Bytes of the manifest in base64.
      type: str
      sample: eyJzY2hlbWFWZXJzaW9uIjoyfQ==
undo_run:
  description: Name of this run in the undo file, for O(restore_run).
  returned: with O(undo), when something was about to be deleted
  type: str
  sample: 20260401T033000Z-5f01c7
restored:
  description: Outcome for each image in the file of O(restore).
  returned: with O(restore)
  type: list
  elements: dict
  contains:
    image:
      description: Image, as a full reference.
      type: str
    digest:
      description: Digest of the image.
      type: str
    outcome:
      description:
        - One of V(restored), V(unchanged), V(moved) (the tag now points to another image), V(lost) (the garbage collection deleted a
          part of the image) and V(failed).
      type: str
    why:
      description: Reason for V(moved), V(lost) and V(failed).
      type: str
  sample:
    - image: registry.example.com/team/app:build-17
      digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      outcome: restored
      why:
runs:
  description: Newest runs in the file of O(restore), the oldest of them first.
  returned: with O(restore)
  type: list
  elements: dict
  contains:
    run:
      description: Name of the run, for O(restore_run).
      type: str
    finished:
      description: Whether the run finished all of its repositories.
      type: bool
    images:
      description: Number of images of the run.
      type: int
  sample:
    - run: 20260401T033000Z-5f01c7
      finished: true
      images: 12
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
from ansible_collections.ocikit.registry.plugins.module_utils._progress import ARGUMENTS
from ansible_collections.ocikit.registry.plugins.module_utils._prune.prune import prune
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import (
    INTEGER,
    LIST,
    NUMBER,
    TEXT,
)

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
    "keep_last": {"type": INTEGER},
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
    "max_delete": {"type": INTEGER},
    "max_delete_percent": {"type": NUMBER},
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
    "max_delete": {"type": INTEGER},
    "max_delete_percent": {"type": NUMBER},
    "plan": {"type": "path"},
    "apply_plan": {"type": "path"},
    "undo": {"type": "path"},
    "undo_days": {"type": INTEGER},
    "restore": {"type": "path"},
    "restore_run": {"type": TEXT},
    "cache_dir": {"type": "path"},
    "report": {"type": "path"},
    "details": {"type": "bool", "default": False},
    "option_names": {"type": "dict", "default": {}},
    **ARGUMENTS,
}


def main() -> None:
    run(prune, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()

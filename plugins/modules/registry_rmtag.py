#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_rmtag
short_description: Remove tags from a repository
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Removes tags. Other tags of the same image are preserved, also on registries where deleting a manifest deletes all of its tags.
  - If the registry does not allow deletion, the task fails before it changes anything. This is tested with a DELETE request for a
    digest that does not exist. A failure later is rolled back. The message says whether the rollback was verified.
  - Each tag is looked up again immediately before each request that removes it, including retries. A tag that was moved or pushed
    meanwhile is preserved, and the task fails.
  - The manifests are preserved without a tag until the garbage collection of the registry. A manifest that the registry deletes
    with its last tag is stored again by its digest, because an index may need it.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  check_mode:
    details:
      - No write request is sent. Check mode therefore does not detect that a registry does not allow deletion.
options:
  image:
    description:
      - Repository, such as V(registry.example.com/team/app). If it has a tag, that tag is removed.
    type: str
    required: true
    aliases: [repository, repo]
  tags:
    description:
      - Tags to remove. An entry with C(*), C(?) or C([) is a shell pattern, and an entry after V(regex:) is a regular expression.
        Patterns must match the whole tag, and are case-sensitive.
      - Tags that do not exist, and patterns that match no tag, are ignored. A pattern that cannot match any tag, such as V(^v.*) or
        V(a|b), is refused.
      - Tags that the registry lists although their manifest is missing can be removed as well, see RV(removed[].dangling).
    type: list
    elements: str
    default: []
    aliases: [tag]
  strategy:
    description:
      - Method to remove a tag.
      - V(tag) deletes the tag by its name. Not all registries support this, for example distribution 2.8 and Harbor do not.
      - V(placeholder) points the tag at a new image that no other tag uses, and deletes that image by its digest.
      - V(auto) uses V(tag) if the registry supports it, else V(placeholder).
      - V(manifest) deletes the image by its digest, with all of its tags. The task fails unless all tags of the image are given. It
        also fails if an index of another tag needs the image, or if the manifest of another tag is missing or cannot be read.
        A fallback tag that lists the image as a referrer does not prevent this, and the image is removed from the list.
        If the registry refuses to delete a tagged image, or keeps its tags, the tags are deleted first by their names.
      - V(manifest) looks up all tags of the repository, with one request for each. The other methods need at most 13 requests for
        each tag.
    type: str
    choices: [auto, tag, placeholder, manifest]
    default: auto
seealso:
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_tag_info
"""

EXAMPLES = r"""
---
- name: Remove a tag, and preserve other tags of the same image such as latest
  ocikit.registry.registry_rmtag:
    image: registry.example.com/team/app
    tags:
      - 1.4.2

- name: Remove the tags of a branch that was merged
  ocikit.registry.registry_rmtag:
    image: registry.example.com/team/app
    tags:
      - feature-login-*

- name: Remove the tags of release candidates by a regular expression
  ocikit.registry.registry_rmtag:
    image: registry.example.com/team/app
    tags:
      - regex:[0-9.]+-rc[0-9]+

- name: Show which tags would be removed
  ocikit.registry.registry_rmtag:
    image: registry.example.com/team/app
    tags:
      - pr-*
  check_mode: true
  register: would_remove

- name: Delete an image with both of its tags
  ocikit.registry.registry_rmtag:
    image: registry.example.com/team/app
    tags:
      - nightly
      - nightly-2026-11-22
    strategy: manifest
"""

RETURN = r"""
repository:
  description: Repository, with its registry.
  returned: success
  type: str
  sample: registry.example.com/team/app
removed:
  description:
    - Tags that existed and were removed (in check mode, would be removed), sorted.
    - After a failure, the tags that do not exist any more.
  returned: success, and when a removal failed
  type: list
  elements: dict
  contains:
    tag:
      description: Name of the tag.
      type: str
    digest:
      description: Digest of the tag. V(null) if RV(removed[].dangling) is V(true).
      type: str
    dangling:
      description: Whether the registry listed the tag although its manifest was missing.
      type: bool
    siblings:
      description:
        - Other tags of this digest that were looked up, sorted. These are tags in O(tags), or with O(strategy=manifest) all tags of
          the repository.
      type: list
      elements: str
    method:
      description: Strategy that removed the tag, V(tag), V(placeholder) or V(manifest). V(null) in check mode.
      type: str
    changed:
      description: Whether the tag was removed (in check mode, would be removed).
      type: bool
  sample:
    - tag: 1.4.2
      digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      dangling: false
      siblings: []
      method: placeholder
      changed: true
absent:
  description: Tag of O(image) and entries of O(tags) that matched no tag, as they were written.
  returned: success
  type: list
  elements: str
  sample: ["pr-*"]
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(unsupported) or V(refused).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: unsupported
    status: 405
    code: UNSUPPORTED
    message: The operation is unsupported.
    detail:
    method: DELETE
    url: https://registry.example.com/v2/team/app/manifests/1.4.2
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._deletion.remove_tags import remove_tags
from ansible_collections.ocikit.registry.plugins.module_utils._deletion.tags import STRATEGIES
from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True, "aliases": ["repository", "repo"]},
    "tags": {"type": LIST, "elements": TEXT, "default": [], "aliases": ["tag"]},
    "strategy": {"type": "str", "choices": list(STRATEGIES), "default": "auto"},
}


def main() -> None:
    run(remove_tags, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()

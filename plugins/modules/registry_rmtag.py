#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_rmtag
short_description: Remove tags from a repository, and nothing else
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Removes tags. Other tags of the same digest keep their image on every registry, whatever a deletion takes along there.
  - Whether the registry allows deletion is found out before anything is changed, by the request to delete a digest that does not
    exist. A failure in the middle is rolled back. The message calls that verified only if a later read shows it.
  - Each tag is looked at again right before each request that removes it, repeated requests included. A tag that was moved or
    pushed meanwhile is left alone, and the task fails.
  - The manifests themselves stay, without a name, until the registry collects its garbage. A manifest that the registry deletes
    with its last tag is stored again by its digest, as an index may need it.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  check_mode:
    details:
      - No write request is sent. That a registry does not allow deletion can therefore not be known in check mode.
options:
  image:
    description:
      - The repository, such as V(registry.example.com/team/app). With a tag, that tag is removed.
    type: str
    required: true
    aliases: [repository, repo]
  tags:
    description:
      - The tags to remove. An entry with C(*), C(?) or C([) is a shell glob over the tags of the repository, one that
        begins with V(regex:) a regular expression. Both have to match the whole tag, and case counts.
      - Absent tags, and patterns that match none of the tags, are no error. A pattern that can match no tag at all, such as
        V(^v.*) or V(a|b), is refused.
      - A tag that the registry lists although its manifest is missing is removed like others, see RV(removed[].dangling).
    type: list
    elements: str
    default: []
    aliases: [tag]
  strategy:
    description:
      - How to remove a tag.
      - V(tag) sends a DELETE of the tag. Not all registries know it; distribution 2.8 and Harbor do not.
      - V(placeholder) lets the tag point to a new image that nothing else uses, and deletes that by its digest.
      - V(auto) takes the first of these that the registry supports.
      - V(manifest) deletes the image itself by its digest, and its tags with it. It is refused unless all of them are named,
        where the index of another tag needs the image, and where what another tag points to cannot be read or is missing.
        A fallback tag that lists the image as a referrer does not need it; the image is taken off that list.
        Where the registry deletes no image that has a tag, as Google's do, or leaves the tags, as that of go-containerregistry
        does, the tags are first deleted by their names.
      - With V(manifest) all tags of the repository are looked up, with one request each. Otherwise removing one tag takes at most
        13 requests, whatever the size of the repository.
    type: str
    choices: [auto, tag, placeholder, manifest]
    default: auto
seealso:
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_tag_info
"""

EXAMPLES = r"""
---
- name: Remove a tag; latest keeps its image although it is the same one
  ocikit.registry.registry_rmtag:
    image: registry.example.com/team/app
    tags:
      - 1.4.2

- name: Remove the tags of a branch that was merged
  ocikit.registry.registry_rmtag:
    image: registry.example.com/team/app
    tags:
      - feature-login-*

- name: Delete an image that has just these two tags
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
    - The tags that existed and were removed (in check mode, would be), sorted.
    - After a failure these are the tags that are seen to be gone.
  returned: success, and when a removal failed
  type: list
  elements: dict
  contains:
    tag:
      description: The tag.
      type: str
    digest:
      description: The digest it pointed to. V(null) where RV(removed[].dangling) is V(true).
      type: str
    dangling:
      description: Whether the registry listed the tag although its manifest is missing.
      type: bool
    siblings:
      description:
        - The other tags of this digest, sorted, as far as they were looked at. These are the tags that O(tags) names, and all
          tags of the repository where O(strategy) is V(manifest).
      type: list
      elements: str
    method:
      description: The strategy that removed it, one of V(tag), V(placeholder) and V(manifest). V(null) in check mode.
      type: str
    changed:
      description: Whether it was removed.
      type: bool
absent:
  description: The tag of O(image) and the entries of O(tags) that there was nothing to remove for, as they were written.
  returned: success
  type: list
  elements: str
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

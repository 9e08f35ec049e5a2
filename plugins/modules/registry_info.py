#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: Check a registry, the credentials and the capabilities
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Returns whether a registry is reachable, the account that the task is authenticated as, and what the registry supports.
  - Only GET and HEAD requests are sent. What these cannot show is tested with O(probe_deletion) and O(probe_mount).
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  repository:
    description:
      - Repository to test the capabilities with, preferably with two or more tags.
      - By default the registry in O(registry) is tested without a repository, and fewer RV(capabilities) are known.
    type: str
    aliases: [image, repo]
  probe_deletion:
    description:
      - Whether to test if manifests and tags can be deleted, by DELETE requests for a random digest and a random tag of
        O(repository) that do not exist.
      - The requests change nothing, but they need the permission to delete, and appear in the audit log of the registry.
      - Ignored in check mode.
    type: bool
    default: false
  probe_mount:
    description:
      - Whether to test if blobs can be mounted from another repository, by mounting a blob of O(repository) into O(repository)
        itself.
      - A registry that does not support mounts starts an upload, which is then cancelled. The requests need the permission to
        write, and appear in the audit log of the registry.
      - Ignored in check mode.
    type: bool
    default: false
  fail:
    description:
      - Whether the task fails if the registry is not reachable, or refuses the credentials.
      - If V(false), check RV(reachable), RV(authenticated) and RV(error). Invalid options always fail the task.
    type: bool
    default: true
seealso:
  - module: ocikit.registry.registry_catalog_info
"""

EXAMPLES = r"""
---
- name: Wait until the registry is reachable
  ocikit.registry.registry_info:
    registry: registry.example.com
    retries: 0
  register: found
  until: found is succeeded
  retries: 30
  delay: 2

- name: Check that the registry allows deletion before tags are pruned
  ocikit.registry.registry_info:
    repository: registry.example.com/team/app
    probe_deletion: true
  register: found
  failed_when: not found.capabilities.delete_manifest

- name: Find the mirrors that are reachable
  ocikit.registry.registry_info:
    registry: "{{ item }}"
    fail: false
  loop:
    - mirror-1.example.com
    - mirror-2.example.com
  register: mirrors

- name: Show the first reachable mirror
  ansible.builtin.debug:
    msg: "{{ mirrors.results | selectattr('reachable') | map(attribute='registry') | first }}"

- name: Read the rate limit of Docker Hub
  ocikit.registry.registry_info:
    repository: docker.io/library/busybox
  register: hub

- name: Fail if fewer than ten pulls are left
  ansible.builtin.assert:
    that: hub.rate_limit.remaining > 10
"""

RETURN = r"""
registry:
  description: Registry, as in references.
  returned: success
  type: str
  sample: registry.example.com
url:
  description: URL of the registry, without C(/v2/).
  returned: success
  type: str
  sample: https://registry.example.com
reachable:
  description: Whether a registry answers at this URL, even if it refuses the credentials.
  returned: success
  type: bool
  sample: true
authenticated:
  description:
    - Whether the registry accepts the credentials. V(false) if it refuses them, or if there are none.
    - V(null) if the registry does not ask for credentials. They are sent all the same, and nothing tells whether it looks at them.
  returned: success
  type: bool
  sample: true
authentication:
  description: Authentication scheme of the registry, V(basic) or V(bearer). V(null) if it does not ask for credentials.
  returned: success
  type: str
  sample: bearer
username:
  description: Account that the task is authenticated as. V(null) if the credentials have no user name.
  returned: success
  type: str
  sample: alice
credentials_source:
  description: Source of the credentials, such as a path or the name of a variable. V(null) if there are none.
  returned: success
  type: str
  sample: /home/alice/.docker/config.json
api_version:
  description: API version in the response of the registry. V(null) if there is none.
  returned: success
  type: str
  sample: registry/2.0
capabilities:
  description:
    - Capabilities of the registry for these credentials. Each is V(true), V(false), or V(null) if it is not known.
  returned: success
  type: dict
  contains:
    catalog:
      description: List repositories.
      type: bool
    tag_pages:
      description: List tags in pages whose size the client sets. Requires O(repository) with two tags.
      type: bool
    head_digest:
      description: Return the digest of a tag in the response to HEAD. Requires O(repository) with a tag.
      type: bool
    referrers:
      description: List referrers with the referrers API. Requires O(repository).
      type: bool
    delete_manifest:
      description: Delete manifests by digest. Requires O(probe_deletion=true).
      type: bool
    delete_tag:
      description:
        - Delete tags by name, as far as the response for a tag that does not exist shows. Requires O(probe_deletion=true).
          M(ocikit.registry.registry_rmtag) also works without this capability.
      type: bool
    mount:
      description: Mount blobs of other repositories. Requires O(probe_mount=true) and O(repository) with an image.
      type: bool
  sample:
    catalog: true
    tag_pages: true
    head_digest: true
    referrers: false
    delete_manifest: true
    delete_tag: false
    mount:
page_size:
  description:
    - Default page size of the C(catalog) and of the C(tags) of O(repository). V(null) if there is only one page, or no list.
  returned: success
  type: dict
  sample:
    catalog: 100
    tags:
rate_limit:
  description:
    - Rate limit in the response of the registry. V(null) if there is none. Docker Hub returns it with O(repository) only.
  returned: success
  type: dict
  contains:
    limit:
      description: Number of requests that are allowed in the time window.
      type: int
    remaining:
      description: Number of requests that are left.
      type: int
    window:
      description: Length of the time window in seconds. V(null) if it is not known.
      type: int
    reset:
      description: End of the time window, in seconds or as a timestamp. V(null) if it is not known.
      type: int
    source:
      description: Client that the requests are counted for, such as an IP address. V(null) if it is not known.
      type: str
  sample:
    limit: 100
    remaining: 76
    window: 21600
    reset:
    source: 192.0.2.7
headers:
  description: Response headers that identify the software, by their names in lower case.
  returned: success
  type: dict
  sample:
    docker-distribution-api-version: registry/2.0
    server: nginx
error:
  description:
    - Why the registry cannot be used. V(null) if it can. RV(ignore:error.kind) is a stable name such as
      V(unreachable), V(tls) or V(unauthorized). C(status), C(code), C(message) and C(detail) are those of the registry's response
      to the request C(method) C(url).
  returned: always
  type: dict
  sample:
msg:
  description: Why the registry cannot be used, as a sentence.
  returned: on failure, and if the registry cannot be used
  type: str
  sample: "registry.example.com cannot be reached: the connection was refused."
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.capabilities import inspect_registry
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "repository": {"type": TEXT, "aliases": ["image", "repo"]},
    "probe_deletion": {"type": "bool", "default": False},
    "probe_mount": {"type": "bool", "default": False},
    "fail": {"type": "bool", "default": True},
}


def main() -> None:
    run(inspect_registry, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()

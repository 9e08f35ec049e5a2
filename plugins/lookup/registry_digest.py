# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_digest
short_description: Pin images to the digests that they have in the registry now
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Gives for each image the reference that cannot move, such as V(registry.example.com/team/app@sha256:...),
    or its digest, or a dictionary with both and more.
  - No image is pulled. Each distinct image costs one HEAD request after authentication; many of them are
    asked for at a time.
  - An image that is named by its digest is looked up as well, so that what comes back does exist.
extends_documentation_fragment:
  - ocikit.registry._registry_lookup
options:
  _terms:
    description:
      - The images, such as V(registry.example.com/team/app:1.4.2). Without tag and digest the tag V(latest)
        is meant; with both the digest decides.
    type: list
    elements: str
    required: true
  format:
    description:
      - What is given for each image.
    type: str
    default: reference
    choices:
      reference: The pinned reference.
      digest: The digest.
      dict: A dictionary, see RV(_list).
  platform:
    description:
      - The platform whose image is meant, as C(os/architecture) or C(os/architecture/variant), such as
        V(linux/arm64). Without it an index keeps its own digest, which serves all its platforms.
      - Indexes within an index are searched as well. Where there is no image for the variant, one for the newest
        older variant is taken, and else one that names no platform. A version of Windows may follow, as in
        V(windows/amd64:10.0.20348).
      - Takes a GET request instead of the HEAD. A single image has to be for this platform itself; to find out,
        its configuration is read with another request.
    type: str
  keep_tag:
    description:
      - Whether the pinned reference keeps the tag for people to read, as in
        V(registry.example.com/team/app:1.4.2@sha256:...).
      - Container engines and Kubernetes accept that and go by the digest; some tools, such as skopeo, refuse
        it.
    type: bool
    default: false
  default:
    description:
      - What is given for an image that does not exist, or does not exist for O(platform). Any value will do,
        also an empty one or V(none). Without this option the lookup fails.
      - Other failures, such as missing rights or an unreachable registry, are never covered by it.
    type: raw
notes:
  - A variable that holds this lookup asks the registry whenever it is used, once for each host. Use
    M(ansible.builtin.set_fact) in a play on C(localhost) to ask once for all hosts. C(run_once) is not enough where a
    play has C(serial), because each batch asks again.
seealso:
  - plugin: ocikit.registry.registry_tags
    plugin_type: lookup
  - plugin: ocikit.registry.image_pin
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Stop unless the tag still has the digest that was tested
  ansible.builtin.assert:
    that:
      - lookup('ocikit.registry.registry_digest', image, format='digest') == tested_digest
    fail_msg: "{{ image }} is not what was tested"

- name: Show where many images point, resolved at the same time
  ansible.builtin.debug:
    msg: "{{ item.image }} is {{ item.digest }} ({{ item.media_type }})"
  loop: "{{ query('ocikit.registry.registry_digest', images, format='dict') }}"
  loop_control:
    label: "{{ item.image }}"

- name: Get the digest of one platform, with credentials from a vault
  ansible.builtin.debug:
    msg: "{{ lookup('ocikit.registry.registry_digest', image, platform='linux/arm64', format='digest') }}"
  vars:
    ocikit_registry_username: deploy
    ocikit_registry_password: "{{ vault_registry_password }}"

- name: Build only what is not there yet
  ansible.builtin.command:
    cmd: make image
  when: lookup('ocikit.registry.registry_digest', image, default='') | length == 0

---
# A play of its own asks once. With run_once, each batch of a play with serial would ask again.
- name: Pin the image, once for all hosts
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Look the image up
      ansible.builtin.set_fact:
        app_image: "{{ lookup('ocikit.registry.registry_digest', 'registry.example.com/team/app:1.4.2') }}"

- name: Deploy the same image to all hosts
  hosts: webservers
  serial: 2
  tasks:
    - name: Deploy
      ansible.builtin.template:
        src: compose.yml.j2 # has image: {{ hostvars.localhost.app_image }}
        dest: /srv/app/compose.yml
        mode: "0644"
"""

RETURN = r"""
_list:
  description:
    - One entry for each image, in their order. With O(format=dict) it has the keys C(image), the full
      reference that was asked for; C(reference), the pinned one; C(registry), C(repository), C(tag), which is
      V(none) for an image named by digest alone; C(digest), C(media_type) and C(size) of the manifest; and
      C(platform), which is O(platform) normalised, or V(none).
  type: list
  elements: raw
  sample:
    - registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

import typing as t
from dataclasses import replace

from ansible.plugins.lookup import LookupBase

from ansible_collections.ocikit.registry.plugins.module_utils._errors import NotFound
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, Platform
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import Reference
from ansible_collections.ocikit.registry.plugins.module_utils._registry.images import pick
from ansible_collections.ocikit.registry.plugins.plugin_utils._lookup import Question, run


def pin(question: Question) -> list[t.Any]:
    options = question.options
    platform = Platform.parse(options["platform"]) if options["platform"] else None
    references = [_with_tag(question.clients.reference(term)) for term in question.terms]
    answers = question.ask(
        references, lambda repository, reference: pick(repository, reference, platform).image
    )
    return [
        question.value_without(answer)
        if isinstance(answer, NotFound)
        else _result(reference, answer, platform, options)
        for reference, answer in zip(references, answers)
    ]


def _with_tag(reference: Reference) -> Reference:
    return reference if reference.digest else reference.with_tag(reference.target)


def _result(
    reference: Reference, image: Descriptor, platform: Platform | None, options: t.Mapping[str, t.Any]
) -> t.Any:
    if options["format"] == "digest":
        return image.digest
    kept = str(replace(reference, digest=image.digest))
    pinned_reference = kept if options["keep_tag"] else reference.pinned(image.digest)
    if options["format"] == "reference":
        return pinned_reference
    return {
        "image": str(reference),
        "reference": pinned_reference,
        "registry": reference.registry,
        "repository": reference.repository,
        "tag": reference.tag,
        "digest": image.digest,
        "media_type": image.media_type,
        "size": image.size,
        "platform": str(platform) if platform else None,
    }


class LookupModule(LookupBase):
    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        return run(self, pin, terms, variables, kwargs)

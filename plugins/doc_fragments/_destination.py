# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this doc fragment is PRIVATE to the collection.

from __future__ import annotations


class ModuleDocFragment:
    """The connection to a second registry, for modules that read from one and write to another."""

    # Should be used together with the fragment of the connection options.
    DOCUMENTATION = r"""
options:
  destination:
    description:
      - Connection options for the destination, where they differ. Those that are left out are as for the source, but
        never the registry, credentials and client certificate.
    type: dict
    suboptions:
      registry:
        description: Like O(registry), for the destination.
        type: str
        aliases: [registry_url]
      username:
        description: Like O(username), for the destination.
        type: str
      password:
        description: Like O(password), for the destination.
        type: str
      token:
        description: Like O(token), for the destination.
        type: str
      identity_token:
        description: Like O(identity_token), for the destination.
        type: str
      auth_file:
        description: Like O(auth_file), for the destination.
        type: path
        aliases: [config_path]
      validate_certs:
        description: Like O(validate_certs), for the destination.
        type: bool
      ca_path:
        description: Like O(ca_path), for the destination.
        type: path
        aliases: [ca_cert, cacert_path]
      client_cert:
        description: Like O(client_cert), for the destination.
        type: path
      client_key:
        description: Like O(client_key), for the destination.
        type: path
      plain_http:
        description: Like O(plain_http), for the destination.
        type: bool
      proxy:
        description: Like O(proxy), for the destination.
        type: str
      connect_timeout:
        description: Like O(connect_timeout), for the destination.
        type: float
      read_timeout:
        description: Like O(read_timeout), for the destination.
        type: float
      retries:
        description: Like O(retries), for the destination.
        type: int
      trusted_realms:
        description: Like O(trusted_realms), for the destination.
        type: list
        elements: str
"""

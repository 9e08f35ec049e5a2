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
      - Connection options for the destination registry. Options that are not given are those of the source, except for the
        registry, credentials and client certificate, which are never used for another registry.
    type: dict
    suboptions:
      registry:
        description: Host, or URL with scheme and path prefix, of the destination registry.
        type: str
        aliases: [registry_url]
      username:
        description: User name for the destination registry. Requires C(password).
        type: str
      password:
        description: Password, or an access token that is used as one.
        type: str
      token:
        description: Bearer token, sent unchanged.
        type: str
      identity_token:
        description: OAuth2 refresh token, exchanged for access tokens at the registry's token service.
        type: str
      auth_file:
        description: File with credentials, as C(docker login), C(podman login) or C(skopeo login) writes it.
        type: path
        aliases: [config_path]
      validate_certs:
        description: >-
          Whether the TLS certificate of the destination registry must be valid. By default as for the source.
        type: bool
      ca_path:
        description: File or directory with the CA certificates to trust. By default as for the source.
        type: path
        aliases: [ca_cert, cacert_path]
      client_cert:
        description: Client certificate in PEM format. The file can also contain the private key.
        type: path
      client_key:
        description: Private key of C(client_cert) in PEM format.
        type: path
      plain_http:
        description: >-
          Whether to use plain HTTP for a destination without a scheme. By default plain HTTP is used for loopback hosts, and HTTPS
          for all others.
        type: bool
      proxy:
        description: URL of the proxy. By default as for the source.
        type: str
      connect_timeout:
        description: Maximum number of seconds to establish a connection. By default as for the source.
        type: float
      read_timeout:
        description: Maximum number of seconds to wait for data from the registry. By default as for the source.
        type: float
      retries:
        description: Number of retries after transient errors, with exponential backoff. By default as for the source.
        type: int
      trusted_realms:
        description: >-
          Hosts of token services outside the destination's own domain that may receive the credentials. By default as
          for the source.
        type: list
        elements: str
"""

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this doc fragment is PRIVATE to the collection.

from __future__ import annotations


class ModuleDocFragment:
    """The connection options, which every lookup of this collection has."""

    DOCUMENTATION = r"""
options:
  registry:
    description:
      - >-
        The registry that references without a host belong to: a host such as V(registry.example.com:5000),
        or a URL with scheme and path prefix such as V(https://repo.example.com/repository/docker).
      - Without it such references belong to Docker Hub.
    type: str
    aliases: [registry_url]
    env:
      - name: OCIKIT_REGISTRY_URL
    ini:
      - section: ocikit_registry
        key: url
    vars:
      - name: ocikit_registry_url
  username:
    description:
      - User name for the registry. Needs O(password).
      - >-
        User name, password and tokens given as options go to one registry only: that of O(registry), else
        the one that the images name.
      - Without any of them the auth files are read, see O(auth_file).
    type: str
    env:
      - name: OCIKIT_REGISTRY_USERNAME
    ini:
      - section: ocikit_registry
        key: username
    vars:
      - name: ocikit_registry_username
  password:
    description:
      - Password, or access token used as one, of O(username).
    type: str
    env:
      - name: OCIKIT_REGISTRY_PASSWORD
    ini:
      - section: ocikit_registry
        key: password
    vars:
      - name: ocikit_registry_password
  token:
    description:
      - A bearer token that the registry takes as it is.
    type: str
    env:
      - name: OCIKIT_REGISTRY_TOKEN
    ini:
      - section: ocikit_registry
        key: token
    vars:
      - name: ocikit_registry_token
  identity_token:
    description:
      - An OAuth2 refresh token, which is exchanged for access tokens at the registry's token service.
    type: str
    env:
      - name: OCIKIT_REGISTRY_IDENTITY_TOKEN
    ini:
      - section: ocikit_registry
        key: identity_token
    vars:
      - name: ocikit_registry_identity_token
  auth_file:
    description:
      - A file with credentials, as C(podman login), C(skopeo login) or C(docker login) write it. It is the
        only one that is read then.
      - Without it the file of E(REGISTRY_AUTH_FILE) is read, else in turn E(DOCKER_AUTH_CONFIG),
        C(containers/auth.json) in E(XDG_RUNTIME_DIR) and E(XDG_CONFIG_HOME), and C(config.json) in
        E(DOCKER_CONFIG), which is C(~/.docker) by default.
      - Credential helpers that these files name are run. With C(become), home directory and E(PATH) are
        those of the other user.
    type: path
    aliases: [config_path]
    env:
      - name: OCIKIT_REGISTRY_AUTH_FILE
    ini:
      - section: ocikit_registry
        key: auth_file
    vars:
      - name: ocikit_registry_auth_file
  validate_certs:
    description:
      - Whether the registry's TLS certificate must be valid. Switch this off for trials only.
    type: bool
    default: true
    env:
      - name: OCIKIT_REGISTRY_VALIDATE_CERTS
    ini:
      - section: ocikit_registry
        key: validate_certs
    vars:
      - name: ocikit_registry_validate_certs
  ca_path:
    description:
      - A file or directory of certificates of the authorities to trust instead of the usual ones.
    type: path
    aliases: [ca_cert, cacert_path]
    env:
      - name: OCIKIT_REGISTRY_CA_PATH
    ini:
      - section: ocikit_registry
        key: ca_path
    vars:
      - name: ocikit_registry_ca_path
  client_cert:
    description:
      - A client certificate in PEM form. The file may hold the key as well.
    type: path
    env:
      - name: OCIKIT_REGISTRY_CLIENT_CERT
    ini:
      - section: ocikit_registry
        key: client_cert
    vars:
      - name: ocikit_registry_client_cert
  client_key:
    description:
      - The private key of O(client_cert) in PEM form.
    type: path
    env:
      - name: OCIKIT_REGISTRY_CLIENT_KEY
    ini:
      - section: ocikit_registry
        key: client_key
    vars:
      - name: ocikit_registry_client_key
  plain_http:
    description:
      - Whether registries named without a scheme speak plain HTTP.
      - Without it loopback hosts do, and all others speak HTTPS.
    type: bool
    env:
      - name: OCIKIT_REGISTRY_PLAIN_HTTP
    ini:
      - section: ocikit_registry
        key: plain_http
    vars:
      - name: ocikit_registry_plain_http
  proxy:
    description:
      - URL of the proxy to be used, with user name and password where it wants them.
      - Without it the usual variables such as E(HTTPS_PROXY) and E(NO_PROXY) decide.
    type: str
    env:
      - name: OCIKIT_REGISTRY_PROXY
    ini:
      - section: ocikit_registry
        key: proxy
    vars:
      - name: ocikit_registry_proxy
  connect_timeout:
    description:
      - How many seconds a connection may take to be made.
    type: float
    default: 10.0
    env:
      - name: OCIKIT_REGISTRY_CONNECT_TIMEOUT
    ini:
      - section: ocikit_registry
        key: connect_timeout
    vars:
      - name: ocikit_registry_connect_timeout
  read_timeout:
    description:
      - How many seconds the registry may stay silent.
    type: float
    default: 60.0
    env:
      - name: OCIKIT_REGISTRY_READ_TIMEOUT
    ini:
      - section: ocikit_registry
        key: read_timeout
    vars:
      - name: ocikit_registry_read_timeout
  retries:
    description:
      - >-
        How often a request that failed for the moment is repeated: after connection faults and the status
        codes 408, 429, 500, 502, 503 and 504, with growing pauses, and as C(Retry-After) asks.
    type: int
    default: 4
    env:
      - name: OCIKIT_REGISTRY_RETRIES
    ini:
      - section: ocikit_registry
        key: retries
    vars:
      - name: ocikit_registry_retries
  concurrency:
    description:
      - How many requests may be under way at once.
    type: int
    default: 8
    env:
      - name: OCIKIT_REGISTRY_CONCURRENCY
    ini:
      - section: ocikit_registry
        key: concurrency
    vars:
      - name: ocikit_registry_concurrency
  trusted_realms:
    description:
      - Hosts of token services that credentials may be sent to, besides the registry's own host and the
        domains above and below it. Patterns such as V(*.example.com) are understood.
      - A registry outside the own network may not lead to names with addresses inside it, by redirects for instance.
        Hosts in this list may have such addresses.
    type: list
    elements: str
    default: []
    env:
      - name: OCIKIT_REGISTRY_TRUSTED_REALMS
    ini:
      - section: ocikit_registry
        key: trusted_realms
    vars:
      - name: ocikit_registry_trusted_realms
requirements:
  - requests
notes:
  - Lookups run on the controller. Variables, environment and files are those found there.
"""

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this doc fragment is PRIVATE to the collection.

from __future__ import annotations


class ModuleDocFragment:
    """The connection options, which every module of this collection has."""

    DOCUMENTATION = r"""
options:
  registry:
    description:
      - >-
        The registry that references without a host belong to: a host such as V(registry.example.com:5000),
        or a URL with scheme and path prefix such as V(https://repo.example.com/repository/docker).
      - Without it such references belong to Docker Hub.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_URL).
    type: str
    aliases: [registry_url]
  username:
    description:
      - User name for the registry. Needs O(password).
      - >-
        User name, password and tokens given as options go to one registry only: that of O(registry), else
        the one that the images name.
      - Without any of them the auth files are read, see O(auth_file).
      - Falls back to the environment variable E(OCIKIT_REGISTRY_USERNAME).
    type: str
  password:
    description:
      - Password, or access token used as one, of O(username).
      - Falls back to the environment variable E(OCIKIT_REGISTRY_PASSWORD).
    type: str
  token:
    description:
      - A bearer token, sent unchanged.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_TOKEN).
    type: str
  identity_token:
    description:
      - An OAuth2 refresh token, which is exchanged for access tokens at the registry's token service.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_IDENTITY_TOKEN).
    type: str
  auth_file:
    description:
      - A file with credentials, as C(podman login), C(skopeo login) or C(docker login) write it. It is the
        only one that is read then.
      - Without it the file of E(REGISTRY_AUTH_FILE) is read, else in turn E(DOCKER_AUTH_CONFIG),
        C(containers/auth.json) in E(XDG_RUNTIME_DIR) and E(XDG_CONFIG_HOME), and C(config.json) in
        E(DOCKER_CONFIG), which is C(~/.docker) by default.
      - Credential helpers that these files name are run. With C(become), home directory and E(PATH) are
        those of the other user.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_AUTH_FILE).
    type: path
    aliases: [config_path]
  validate_certs:
    description:
      - Whether the registry's TLS certificate must be valid. Switch this off for trials only.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_VALIDATE_CERTS).
    type: bool
    default: true
  ca_path:
    description:
      - A file or directory of certificates of the authorities to trust.
      - Without it the file of E(REQUESTS_CA_BUNDLE), E(CURL_CA_BUNDLE) or E(SSL_CERT_FILE) is used, else the system's store, else
        the list of the Python package certifi.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CA_PATH).
    type: path
    aliases: [ca_cert, cacert_path]
  client_cert:
    description:
      - A client certificate in PEM form. The file may hold the key as well.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CLIENT_CERT).
    type: path
  client_key:
    description:
      - The private key of O(client_cert) in PEM form.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CLIENT_KEY).
    type: path
  plain_http:
    description:
      - Whether registries named without a scheme speak plain HTTP.
      - Without it loopback hosts do, and all others speak HTTPS.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_PLAIN_HTTP).
    type: bool
  proxy:
    description:
      - URL of the proxy to be used, with user name and password where it wants them.
      - Without it the environment variables E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY) decide.
      - A SOCKS proxy needs the Python library PySocks.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_PROXY).
    type: str
  connect_timeout:
    description:
      - How many seconds a connection may take to be made.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CONNECT_TIMEOUT).
    type: float
    default: 10.0
  read_timeout:
    description:
      - Maximum number of seconds to wait for the next bytes from the registry.
      - The headers of an answer may take 10 seconds more in all. A body must bring 1 KiB per second on average,
        over 10 seconds more than this.
      - All pages of a list may take 10 times as long, but at least 30 seconds.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_READ_TIMEOUT).
    type: float
    default: 60.0
  retries:
    description:
      - >-
        Number of retries after transient errors, with exponential backoff or as C(Retry-After) asks: connection faults
        and the status codes 408, 429, 500, 502, 503 and 504.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_RETRIES).
    type: int
    default: 4
  concurrency:
    description:
      - How many requests may be under way at once.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CONCURRENCY).
    type: int
    default: 8
  trusted_realms:
    description:
      - Hosts of token services that credentials may be sent to, besides the registry's own host and the
        domains above and below it. Patterns such as V(*.example.com) are understood.
      - A registry with a public address cannot point to hosts with private addresses, by redirects for instance.
        Hosts in this list may have such addresses.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_TRUSTED_REALMS).
    type: list
    elements: str
    default: []
requirements:
  - requests
notes:
  - Environment variables are those of the host that runs the task.
  - At verbosity 3 and above the result holds the requests that were sent, without secrets, as C(request_log).
seealso:
  - plugin: ocikit.registry.registry_digest
    plugin_type: lookup
    description: Pins an image to its digest inside a template.
"""

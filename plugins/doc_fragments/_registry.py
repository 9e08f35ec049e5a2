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
        Registry of references without a host, as a host such as V(registry.example.com:5000), or as a URL with scheme and
        path prefix such as V(https://repo.example.com/repository/docker).
      - By default such references belong to Docker Hub.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_URL).
    type: str
    aliases: [registry_url]
  username:
    description:
      - User name for the registry. Requires O(password).
      - Credentials that are given as options are sent to one registry only, which is that of O(registry), else that of the
        first image of the task.
      - Without credentials in options and environment, auth files are read, see O(auth_file).
      - Falls back to the environment variable E(OCIKIT_REGISTRY_USERNAME).
    type: str
  password:
    description:
      - Password of O(username), or an access token that is used as one.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_PASSWORD).
    type: str
  token:
    description:
      - Bearer token, sent unchanged.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_TOKEN).
    type: str
  identity_token:
    description:
      - OAuth2 refresh token. It is exchanged for access tokens at the registry's token service.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_IDENTITY_TOKEN).
    type: str
  auth_file:
    description:
      - File with credentials, as C(podman login), C(skopeo login) or C(docker login) writes it. No other file is read then.
      - By default the file in E(REGISTRY_AUTH_FILE) is read. Without that variable these are read in turn. E(DOCKER_AUTH_CONFIG),
        C(containers/auth.json) in E(XDG_RUNTIME_DIR) and E(XDG_CONFIG_HOME), and C(config.json) in E(DOCKER_CONFIG), which is
        C(~/.docker) by default.
      - Credential helpers in these files are run. With C(become), the home directory and E(PATH) are those of the become user.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_AUTH_FILE).
    type: path
    aliases: [config_path]
  validate_certs:
    description:
      - Whether the TLS certificate of the registry must be valid. Set this to V(false) for trials only.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_VALIDATE_CERTS).
    type: bool
    default: true
  ca_path:
    description:
      - File or directory with the CA certificates to trust.
      - By default the file in E(REQUESTS_CA_BUNDLE), E(CURL_CA_BUNDLE) or E(SSL_CERT_FILE) is used, else the store of the
        system, else the Python package C(certifi).
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CA_PATH).
    type: path
    aliases: [ca_cert, cacert_path]
  client_cert:
    description:
      - Client certificate in PEM format. The file can also contain the private key.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CLIENT_CERT).
    type: path
  client_key:
    description:
      - Private key of O(client_cert) in PEM format.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CLIENT_KEY).
    type: path
  plain_http:
    description:
      - Whether to use plain HTTP for registries without a scheme.
      - By default plain HTTP is used for loopback hosts, and HTTPS for all others.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_PLAIN_HTTP).
    type: bool
  proxy:
    description:
      - URL of the proxy, with user name and password if the proxy requires them.
      - By default the environment variables E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY) decide.
      - A SOCKS proxy requires the Python library PySocks.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_PROXY).
    type: str
  connect_timeout:
    description:
      - Maximum number of seconds to establish a connection.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CONNECT_TIMEOUT).
    type: float
    default: 10.0
  read_timeout:
    description:
      - Maximum number of seconds to wait for the next bytes from the registry.
      - All headers of a response must arrive within 10 more seconds. A body must arrive at 1 KiB per second or faster, averaged
        over this time and 10 more seconds.
      - All pages of a list must arrive within 10 times this time, or within 30 seconds if that is longer.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_READ_TIMEOUT).
    type: float
    default: 60.0
  retries:
    description:
      - >-
        Number of retries after transient errors, with exponential backoff, or after the time in C(Retry-After). Transient
        errors are connection errors and the status codes 408, 429, 500, 502, 503 and 504.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_RETRIES).
    type: int
    default: 4
  concurrency:
    description:
      - Maximum number of parallel requests to one registry.
      - By default the number starts at 8, increases up to 32 while requests become faster, and decreases when the registry asks
        for a pause (HTTP 429 or 503). Up to 16 requests that only check for tags or blobs start together. At most 8 blobs are
        transferred in parallel then, or 16 blobs of up to 64 MiB in total.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_CONCURRENCY).
    type: int
  trusted_realms:
    description:
      - Hosts of token services that may receive the credentials. The registry's own host, and hosts in the domains above and
        below it, always may, unless the domain above has one label or is a known public suffix such as C(co.uk). Patterns such
        as V(*.example.com) are allowed.
      - A registry with a public address cannot redirect to a host with a private address, unless that host is in this list.
      - Falls back to the environment variable E(OCIKIT_REGISTRY_TRUSTED_REALMS).
    type: list
    elements: str
    default: []
requirements:
  - requests
notes:
  - Environment variables are those of the host that runs the task.
  - With C(-vvv), the result contains the requests that were sent, without secrets, as C(request_log).
seealso:
  - plugin: ocikit.registry.registry_digest
    plugin_type: lookup
    description: Look up the digest of an image in a template.
"""

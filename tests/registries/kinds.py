# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the registry servers that tests run: program, configuration, log and what they lack."""

from __future__ import annotations

import json
import os
import pathlib
import re
import typing as t

import requests

from .binary import find_registry
from .built import DISTRIBUTION3, GO_CONTAINERREGISTRY, OLAREG, ZOT, find_built

if t.TYPE_CHECKING:
    from .server import Registry

KIND_VARIABLE = "OCIKIT_TEST_REGISTRY"
# One line per request, whatever its answer: 127.0.0.1 - - [time] "GET /v2/ HTTP/1.1" 401 87 "" "curl/7.88.1"
ACCESS_LINE = re.compile(r'\] "(?P<method>[A-Z]+) (?P<uri>\S+) HTTP/[0-9.]+" (?P<status>\d{3}) ')
INSTANCE_HEADER = "X-Registry-Instance"
Request = t.Tuple[str, str, int]


class Kind:
    """One registry server as its project ships it."""

    name: str
    # Options of Registry, or pairs of them, that the server has no setting for.
    lacks: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    # What collects garbage, as PROGRAM COMMAND CONFIG; nothing where the server has no such command.
    garbage_command: tuple[str, ...] = ()
    # Whether requests are logged to standard error, with all else.
    one_log = False

    def program(self, cache_dir: os.PathLike[str] | str) -> str:
        """Return the path of the server.

        :raises ToolMissing: when it cannot be had.
        """
        raise NotImplementedError

    def arguments(self, registry: Registry) -> list[str]:
        """Return the arguments that give what ``registry`` was asked for."""
        return ["serve", registry.path("config.yml")]

    def config(self, registry: Registry) -> dict[str, t.Any]:
        """Return the configuration file with what ``registry`` was asked for; empty for what takes arguments only."""
        return {}

    def request(self, line: str) -> Request | None:
        """Return the request that a line of the log tells of."""
        raise NotImplementedError

    def is_instance(self, registry: Registry, answer: requests.Response) -> bool:
        """Return whether ``answer``, to a request with the query ``instance``, comes from this very process."""
        raise NotImplementedError


class Distribution2(Kind):
    """distribution 2.8, Debian's ``docker-registry``."""

    name = "distribution2"
    garbage_command = ("garbage-collect",)

    def program(self, cache_dir: os.PathLike[str] | str) -> str:
        return find_registry(cache_dir)

    def config(self, registry: Registry) -> dict[str, t.Any]:
        http: dict[str, t.Any] = {
            "addr": registry.host,
            "relativeurls": registry.relative_urls,
            "secret": registry.instance,
            "headers": {INSTANCE_HEADER: [registry.instance]},
        }
        if registry.prefix:
            http["prefix"] = registry.prefix + "/"
        if registry.tls:
            http["tls"] = {"certificate": registry.path("server.pem"), "key": registry.path("server.key")}
        if registry.client_ca:
            http["tls"]["clientcas"] = [registry.path("ca.pem")]
        storage: dict[str, t.Any] = {
            "delete": {"enabled": registry.delete},
            "redirect": {"disable": not registry.redirect_to},
            "maintenance": {
                "uploadpurging": {"enabled": False},
                "readonly": {"enabled": registry.readonly},
            },
        }
        storage.update(self.storage(registry))
        config: dict[str, t.Any] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": not registry.access_log}},
            "storage": storage,
            "http": http,
            "compatibility": {"schema1": {"enabled": registry.schema1}},
            # Without this the server takes no manifest with foreign layers.
            "validation": {"manifests": {"urls": {"allow": ["^https?://"]}}},
        }
        if registry.users:
            config["auth"] = {"htpasswd": {"realm": "test-registry", "path": registry.path("htpasswd")}}
        if registry.token:
            config["auth"] = {
                "token": {
                    "realm": registry.token["realm"],
                    "service": registry.token["service"],
                    "issuer": registry.token["issuer"],
                    "rootcertbundle": os.fspath(registry.token["bundle"]),
                }
            }
        if registry.proxy_of:
            config["proxy"] = {"remoteurl": registry.proxy_of}
        if registry.catalog_max is not None:
            config["catalog"] = {"maxentries": registry.catalog_max}
        if registry.redirect_to:
            redirect = {"name": "redirect", "options": {"baseurl": registry.redirect_to}}
            config["middleware"] = {"storage": [redirect]}
        return config

    def storage(self, registry: Registry) -> dict[str, t.Any]:
        """Return where content lies."""
        if registry.storage is None:
            return {"inmemory": {}}
        return {"filesystem": {"rootdirectory": os.path.abspath(registry.storage)}}

    def request(self, line: str) -> Request | None:
        found = ACCESS_LINE.search(line)
        return (found["method"], found["uri"], int(found["status"])) if found else None

    def is_instance(self, registry: Registry, answer: requests.Response) -> bool:
        return answer.headers.get(INSTANCE_HEADER) == registry.instance


class Distribution3(Distribution2):
    """distribution 3, built from its module."""

    name = "distribution3"
    lacks = ("schema1",)
    # It would send traces to a collector that is not there.
    environment = {"OTEL_TRACES_EXPORTER": "none"}

    def program(self, cache_dir: os.PathLike[str] | str) -> str:
        return find_built(DISTRIBUTION3, cache_dir)

    def storage(self, registry: Registry) -> dict[str, t.Any]:
        """Return a directory in any case: in memory, 3.1.1 loses tags that do not arrive in the order of their names."""
        return {
            "filesystem": {"rootdirectory": os.path.abspath(registry.storage or registry.path("storage"))}
        }


class Zot(Kind):
    """zot without its extensions, built from its module. It refuses by access rules what others switch off."""

    name = "zot"
    # Who has a password needs no client certificate there.
    lacks = ("prefix", "proxy_of", "catalog_max", "redirect_to", "schema1", "token", "client_ca with users")

    def program(self, cache_dir: os.PathLike[str] | str) -> str:
        return find_built(ZOT, cache_dir)

    def config(self, registry: Registry) -> dict[str, t.Any]:
        address, _separator, port = registry.host.rpartition(":")
        http: dict[str, t.Any] = {"address": address, "port": port, "realm": "test-registry"}
        if registry.tls:
            http["tls"] = {"cert": registry.path("server.pem"), "key": registry.path("server.key")}
        if registry.client_ca:
            http["tls"]["cacert"] = registry.path("ca.pem")
        if registry.users:
            http["auth"] = {"htpasswd": {"path": registry.path("htpasswd")}, "failDelay": 0}
        actions = ["read"]
        if not registry.readonly:
            actions += ["create", "update"]
            if registry.delete:
                actions.append("delete")
        if "delete" not in actions:
            policy = "defaultPolicy" if registry.users else "anonymousPolicy"
            http["accessControl"] = {"**": {policy: actions}}
        return {
            "storage": {
                "rootDirectory": os.path.abspath(registry.storage or registry.path("storage")),
                # Its index of blobs has one user at a time.
                "dedupe": registry.storage is None,
                # At each push 1.4.3 follows every descriptor, and answers 500 if one leads to what it does not have.
                "gc": False,
            },
            "http": http,
            "log": {"level": "info"},
        }

    def request(self, line: str) -> Request | None:
        if '"HTTP API"' not in line:
            return None
        fields = json.loads(line)
        return (fields["method"], fields["path"], fields["statusCode"])

    def is_instance(self, registry: Registry, answer: requests.Response) -> bool:
        return f"instance={registry.instance}" in pathlib.Path(registry.log).read_text(encoding="utf-8")


class GoContainerregistry(Kind):
    """The registry of go-containerregistry, which is in its tests and many others. It takes a port, and nothing else."""

    name = "ggcr"
    lacks = (
        "users",
        "tls",
        "client_ca",
        "readonly",
        "prefix",
        "proxy_of",
        "catalog_max",
        "redirect_to",
        "schema1",
        "token",
        "storage",
        "forbids_deletion",
    )
    one_log = True
    # The line of a request that succeeds has no status.
    _line = re.compile(r" (?P<method>[A-Z]+) (?P<uri>/\S+)(?: (?P<status>\d{3}) [A-Z_]+ .*)?$")
    _success = {"DELETE": 202, "PATCH": 202, "POST": 202, "PUT": 201}

    def program(self, cache_dir: os.PathLike[str] | str) -> str:
        return find_built(GO_CONTAINERREGISTRY, cache_dir)

    def arguments(self, registry: Registry) -> list[str]:
        return ["-port", str(registry.port)]

    def request(self, line: str) -> Request | None:
        found = self._line.search(line.rstrip())
        if not found:
            return None
        status = int(found["status"] or self._success.get(found["method"], 200))
        return (found["method"], found["uri"], status)

    def is_instance(self, registry: Registry, answer: requests.Response) -> bool:
        return f"instance={registry.instance}" in pathlib.Path(registry.log).read_text(encoding="utf-8")


class Olareg(Kind):
    """olareg, which keeps repositories as image layouts."""

    name = "olareg"
    lacks = ("users", "client_ca", "prefix", "proxy_of", "catalog_max", "redirect_to", "schema1", "token")
    one_log = True
    _line = re.compile(
        r'msg=ServeHTTP .*?method=(?P<method>[A-Z]+) url="?(?P<uri>[^" ]+)"? status=(?P<status>\d{3})'
    )

    def program(self, cache_dir: os.PathLike[str] | str) -> str:
        return find_built(OLAREG, cache_dir)

    def arguments(self, registry: Registry) -> list[str]:
        host, _separator, port = registry.host.rpartition(":")
        arguments = ["serve", "--addr", host, "--port", port, "--verbosity", "trace", "--gc-frequency", "-1s"]
        if registry.storage is None:
            arguments += ["--store-type", "mem"]
        else:
            arguments += ["--dir", os.path.abspath(registry.storage)]
        if registry.readonly:
            arguments.append("--store-ro")
        if registry.delete:
            arguments += ["--api-delete", "--api-blob-delete"]
        if registry.tls:
            arguments += ["--tls-cert", registry.path("server.pem"), "--tls-key", registry.path("server.key")]
        return arguments

    def request(self, line: str) -> Request | None:
        found = self._line.search(line)
        return (found["method"], found["uri"], int(found["status"])) if found else None

    def is_instance(self, registry: Registry, answer: requests.Response) -> bool:
        return f"instance={registry.instance}" in pathlib.Path(registry.log).read_text(encoding="utf-8")


KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (Distribution2(), Distribution3(), Zot(), GoContainerregistry(), Olareg())
}


def chosen_kind() -> str:
    """Return the kind that the environment asks for, else Debian's."""
    return os.environ.get(KIND_VARIABLE) or Distribution2.name

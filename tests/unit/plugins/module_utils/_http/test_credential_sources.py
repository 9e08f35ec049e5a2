# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where modules get credentials from, in processes of their own with a home and an environment, and what they show."""

from __future__ import annotations

import base64
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import typing as t
import urllib.parse

import pytest

from tests.registries import Registry, find_tool, images
from tests.registries.tokens import TokenServer

IMAGE = images.image({"a": "1"})
# From the source that is asked last to the one that is asked first.
SOURCES = (
    "dockercfg",
    "docker",
    "DOCKER_CONFIG",
    "containers",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "DOCKER_AUTH_CONFIG",
    "REGISTRY_AUTH_FILE",
    "OCIKIT_REGISTRY_AUTH_FILE",
    "auth_file",
    "OCIKIT_REGISTRY_USERNAME",
    "username",
)
USERS = {source: f"p4ss:of {source}" for source in SOURCES}
HELPER = """#!{python}
# A credential helper as docker-credential-helpers describes it; it keeps its secrets in a file.
import json, pathlib, sys
file = pathlib.Path({store!r})
store = json.loads(file.read_text()) if file.exists() else {{}}
command, given = sys.argv[1], sys.stdin.read()
if command == "store":
    entry = json.loads(given)
    store[entry["ServerURL"]] = entry
    file.write_text(json.dumps(store))
elif command == "list":
    print(json.dumps({{name: entry["Username"] for name, entry in store.items()}}))
elif command == "get" and given.strip() in store:
    print(json.dumps(store[given.strip()]))
elif command == "get":
    print("credentials not found in native keychain")
    sys.exit(1)
"""


class Machine:
    """A home directory, programs, and the environment of the processes that are run."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.environ = {
            "HOME": str(root / "home"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "PATH": os.pathsep.join((str(root / "bin"), os.defpath)),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(filter(None, sys.path)),
            "ANSIBLE_DEPRECATION_WARNINGS": "false",
            "LC_ALL": "C.UTF-8",
        }
        for name in ("home", "run", "bin"):
            (root / name).mkdir()
        self.output = ""

    def write(self, path: str, content: t.Any) -> str:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")
        return str(file)

    def helper(self, name: str, **entries: dict[str, str]) -> pathlib.Path:
        """Install docker-credential-NAME and return the file it keeps its secrets in."""
        store = self.root / f"{name}.store"
        program = self.root / "bin" / f"docker-credential-{name}"
        program.write_text(HELPER.format(python=sys.executable, store=str(store)), encoding="utf-8")
        program.chmod(0o755)
        store.write_text(json.dumps(entries), encoding="utf-8")
        return store

    def run(self, module: str, **options: t.Any) -> dict[str, t.Any]:
        """Run a module as Ansible runs it at -vvv, and return its result."""
        name = f"ansible_collections.ocikit.registry.plugins.modules.{module}"
        options.update(_ansible_verbosity=3, _ansible_diff=True)
        done = self.process(
            [sys.executable, "-m", name], json.dumps({"ANSIBLE_MODULE_ARGS": {"retries": 0, **options}})
        )
        return t.cast("dict[str, t.Any]", json.loads(done.stdout))

    def playbook(self, tasks: list[dict[str, t.Any]]) -> str:
        """Run tasks by the real ansible-playbook at -vvv, and return all that it prints."""
        file = self.write("play.yml", [{"hosts": "all", "gather_facts": False, "tasks": tasks}])
        program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        inventory = ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
        done = self.process([program, *inventory, "-vvv", file], "")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def process(self, command: list[str], text: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            input=text,
            env=self.environ,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.output += done.stdout + done.stderr
        return done


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="module")
def registry() -> t.Iterator[Registry]:
    with Registry(users=USERS) as server:
        images.push(server.url, "team/app", IMAGE, "1", auth=("auth_file", USERS["auth_file"]))
        yield server


def packed(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def entry(source: str) -> dict[str, str]:
    return {"auth": packed(source, USERS[source])}


def assert_nothing_shown(machine: Machine, *more: str) -> None:
    """Assert that no password, in no form, is in anything that any process has printed."""
    passwords = [*USERS.values(), *(packed(*pair) for pair in USERS.items())]
    assert machine.output and not [secret for secret in [*passwords, *more] if secret in machine.output]


def add(machine: Machine, source: str, host: str) -> tuple[str, dict[str, str]]:
    """Let ``source`` hold the user of its name. Return what registry_info calls it, and the options it takes."""
    config = {"auths": {host: entry(source)}}
    files = {
        "docker": "home/.docker/config.json",
        "containers": "home/.config/containers/auth.json",
        "XDG_RUNTIME_DIR": "run/containers/auth.json",
        "DOCKER_CONFIG": "docker/config.json",
        "XDG_CONFIG_HOME": "config/containers/auth.json",
    }
    if source in files:
        if source in ("DOCKER_CONFIG", "XDG_CONFIG_HOME"):
            machine.environ[source] = str(machine.root / files[source].partition("/")[0])
        return machine.write(files[source], config), {}
    if source == "dockercfg":
        return machine.write("home/.dockercfg", config["auths"]), {}
    if source == "DOCKER_AUTH_CONFIG":
        machine.environ[source] = json.dumps(config)
        return source, {}
    if source in ("REGISTRY_AUTH_FILE", "OCIKIT_REGISTRY_AUTH_FILE"):
        machine.environ[source] = machine.write(f"{source}.json", config)
        return machine.environ[source], {}
    if source == "auth_file":
        file = machine.write("option.json", config)
        return file, {"auth_file": file}
    if source == "OCIKIT_REGISTRY_USERNAME":
        machine.environ[source] = source
        machine.environ["OCIKIT_REGISTRY_PASSWORD"] = USERS[source]
        return "the options username and password", {}
    return "the options username and password", {"username": source, "password": USERS[source]}


def test_every_source_in_its_order(machine: Machine, registry: Registry) -> None:
    found = machine.run("registry_info", registry=registry.url, fail=False)
    assert (found["authenticated"], found["credentials_source"]) == (False, None)
    assert found["msg"].endswith("set username and password, or auth_file.")
    options: dict[str, str] = {}
    for source in SOURCES:
        named, more = add(machine, source, registry.host)
        options.update(more)
        found = machine.run("registry_info", repository=f"{registry.host}/team/app", **options)
        assert (found["username"], found["authenticated"]) == (source, True)
        assert (found["credentials_source"], found["authentication"]) == (named, "basic")
        assert any(line.startswith(f"GET {registry.url}/v2/ 401 ") for line in found["request_log"])
    assert_nothing_shown(machine)


def test_options_are_for_one_registry_and_files_for_the_others(machine: Machine, registry: Registry) -> None:
    with Registry(users={"docker": USERS["docker"]}) as other:
        machine.write("home/.docker/config.json", {"auths": {other.host: entry("docker")}})
        result = machine.run(
            "registry_copy",
            registry=registry.url,
            username="username",
            password=USERS["username"],
            image="team/app:1",
            to=f"{other.host}/new/app:1",
        )
        assert result["changed"], result
        assert images.head(other.url, "new/app", "1", auth=("docker", USERS["docker"])) == IMAGE.digest
        # Without the file there is nothing for the other one: what belongs to the first is not tried there.
        machine.write("home/.docker/config.json", {})
        other.clear_requests()
        result = machine.run(
            "registry_copy",
            registry=registry.url,
            username="username",
            password=USERS["username"],
            image="team/app:1",
            to=f"{other.host}/new/app:2",
        )
        assert result["failed"] and "none were found" in result["msg"]
        assert {status for _verb, _uri, status in other.requests()} == {401}
    assert_nothing_shown(machine)


def test_a_helper_that_skopeo_login_filled(machine: Machine, registry: Registry) -> None:
    machine.helper("real")
    path = machine.write(
        "home/.docker/config.json",
        {"credHelpers": {registry.host: "real"}, "auths": {registry.host: entry("dockercfg")}},
    )
    login = [find_tool("skopeo"), "login", "--tls-verify=false", "--authfile", path]
    login += ["--username", "docker", "--password-stdin", registry.host]
    done = machine.process(login, USERS["docker"])
    assert done.returncode == 0, done.stderr
    assert json.loads((machine.root / "real.store").read_text())[registry.host]["Username"] == "docker"
    found = machine.run("registry_info", registry=registry.url)
    assert (found["username"], found["authenticated"]) == ("docker", True)
    assert found["credentials_source"] == f"docker-credential-real (named in {path})"
    assert_nothing_shown(machine)


def test_credentials_store_and_entries_of_paths(machine: Machine, registry: Registry) -> None:
    known = {"ServerURL": registry.host, "Username": "containers", "Secret": USERS["containers"]}
    machine.helper("keychain", **{registry.host: known})
    path = machine.write("home/.docker/config.json", {"credsStore": "keychain", "auths": {registry.host: {}}})
    found = machine.run("registry_info", registry=registry.url)
    assert (found["username"], found["authenticated"]) == ("containers", True)
    assert found["credentials_source"] == f"docker-credential-keychain (named in {path})"
    host = registry.host
    file = machine.write(
        "run/containers/auth.json",
        {
            "auths": {
                f"{host}/team/app": entry("auth_file"),
                f"{host}/team": entry("docker"),
                f"{host}/closed": {"auth": packed("docker", "old-passw0rd")},
            }
        },
    )
    for repository, username, source in (
        ("team/app", "auth_file", file),
        ("team/other", "docker", file),
        ("other/app", "containers", f"docker-credential-keychain (named in {path})"),
    ):
        found = machine.run("registry_info", repository=f"{host}/{repository}")
        assert (found["username"], found["credentials_source"]) == (username, source)
        assert found["authenticated"] is True
    found = machine.run("registry_info", repository=f"{host}/closed/app")
    assert found["failed"] and f"does not accept the user name and password from {file}" in found["msg"]
    assert_nothing_shown(machine, "old-passw0rd")


def test_a_helper_that_fails_shows_nothing(machine: Machine, registry: Registry) -> None:
    program = machine.root / "bin" / "docker-credential-broken"
    program.write_text("#!/bin/sh\necho l3aked; echo l3aked >&2; exit 2\n", encoding="utf-8")
    program.chmod(0o755)
    path = machine.write("home/.docker/config.json", {"credsStore": "broken"})
    found = machine.run("registry_info", registry=registry.url)
    assert found["failed"] and found["error"]["kind"] == "credential_helper"
    assert f"docker-credential-broken (named in {path}) failed with exit status 2" in found["msg"]
    assert_nothing_shown(machine, "l3aked")


# Identity tokens, and what a token service gives


@pytest.fixture
def tokens() -> t.Iterator[TokenServer]:
    with TokenServer(USERS) as server:
        server.refresh_tokens["refresh-me"] = "docker"
        yield server


def test_identity_tokens(machine: Machine, tokens: TokenServer) -> None:
    with Registry(token=tokens.settings) as guarded:
        helper = machine.helper(
            "acr",
            **{guarded.host: {"Username": "<token>", "Secret": "refresh-me", "ServerURL": guarded.host}},
        )
        path = machine.write("home/.docker/config.json", {"credHelpers": {guarded.host: "acr"}})
        found = machine.run("registry_info", registry=guarded.url)
        assert (found["authenticated"], found["username"]) == (True, None)
        assert found["credentials_source"] == f"docker-credential-acr (named in {path})"
        assert {(request.method, request.user) for request in tokens.requests} == {("POST", "docker")}
        entry_of_docker = {"auth": packed("0000", ""), "identitytoken": "refresh-me"}
        path = machine.write("home/.docker/config.json", {"auths": {guarded.host: entry_of_docker}})
        found = machine.run("registry_info", registry=guarded.url)
        assert (found["authenticated"], found["credentials_source"]) == (True, path)
        machine.environ["OCIKIT_REGISTRY_IDENTITY_TOKEN"] = "refresh-me"
        found = machine.run("registry_info", registry=guarded.url)
        assert (found["authenticated"], found["credentials_source"]) == (True, "the option identity_token")
        # A token of the service is one that the registry takes as it is.
        machine.environ.pop("OCIKIT_REGISTRY_IDENTITY_TOKEN")
        machine.environ["OCIKIT_REGISTRY_TOKEN"] = tokens.given[-1]
        tokens.clear()
        token = machine.environ["OCIKIT_REGISTRY_TOKEN"]
        found = machine.run("registry_info", registry=guarded.url)
        assert (found["authenticated"], found["credentials_source"]) == (True, "the option token")
        assert tokens.requests == []
        assert helper.exists()
    assert_nothing_shown(machine, "refresh-me", token, *tokens.given)


def test_skopeo_login_at_a_token_service(machine: Machine, tokens: TokenServer) -> None:
    with Registry(token=tokens.settings) as guarded:
        login = [
            find_tool("skopeo"),
            "login",
            "--tls-verify=false",
            "--username",
            "docker",
            "--password-stdin",
        ]
        done = machine.process([*login, guarded.host], USERS["docker"])
        assert done.returncode == 0, done.stderr
        tokens.clear()
        found = machine.run("registry_info", registry=guarded.url)
        assert (found["authenticated"], found["authentication"], found["username"]) == (
            True,
            "bearer",
            "docker",
        )
        assert found["credentials_source"] == str(machine.root / "run/containers/auth.json")
        assert {request.user for request in tokens.requests} == {"docker"}
    assert_nothing_shown(machine, *tokens.given)


# Client certificates


def test_client_certificates(machine: Machine, tmp_path: pathlib.Path) -> None:
    with Registry(client_ca=True, users={"docker": USERS["docker"]}) as server:
        assert server.client_cert and server.client_key
        access: dict[str, t.Any] = {
            "auth": ("docker", USERS["docker"]),
            "verify": server.ca,
            "cert": (server.client_cert, server.client_key),
        }
        images.push(server.url, "team/app", IMAGE, "1", **access)
        machine.write("home/.docker/config.json", {"auths": {server.host: entry("docker")}})
        both = tmp_path / "both.pem"
        parts = [
            pathlib.Path(path).read_text(encoding="ascii") for path in (server.client_cert, server.client_key)
        ]
        both.write_text("".join(parts), encoding="ascii")
        options = {"registry": server.url, "ca_path": server.ca}
        for number, certificate in enumerate(
            ({"client_cert": server.client_cert, "client_key": server.client_key}, {"client_cert": str(both)})
        ):
            result = machine.run(
                "registry_tag", image="team/app:1", tags=[f"new-{number}"], **options, **certificate
            )
            assert result.get("changed"), result
        assert set(images.tags(server.url, "team/app", **access)) == {"1", "new-0", "new-1"}
        server.clear_requests()
        for wrong, sentence in (
            ({}, "it wants a client certificate: set client_cert and client_key"),
            ({"client_cert": server.client_cert}, "not a usable PEM file"),
            ({"client_key": server.client_key}, "client_key needs client_cert."),
            ({"client_cert": "/no/such.pem"}, "does not exist on the host that runs this task"),
        ):
            result = machine.run("registry_tag", image="team/app:1", tags=["other"], **options, **wrong)
            assert result["failed"] and sentence in result["msg"]
        # Who has no certificate has not been heard, and has not said who it is.
        assert server.requests() == []
    assert_nothing_shown(machine, "PRIVATE KEY")


# What is shown


class Echo(http.server.BaseHTTPRequestHandler):
    """A registry, and its token service, that quote the credentials which they refuse."""

    token = ""

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        """Stay silent."""

    def reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        sent = self.headers.get("Authorization") or body or "nothing"
        said = {"code": "UNAUTHORIZED", "message": f"cannot take {sent}", "detail": {"header": sent}}
        answer: dict[str, t.Any] = {"errors": [said]}
        status = 401
        if self.path.startswith("/token"):
            identity = urllib.parse.parse_qs(body).get("refresh_token", [""])[0]
            answer = {"details": f"cannot take {identity}"} if identity else {"token": self.token}
            status = 401 if identity else 200
        content = json.dumps(answer).encode()
        self.send_response(status)
        if status == 401:
            realm = f"http://{self.headers['Host']}/token"
            self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="test-registry"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if self.command != "HEAD" else b"")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = reply


@pytest.mark.parametrize("length", [1, 100], ids=["short", "longer-than-messages"])
def test_a_registry_that_quotes_what_it_was_sent(machine: Machine, length: int) -> None:
    Echo.token, identity = "0paque-t0ken" * length, "refresh-me" * length
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        host = f"127.0.0.1:{server.server_address[1]}"
        machine.write("home/.docker/config.json", {"auths": {host: entry("docker")}})
        failed = machine.run("registry_tag", image=f"{host}/team/app:1", tags=["2"])
        told = machine.run("registry_info", registry=host, fail=False)
        stale = machine.run("registry_info", registry=host, identity_token=identity)
        server.shutdown()
    assert failed["failed"] and failed["error"]["kind"] == "unauthorized"
    assert "cannot take Bearer" in failed["msg"] and "cannot take Bearer" in told["msg"]
    assert "saying 'cannot take " in stale["msg"]
    # A secret that is cut off is one still.
    assert_nothing_shown(machine, "0paque-t0ken", "refresh-me")


def test_nothing_is_shown_by_ansible_itself(machine: Machine, tokens: TokenServer) -> None:
    """The real ansible-playbook at -vvv, with tasks that succeed and tasks that fail."""
    tokens.rights = {"docker": {"repository:team/*": "pull"}}
    with Registry(token=tokens.settings) as guarded:
        known = {"ServerURL": guarded.host, "Username": "docker", "Secret": USERS["docker"]}
        machine.helper("keychain", **{guarded.host: known})
        machine.write("home/.docker/config.json", {"credsStore": "keychain"})
        ways: dict[str, dict[str, str]] = {
            "options": {"username": "docker", "password": USERS["docker"]},
            "file": {"auth_file": machine.write("auth.json", {"auths": {guarded.host: entry("docker")}})},
            "helper": {},
            "identity": {"identity_token": "refresh-me"},
            "wrong": {"username": "docker", "password": "wr0ng-w0rd"},
            "dead": {"identity_token": "revoked-one"},
            "url": {"registry": f"http://docker:{packed('u', 'r')}@{guarded.host}"},
        }
        tasks = []
        for way, options in ways.items():
            common = {"registry": guarded.url, "retries": 0, **options}
            tasks.append({"name": way, "ocikit.registry.registry_info": common, "ignore_errors": True})
        # Whoever may only read cannot write.
        write = {"registry": guarded.url, **ways["options"], "image": "team/app:1", "tags": ["2"]}
        tasks.append({"name": "write", "ocikit.registry.registry_tag": write, "ignore_errors": True})
        shown = machine.playbook(tasks)
    assert "ok=8 " in shown and "ignored=4 " in shown
    # The bad URL is refused before any request.
    assert shown.count('"request_log": [') == 7 and f"GET {tokens.realm} " in shown
    assert tokens.given
    words = ("refresh-me", "revoked-one", "wr0ng-w0rd", packed("docker", "wr0ng-w0rd"), packed("u", "r"))
    assert_nothing_shown(machine, *words, *tokens.given)

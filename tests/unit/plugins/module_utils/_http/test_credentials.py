# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import typing as t

import pytest
import requests

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import (
    CredentialHelperFailed,
    Credentials,
    find_credentials,
)
from ansible_collections.ocikit.registry.tests.registries import Registry, find_tool

HOST = "registry.example.com:5000"
NOT_FOUND = "echo credentials not found in native keychain; exit 1"


class Machine:
    """A home directory, a PATH with helpers, and the environment that points to both."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.home = root / "home"
        self.programs = root / "programs"
        for directory in (self.home, self.programs, root / "run"):
            directory.mkdir()
        self.docker_config = str(self.home / ".docker" / "config.json")
        self.environ = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "PATH": os.pathsep.join((str(self.programs), os.defpath)),
        }

    def write(self, path: str, content: t.Any) -> str:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(file)

    def config(self, **content: t.Any) -> str:
        return self.write(self.docker_config, content)

    def helper(self, name: str, script: str) -> None:
        program = self.programs / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)

    def find(self, registry: str = HOST, repository: str = "", auth_file: str | None = None) -> Credentials:
        return find_credentials(registry, repository, auth_file, self.environ)


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Machine:
    return Machine(tmp_path)


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def entry(text: str) -> dict[str, str]:
    return {"auth": packed(text)}


def answer(username: str, secret: str) -> str:
    return "echo '" + json.dumps({"ServerURL": HOST, "Username": username, "Secret": secret}) + "'"


def test_nothing_anywhere_is_anonymous(machine: Machine) -> None:
    found = machine.find()
    assert found == Credentials()
    assert found.anonymous
    assert found.secrets == ()
    assert found.source == "anonymous"


def test_secrets_are_listed_and_never_printed() -> None:
    found = Credentials("bob", "pass-1", "bearer-2", "refresh-3", "a test")
    assert set(found.secrets) == {"pass-1", "bearer-2", "refresh-3", packed("bob:pass-1")}
    assert found.basic == packed("bob:pass-1")
    for text in (repr(found), str(found), f"{[found]}"):
        assert not any(secret in text for secret in found.secrets)
        assert "bob" in text and "a test" in text


def test_a_password_that_is_not_utf_8_is_sent_as_its_bytes() -> None:
    password = os.fsdecode(b"p\xe4ss")
    assert base64.b64decode(Credentials("bob", password).basic) == b"bob:p\xe4ss"


def test_the_process_environment_is_the_default(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", machine.write("auth.json", {"auths": {HOST: entry("bob:pw")}}))
    assert find_credentials(HOST).username == "bob"


# Which source


def test_sources_are_asked_in_order(machine: Machine) -> None:
    environ = machine.environ
    machine.write("home/.dockercfg", {HOST: entry("legacy:pw")})
    assert machine.find().username == "legacy"
    machine.config(auths={HOST: entry("docker:pw")})
    assert machine.find().username == "docker"
    machine.write("home/.config/containers/auth.json", {"auths": {HOST: entry("config:pw")}})
    assert machine.find().username == "config"
    runtime = machine.write("run/containers/auth.json", {"auths": {HOST: entry("runtime:pw")}})
    assert machine.find() == Credentials("runtime", "pw", source=runtime)
    environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {HOST: entry("inline:pw")}})
    assert machine.find() == Credentials("inline", "pw", source="DOCKER_AUTH_CONFIG")
    environ["REGISTRY_AUTH_FILE"] = machine.write("named.json", {"auths": {HOST: entry("variable:pw")}})
    assert machine.find().username == "variable"
    option = machine.write("option.json", {"auths": {HOST: entry("option:pw")}})
    assert machine.find(auth_file=option) == Credentials("option", "pw", source=option)


def test_variables_move_the_directories(machine: Machine) -> None:
    machine.environ["DOCKER_CONFIG"] = str(machine.root / "docker")
    machine.write("docker/config.json", {"auths": {HOST: entry("docker:pw")}})
    machine.config(auths={HOST: entry("home:pw")})
    assert machine.find().username == "docker"
    machine.environ["XDG_CONFIG_HOME"] = str(machine.root / "settings")
    machine.write("settings/containers/auth.json", {"auths": {HOST: entry("settings:pw")}})
    assert machine.find().username == "settings"


def test_a_source_without_the_registry_leaves_it_to_the_next(machine: Machine) -> None:
    machine.environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {"other.example.com": entry("other:pw")}})
    machine.write("run/containers/auth.json", {"auths": {HOST: {}}})
    machine.config(auths={HOST: entry("bob:pw")})
    assert machine.find().username == "bob"


def test_a_named_file_is_the_only_source(machine: Machine) -> None:
    machine.config(auths={HOST: entry("bob:pw")})
    machine.environ["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {HOST: entry("inline:pw")}})
    assert machine.find(auth_file=machine.write("empty.json", "{}")).anonymous
    assert machine.find(auth_file=os.devnull).anonymous
    machine.environ["REGISTRY_AUTH_FILE"] = machine.write("empty.json", "\n")
    assert machine.find().anonymous


def test_a_named_file_must_be_readable(machine: Machine) -> None:
    missing = str(machine.root / "missing.json")
    with pytest.raises(InvalidInput, match="missing.json cannot be read .No such file.*let auth_file name"):
        machine.find(auth_file=missing)
    with pytest.raises(InvalidInput, match="not a valid path"):
        machine.find(auth_file="nul\0byte")
    machine.environ["REGISTRY_AUTH_FILE"] = str(machine.root)
    with pytest.raises(InvalidInput, match="Is a directory.*let REGISTRY_AUTH_FILE name"):
        machine.find()


def test_default_files_that_cannot_be_read_are_skipped(machine: Machine) -> None:
    (machine.root / "run/containers/auth.json").mkdir(parents=True)
    machine.write("home/.config", "a file where a directory is expected")
    machine.config(auths={HOST: entry("bob:pw")})
    assert machine.find().username == "bob"


@pytest.mark.parametrize(
    "content, what",
    [
        ('{"auths": {\n"secret-1": }', "is not valid JSON .line 2."),
        ("[" * 100000, "is not valid JSON"),
        ('["secret-1"]', "must hold a JSON object"),
        ('{"auths": ["secret-1"]}', "The value of auths in .* must be an object"),
        (
            '{"auths": {"%s": "secret-1"}}' % HOST,
            "The value of registry.example.com:5000 in .* must be an object",
        ),
        ('{"auths": {"%s": {"auth": ["secret-1"]}}}' % HOST, "The value of auth in .* must be a string"),
        ('{"credsStore": {"secret-1": 1}}', "The value of credsStore in .* must be a string"),
    ],
)
def test_malformed_content_is_named_and_not_shown(machine: Machine, content: str, what: str) -> None:
    path = machine.write(machine.docker_config, content)
    with pytest.raises(InvalidInput, match=what) as by_default:
        machine.find()
    with pytest.raises(InvalidInput, match=what) as by_name:
        machine.find(auth_file=path)
    machine.environ["DOCKER_AUTH_CONFIG"] = content
    with pytest.raises(InvalidInput, match=what) as inline:
        machine.find()
    assert path in str(by_default.value) and path in str(by_name.value)
    assert "DOCKER_AUTH_CONFIG" in str(inline.value)
    assert not any("secret-1" in str(error.value) for error in (by_default, by_name, inline))


def test_text_that_is_not_unicode_is_malformed(machine: Machine) -> None:
    path = machine.config()
    pathlib.Path(path).write_bytes(b'{"auths": {"\xff": {}}}')
    with pytest.raises(InvalidInput, match="is not valid JSON"):
        machine.find()


# Which entry


def test_the_most_specific_entry_wins(machine: Machine) -> None:
    machine.config(
        auths={
            HOST: entry("host:pw"),
            f"{HOST}/team": entry("team:pw"),
            f"{HOST}/team/app": entry("app:pw"),
            f"{HOST}/team/empty": {},
        }
    )
    assert machine.find(repository="team/app").username == "app"
    assert machine.find(repository="team/app/part").username == "app"
    assert machine.find(repository="team/application").username == "team"
    assert machine.find(repository="team/empty").username == "team"
    assert machine.find(repository="other/team/app").username == "host"
    assert machine.find().username == "host"


def test_an_entry_of_a_namespace_does_not_serve_the_registry(machine: Machine) -> None:
    machine.config(auths={f"{HOST}/team": entry("team:pw")})
    assert machine.find().anonymous
    assert machine.find(repository="other").anonymous


@pytest.mark.parametrize(
    "key",
    [
        f"https://{HOST}",
        f"http://{HOST}/",
        f"https://{HOST}/v1/",
        f"https://{HOST}/v2",
        HOST.upper(),
        f"{HOST}/",
    ],
)
def test_keys_are_normalised(machine: Machine, key: str) -> None:
    machine.config(auths={key: entry("bob:pw")})
    assert machine.find(repository="team/app").username == "bob"


@pytest.mark.parametrize(
    "key",
    [
        "registry.example.com",
        "registry.example.com:5001",
        "example.com:5000",
        "my-registry.example.com:5000",
        f"https://user@{HOST}",
        f"evil.example.com/{HOST}",
        f"{HOST}\nx",
        "x\n.example.com",
        f"https://evil.example.com/{HOST}",
    ],
)
def test_other_hosts_do_not_match(machine: Machine, key: str) -> None:
    machine.config(auths={key: entry("bob:pw")})
    assert machine.find().anonymous


def test_an_exact_key_wins_over_a_normalised_one(machine: Machine) -> None:
    machine.config(auths={f"https://{HOST}": entry("url:pw"), HOST: entry("exact:pw")})
    assert machine.find().username == "exact"


def test_an_address_of_ipv6(machine: Machine) -> None:
    machine.config(auths={"[::1]:5000": entry("six:pw")})
    assert machine.find("[::1]:5000", "team/app").username == "six"
    assert machine.find("[0:0::0001]:5000", "team/app").username == "six"
    assert machine.find("[::2]:5000", "team/app").anonymous


@pytest.mark.parametrize(
    "key",
    [
        "docker.io",
        "index.docker.io",
        "https://index.docker.io/v1/",
        "https://index.docker.io/v2/",
        "registry-1.docker.io",
        "https://registry-1.docker.io",
    ],
)
def test_names_of_docker_hub(machine: Machine, key: str) -> None:
    machine.config(auths={key: entry("hub:pw")})
    assert machine.find("docker.io", "library/busybox").username == "hub"
    assert machine.find("registry-1.docker.io").username == "hub"
    assert machine.find("hub.example.com").anonymous


def test_a_namespace_of_docker_hub(machine: Machine) -> None:
    machine.config(auths={"docker.io": entry("hub:pw"), "index.docker.io/team": entry("team:pw")})
    assert machine.find("docker.io", "team/app").username == "team"
    assert machine.find("docker.io", "library/app").username == "hub"


def test_keys_of_the_legacy_file(machine: Machine) -> None:
    legacy = {"https://index.docker.io/v1/": entry("hub:pw"), f"{HOST}/v1/": entry("bob:pw")}
    machine.write("home/.dockercfg", legacy)
    assert machine.find("docker.io", "library/busybox").username == "hub"
    assert machine.find().username == "bob"


# What an entry holds


@pytest.mark.parametrize(
    "auth, username, password",
    [
        (packed("bob:pa:ss:"), "bob", "pa:ss:"),
        (packed("bob:"), "bob", ""),
        (packed("bob:pw\0\0\0"), "bob", "pw"),
        (packed("bob:p\0w"), "bob", "p\0w"),
        (packed("bö:pä"), "bö", "pä"),
        (packed("bob:pw").rstrip("="), "bob", "pw"),
        (packed("bobby:pw").rstrip("="), "bobby", "pw"),
        (f" {packed('bob:pw')[:4]}\n{packed('bob:pw')[4:]}\n", "bob", "pw"),
    ],
)
def test_auth_is_decoded(machine: Machine, auth: str, username: str, password: str) -> None:
    path = machine.config(auths={HOST: {"auth": auth}})
    assert machine.find() == Credentials(username, password, source=path)


@pytest.mark.parametrize(
    "auth",
    [
        packed("bob-and-no-colon"),
        packed(":pw"),
        "bob:password",
        packed("bob:pw!") + "!",
        "Y",
        "ä",
        "/////w==",
    ],
)
def test_auth_that_cannot_be_decoded(machine: Machine, auth: str) -> None:
    path = machine.config(auths={HOST: {"auth": auth}, "other.example.com": entry("other:pw")})
    with pytest.raises(InvalidInput, match=f"The auth of {HOST} in {path} is not the base64 form") as error:
        machine.find()
    assert auth not in str(error.value)
    # The broken entry is not in the way of others.
    assert machine.find("other.example.com").username == "other"


def test_plain_fields_and_tokens(machine: Machine) -> None:
    path = machine.config(
        auths={
            "plain.example.com": {"username": "bob", "password": "p:w", "auth": "", "email": None},
            "both.example.com": {"username": "old", "password": "old", "auth": packed("new:pw")},
            "identity.example.com": {"auth": packed("0000:"), "identitytoken": "refresh"},
            "bearer.example.com": {"registrytoken": "bearer"},
        }
    )
    assert machine.find("plain.example.com") == Credentials("bob", "p:w", source=path)
    assert machine.find("both.example.com") == Credentials("new", "pw", source=path)
    assert machine.find("identity.example.com") == Credentials("0000", identity_token="refresh", source=path)
    assert machine.find("bearer.example.com") == Credentials(token="bearer", source=path)


# Credential helpers


@pytest.mark.parametrize(
    "registry, asked",
    [(HOST, HOST), ("docker.io", "https://index.docker.io/v1/"), ("[::1]:5000", "[::1]:5000")],
)
def test_a_helper_reads_the_server_and_answers(machine: Machine, registry: str, asked: str) -> None:
    record = machine.root / "record"
    machine.helper("real", f"printf '%s|' \"$@\" > {record}; cat >> {record}; {answer('bob', 'pw')}")
    path = machine.config(credsStore="real", auths={registry: {}})
    found = machine.find(registry, "team/app")
    assert found == Credentials("bob", "pw", source=f"docker-credential-real (named in {path})")
    assert record.read_text(encoding="utf-8") == f"get|{asked}"


def test_a_helper_sees_the_given_environment(machine: Machine) -> None:
    machine.environ["PASSWORD_STORE_DIR"] = "/store"
    machine.helper("env", 'printf \'{"Username": "%s", "Secret": "pw"}\' "$PASSWORD_STORE_DIR"')
    machine.config(credsStore="env")
    assert machine.find().username == "/store"


def test_the_helper_of_a_registry_wins(machine: Machine) -> None:
    machine.helper("one", answer("one", "pw"))
    machine.helper("store", answer("store", "pw"))
    machine.config(
        credHelpers={HOST: "one", "plain.example.com": "", "https://index.docker.io/v1/": "one"},
        credsStore="store",
        auths={
            HOST: entry("file:pw"),
            "plain.example.com": entry("plain:pw"),
            f"{HOST}/team": entry("team:pw"),
        },
    )
    assert machine.find(repository="team/app").username == "one"
    assert machine.find("docker.io").username == "one"
    assert machine.find("other.example.com").username == "store"
    assert machine.find("plain.example.com").username == "plain"


def test_the_user_name_token_marks_an_identity_token(machine: Machine) -> None:
    machine.helper("acr", answer("<token>", "refresh"))
    path = machine.config(credHelpers={HOST: "acr"})
    source = f"docker-credential-acr (named in {path})"
    assert machine.find() == Credentials(identity_token="refresh", source=source)


@pytest.mark.parametrize("script", [NOT_FOUND, answer("", "")])
def test_a_helper_without_the_registry_leaves_it_to_the_next(machine: Machine, script: str) -> None:
    machine.helper("empty", script)
    machine.write("run/containers/auth.json", {"credHelpers": {HOST: "empty"}})
    machine.config(credsStore="empty")
    assert machine.find().anonymous
    machine.config(credsStore="empty", auths={HOST: entry("bob:pw")})
    assert machine.find().username == "bob"


@pytest.mark.parametrize(
    "script, what",
    [
        (
            "echo secret-1; echo secret-2 >&2; exit 3",
            "failed with exit status 3 for registry.example.com:5000",
        ),
        ("echo credentials not found in native keychain >&2; exit 1", "failed with exit status 1"),
        ("kill -9 $$", "failed with exit status -9"),
    ],
)
def test_a_helper_that_fails(
    machine: Machine, script: str, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.helper("bad", script)
    path = machine.config(credsStore="bad", auths={HOST: entry("bob:pw")})
    with pytest.raises(CredentialHelperFailed, match=what) as error:
        machine.find()
    assert f"docker-credential-bad (named in {path})" in str(error.value)
    assert error.value.kind == "credential_helper"
    assert "secret" not in str(error.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize("script", ["echo secret-1", "true", "echo '[]'", "echo '{\"Username\": 1}'"])
def test_a_helper_whose_answer_is_none(machine: Machine, script: str) -> None:
    machine.helper("odd", script)
    path = machine.config(credsStore="odd")
    with pytest.raises(CredentialHelperFailed) as error:
        machine.find()
    assert f"docker-credential-odd (named in {path})" in str(error.value)
    assert "secret-1" not in str(error.value)


def test_a_helper_that_cannot_run(machine: Machine) -> None:
    machine.helper("gone", "")
    (machine.programs / "docker-credential-gone").write_text("#!/nowhere/sh\n", encoding="utf-8")
    machine.config(credsStore="gone")
    with pytest.raises(CredentialHelperFailed, match="docker-credential-gone .* cannot be run: No such file"):
        machine.find()


def test_a_helper_that_is_missing(machine: Machine) -> None:
    path = machine.config(credsStore="desktop")
    with pytest.raises(CredentialHelperFailed, match="docker-credential-desktop .* is not on PATH") as error:
        machine.find()
    assert path in str(error.value)


def test_a_helper_is_not_taken_from_the_working_directory(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.helper("local", answer("bob", "pw"))
    machine.config(credsStore="local")
    monkeypatch.chdir(machine.programs)
    machine.environ["PATH"] = os.pathsep.join((".", "", os.defpath))
    with pytest.raises(CredentialHelperFailed, match="is not on PATH"):
        machine.find()
    machine.environ["PATH"] = str(machine.programs)
    assert machine.find().username == "bob"


@pytest.mark.parametrize(
    "name", ["../evil", "x/../../evil", "/evil", "evil;touch x", "$(evil)", "evil\n", "evil -x", "ä"]
)
def test_the_name_of_a_helper_cannot_leave_path(machine: Machine, name: str) -> None:
    proof = machine.root / "proof"
    (machine.programs / "docker-credential-x").mkdir()
    for place in (machine.root, machine.programs):
        (place / "evil").write_text(f"#!/bin/sh\ntouch {proof}\n", encoding="utf-8")
        (place / "evil").chmod(0o755)
    machine.helper("evil", f"touch {proof}")
    path = machine.config(credHelpers={HOST: name})
    with pytest.raises(InvalidInput, match="names the credential helper .* are allowed") as error:
        machine.find()
    assert path in str(error.value) and "\n" not in str(error.value)
    assert not proof.exists()


# Files that a real client wrote


def skopeo_login(machine: Machine, *arguments: str, password: str = "") -> str:
    done = subprocess.run(
        [find_tool("skopeo"), "login", "--tls-verify=false", *arguments],
        input=password.encode(),
        env=machine.environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_what_skopeo_login_wrote(machine: Machine) -> None:
    users = {"bob": "pa:ss wörd", "team": "pw"}
    with Registry(users=users) as registry:
        for name, scope in (("bob", registry.host), ("team", f"{registry.host}/team")):
            skopeo_login(machine, "--username", name, "--password-stdin", scope, password=users[name])
        for name, repository in (("bob", ""), ("bob", "other/app"), ("team", "team/app")):
            found = machine.find(registry.host, repository)
            source = str(machine.root / "run" / "containers" / "auth.json")
            assert found == Credentials(name, users[name], source=source)
            with requests.Session() as session:
                session.trust_env = False
                headers = {"Authorization": f"Basic {found.basic}"}
                assert session.get(f"{registry.url}/v2/", timeout=10).status_code == 401
                assert session.get(f"{registry.url}/v2/", headers=headers, timeout=10).status_code == 200


def test_skopeo_prefers_the_helper_of_a_registry_too(machine: Machine) -> None:
    machine.helper("real", answer("helper", "pw"))
    path = machine.config(credHelpers={HOST: "real"}, auths={HOST: entry("file:pw")})
    assert skopeo_login(machine, "--authfile", path, "--get-login", HOST) == "helper"
    assert machine.find(auth_file=path).username == "helper"

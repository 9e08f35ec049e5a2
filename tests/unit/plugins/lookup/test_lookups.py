# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookups as playbooks use them, on real registries."""

from __future__ import annotations

import pathlib
import threading
import typing as t

import pytest

from tests.hostile import HostileRegistry
from tests.hostile.server import Request
from tests.registries import Registry, images
from tests.unit.expressions import evaluate

AUTH = ("alice", "secret-word")
GOOD = {"ocikit_registry_username": AUTH[0], "ocikit_registry_password": AUTH[1]}
DIGEST = "lookup('ocikit.registry.registry_digest', {})"
TAGS = "lookup('ocikit.registry.registry_tags', {})"


@pytest.fixture(scope="module")
def locked() -> t.Iterator[Registry]:
    with Registry(users=dict([AUTH])) as registry:
        yield registry


@pytest.fixture(scope="module")
def digests(locked: Registry) -> dict[str, str]:
    """The digest of each tag of demo/app in the registry with a password."""
    return images.seed_demo(locked.url, "demo/app", auth=AUTH)


def put(server: HostileRegistry, repository: str, tag: str, image: images.Image) -> None:
    """Put a manifest there without a request."""
    content = server.repository(repository)
    content.manifests[image.digest] = (image.media_type, image.raw)
    content.tags[tag] = image.digest


def ini(path: pathlib.Path, **options: str) -> dict[str, str]:
    """Write an ansible.cfg and return the environment that makes it the one that is read."""
    file = path / "ansible.cfg"
    lines = ["[ocikit_registry]"] + [f"{name} = {value}" for name, value in options.items()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"ANSIBLE_CONFIG": str(file)}


# Where options come from


@pytest.mark.parametrize(
    "source", ["keyword", "variable", "template", "vault", "environment", "ini", "auth file"]
)
def test_credentials_come_from_every_source(
    locked: Registry, digests: dict[str, str], tmp_path: pathlib.Path, source: str
) -> None:
    image = f"'{locked.host}/demo/app:1.4.2'"
    more: dict[str, t.Any] = {}
    if source == "keyword":
        image += f", username='{AUTH[0]}', password='{AUTH[1]}'"
    elif source == "variable":
        more["variables"] = GOOD
    elif source == "template":
        values = {"who": AUTH[0], "word": AUTH[1]}
        names = {"ocikit_registry_username": "{{ who }}", "ocikit_registry_password": "{{ word }}"}
        more["variables"] = {**values, **names}
    elif source == "vault":
        more["variables"] = {"ocikit_registry_username": AUTH[0]}
        more["vaulted"] = {"ocikit_registry_password": AUTH[1]}
    elif source == "environment":
        more["environment"] = {"OCIKIT_REGISTRY_USERNAME": AUTH[0], "OCIKIT_REGISTRY_PASSWORD": AUTH[1]}
    elif source == "ini":
        more["environment"] = ini(tmp_path, username=AUTH[0], password=AUTH[1])
    else:
        image += ", auth_file='~/auth.json'"
        more["environment"] = {"HOME": str(tmp_path)}
        entry = f'{{"auths": {{"{locked.host}": {{"username": "{AUTH[0]}", "password": "{AUTH[1]}"}}}}}}'
        (tmp_path / "auth.json").write_text(entry, encoding="utf-8")
    answers = evaluate(DIGEST.format(image), TAGS.format(image.replace(":1.4.2", "")), **more)
    assert answers.values == [f"{locked.host}/demo/app@{digests['1.4.2']}", sorted(digests)], answers.errors


def test_a_vaulted_keyword_and_term_are_understood(locked: Registry, digests: dict[str, str]) -> None:
    answers = evaluate(
        DIGEST.format("image ~ '', username='alice', password=word"),
        vaulted={"word": AUTH[1], "image": f"{locked.host}/demo/app:1.4.2"},
    )
    assert answers.values == [f"{locked.host}/demo/app@{digests['1.4.2']}"], answers.errors


def test_keyword_precedes_variable_precedes_environment_precedes_ini(
    locked: Registry, digests: dict[str, str], tmp_path: pathlib.Path
) -> None:
    environment = ini(tmp_path, username="ini", password="ini", url=locked.url, read_timeout="7")
    environment["OCIKIT_REGISTRY_PASSWORD"] = "environment"
    answers = evaluate(
        DIGEST.format(f"'demo/app', password='{AUTH[1]}'"),
        DIGEST.format("'demo/app'"),
        variables={"ocikit_registry_username": AUTH[0], "ocikit_registry_password": "variable"},
        environment=environment,
    )
    assert answers.values == [f"{locked.host}/demo/app@{digests['latest']}", None], answers.errors
    assert "does not accept the user name and password" in str(answers.errors[1])


def test_lists_numbers_and_booleans_are_read_from_text(registry: Registry) -> None:
    digest = images.push(registry.url, "lookup/types", images.samples()["oci"], "1")
    environment = {
        "OCIKIT_REGISTRY_TRUSTED_REALMS": "auth.example.com, *.example.org",
        "OCIKIT_REGISTRY_CONCURRENCY": "2",
        "OCIKIT_REGISTRY_READ_TIMEOUT": "2.5",
        "OCIKIT_REGISTRY_PLAIN_HTTP": "yes",
    }
    answers = evaluate(
        DIGEST.format(f"'{registry.host}/lookup/types:1', format='digest'"), environment=environment
    )
    assert answers.values == [digest], answers.errors


# What is given


def test_forms_of_the_result(locked: Registry, digests: dict[str, str]) -> None:
    image, digest = f"{locked.host}/demo/app", digests["1.4.2"]
    answers = evaluate(
        DIGEST.format("image ~ ':1.4.2'"),
        DIGEST.format("image ~ ':1.4.2', format='digest'"),
        DIGEST.format("image ~ ':1.4.2', keep_tag=true"),
        DIGEST.format("image, keep_tag=true"),
        DIGEST.format("image ~ ':1.4.2', format='dict'"),
        DIGEST.format("image ~ '@' ~ digest, format='dict', keep_tag=true"),
        DIGEST.format("image ~ ':stable@' ~ digest"),
        "query('ocikit.registry.registry_digest', image ~ ':1.4.1', [image, multi], format='digest')",
        "query('ocikit.registry.registry_digest', [])",
        variables={**GOOD, "image": image, "digest": digest, "multi": f"{image}:multi"},
    )
    parts = {
        "image": f"{image}:1.4.2",
        "reference": f"{image}@{digest}",
        "registry": locked.host,
        "repository": "demo/app",
        "tag": "1.4.2",
        "digest": digest,
        "media_type": images.OCI_MANIFEST,
        "size": len(images.demo_images()["1.4.2"].raw),
        "platform": None,
    }
    assert answers.errors == [None] * 9
    assert answers.values == [
        f"{image}@{digest}",
        digest,
        f"{image}:1.4.2@{digest}",
        f"{image}:latest@{digest}",
        parts,
        {**parts, "image": f"{image}@{digest}", "tag": None},
        f"{image}@{digest}",
        [digests["1.4.1"], digests["latest"], digests["multi"]],
        [],
    ]


def test_what_is_missing_fails_or_gives_the_default(locked: Registry, digests: dict[str, str]) -> None:
    missing, unknown = f"'{locked.host}/demo/app:none'", f"'{locked.host}/demo/nothing'"
    answers = evaluate(
        DIGEST.format(missing),
        DIGEST.format(unknown),
        DIGEST.format(f"'{locked.host}/demo/app@sha256:{'0' * 64}'"),
        TAGS.format(unknown),
        f"({DIGEST.format(missing + ', default=none')}) is none",
        DIGEST.format(f"{missing}, default='', format='dict'"),
        DIGEST.format(f"{missing}, '{locked.host}/demo/app:stable', default={{'a': 1}}, format='digest'"),
        TAGS.format(f"{unknown}, default=[]"),
        DIGEST.format(f"{missing}, default='', password='wrong'"),
        variables=GOOD,
    )
    for error, name in zip(answers.errors, ("app:none", "nothing:latest", f"app@sha256:{'0' * 64}")):
        assert str(error).endswith(f"{locked.host}/demo/{name} does not exist.")
    assert str(answers.errors[3]).endswith(f"The repository {locked.host}/demo/nothing does not exist.")
    assert answers.values[4:8] == [True, "", [{"a": 1}, digests["stable"]], []]
    assert "does not accept the user name and password" in str(answers.errors[8])


@pytest.mark.parametrize("name", ["index", "attested-index", "docker-list"])
def test_platform_of_an_index(registry: Registry, name: str) -> None:
    index = t.cast(images.Index, images.samples()[name])
    images.push(registry.url, "lookup/platforms", index, name)
    image = f"'{registry.host}/lookup/platforms:{name}', format='dict'"
    registry.clear_requests()
    answers = evaluate(
        DIGEST.format(f"{image}, platform='linux/arm64/v8'"),
        DIGEST.format(f"{image}, platform='linux/x86_64'"),
        DIGEST.format(f"{image}, platform='linux/s390x'"),
        DIGEST.format(f"{image}, platform='linux/s390x', default='other'"),
        DIGEST.format(f"{image}, platform='linux'"),
    )
    arm, amd = index.children[1], index.children[0]
    assert [(one["digest"], one["size"], one["platform"]) for one in answers.values[:2]] == [
        (arm.digest, len(arm.raw), "linux/arm64"),
        (amd.digest, len(amd.raw), "linux/amd64"),
    ]
    assert "has no image for linux/s390x: it has linux/amd64, linux/arm64." in str(answers.errors[2])
    assert answers.values[3] == "other"
    assert "'linux' is not a platform" in str(answers.errors[4])
    assert registry.requests() == [("GET", f"/v2/lookup/platforms/manifests/{name}", 200)] * 4


def test_platform_of_a_single_image_is_that_of_its_configuration(registry: Registry) -> None:
    arm = images.image({"hello.txt": "hello\n"}, architecture="arm64", variant="v8")
    images.push(registry.url, "lookup/single", arm, "arm")
    signature = images.samples()["signature"]
    images.push(registry.url, "lookup/single", images.samples()["oci"], "subject")
    images.push(registry.url, "lookup/single", signature, "signature")
    image = f"{registry.host}/lookup/single"
    answers = evaluate(
        DIGEST.format(f"'{image}:arm', platform='linux/arm64', format='digest'"),
        DIGEST.format(f"'{image}:arm', platform='linux/amd64', format='digest'"),
        DIGEST.format(f"'{image}:signature', platform='linux/amd64', format='digest'"),
    )
    assert answers.values == [arm.digest, None, signature.digest]
    assert f"{image}:arm has no image for linux/amd64: it is a single image for linux/arm64." in str(
        answers.errors[1]
    )


def test_tags_are_given_for_each_repository(locked: Registry, digests: dict[str, str]) -> None:
    for tag in ("1.10.0", "20240506"):
        images.push(locked.url, "demo/dates", images.samples()["oci"], tag, auth=AUTH)
    for tag in ("1.10.0", "1.9.0", "1.10.0-rc.1"):
        images.push(locked.url, "demo/versions", images.samples()["oci"], tag, auth=AUTH)
    demo, versions = f"'{locked.host}/demo/app'", f"'{locked.host}/demo/versions'"
    answers = evaluate(
        f"query('ocikit.registry.registry_tags', {versions}, {demo})",
        f"query('ocikit.registry.registry_tags', {versions})",
        TAGS.format(f"{versions}, sort='version'"),
        TAGS.format(f"{versions}, sort='version', exclude='*-*', include=['1.1*', 'regex:1[.]9.*']"),
        TAGS.format(f"{versions}, include='none*'"),
        TAGS.format(f"{versions}, include='regex:('"),
        TAGS.format(f"{versions}, exclude='1.9|1.10'"),
        TAGS.format(f"'{locked.host}/demo/app:1.4.2'"),
        TAGS.format(f"'{locked.host}/demo/dates', sort='version', strict_versions=true"),
        TAGS.format(f"'{locked.host}/demo/dates', sort='version'"),
        TAGS.format(f"{versions}, sort='version', strict_versions='maybe'"),
        variables=GOOD,
    )
    assert answers.values[:5] == [
        [["1.10.0", "1.10.0-rc.1", "1.9.0"], sorted(digests)],
        [["1.10.0", "1.10.0-rc.1", "1.9.0"]],
        ["1.9.0", "1.10.0-rc.1", "1.10.0"],
        ["1.9.0", "1.10.0"],
        [],
    ]
    assert "'regex:(' in include is not a regular expression" in str(answers.errors[5])
    assert "'1.9|1.10' in exclude can match no tag" in str(answers.errors[6])
    assert "must be a repository: leave out the tag and the digest." in str(answers.errors[7])
    assert answers.values[8:10] == [["20240506", "1.10.0"], ["1.10.0", "20240506"]]
    assert "strict_versions must be true or false." in str(answers.errors[10])


# What is sent


def test_one_request_for_each_distinct_term_after_one_challenge(
    locked: Registry, digests: dict[str, str]
) -> None:
    terms = [f"{locked.host}/demo/app:{tag}" for tag in digests] * 3
    terms += [f"{locked.host}/demo/app", f"{locked.host}/demo/app@{digests['stable']}"]
    terms += [f"{locked.host}/demo/app:stable@{digests['stable']}"]
    locked.clear_requests()
    answers = evaluate(
        "query('ocikit.registry.registry_digest', terms, format='digest')", variables={**GOOD, "terms": terms}
    )
    assert answers.values == [list(digests.values()) * 3 + [digests["latest"]] + [digests["stable"]] * 2]
    sent = locked.requests()
    path = "/v2/demo/app/manifests/"
    assert sent[0] == ("GET", "/v2/", 401)
    assert sorted(sent[1:]) == sorted(("HEAD", path + name, 200) for name in [*digests, digests["stable"]])


def test_one_request_for_the_tags_of_each_repository(locked: Registry, digests: dict[str, str]) -> None:
    demo = f"'{locked.host}/demo/app'"
    locked.clear_requests()
    answers = evaluate(f"query('ocikit.registry.registry_tags', {demo}, {demo}, {demo})", variables=GOOD)
    assert answers.values == [[sorted(digests)] * 3]
    assert [(method, status) for method, _path, status in locked.requests()] == [("GET", 401), ("GET", 200)]


def test_requests_are_under_way_together_and_share_a_token() -> None:
    together = threading.Barrier(4, timeout=30)

    def meet(request: Request) -> None:
        # The first term goes ahead; the four others must all be under way before one of them is answered.
        if request.path.endswith(("/b", "/c", "/d", "/e")):
            together.wait()

    with HostileRegistry(before=meet, auth="bearer", user=AUTH) as server:
        for tag in "abcde":
            put(server, "team/app", tag, images.samples()["oci"])
        terms = [f"{server.host}/team/app:{tag}" for tag in "abcde"]
        answers = evaluate(
            "query('ocikit.registry.registry_digest', terms, concurrency=4, format='digest')",
            variables={**GOOD, "terms": terms},
        )
        assert answers.values == [[images.samples()["oci"].digest] * 5], answers.errors
        sent = [
            (request.origin, request.method, request.path.rpartition("/")[2]) for request in server.requests
        ]
    assert sent[:3] == [("registry", "GET", ""), ("other", "GET", "token"), ("registry", "HEAD", "a")]
    assert sorted(sent[3:]) == [("registry", "HEAD", tag) for tag in "bcde"]


def test_credentials_never_go_to_a_second_registry(registry: Registry, locked: Registry) -> None:
    registry.clear_requests()
    locked.clear_requests()
    terms = f"'{locked.host}/demo/app', '{registry.host}/demo/app'"
    answers = evaluate(DIGEST.format(terms), variables=GOOD)
    assert f"The task names two registries, {locked.host} and {registry.host}" in str(answers.errors[0])
    assert registry.requests() == locked.requests() == []


def test_two_registries_with_credentials_for_one(
    registry: Registry, locked: Registry, digests: dict[str, str]
) -> None:
    digest = images.push(registry.url, "lookup/second", images.samples()["oci"], "latest")
    answers = evaluate(
        f"query('ocikit.registry.registry_digest', '{registry.host}/lookup/second', 'demo/app:stable')",
        variables={**GOOD, "ocikit_registry_url": locked.url},
    )
    assert answers.values == [
        [f"{registry.host}/lookup/second@{digest}", f"{locked.host}/demo/app@{digests['stable']}"]
    ]


# What is said


def test_requests_and_warnings_are_shown_without_secrets() -> None:
    with HostileRegistry(warning=f"your password is {AUTH[1]}", auth="basic", user=AUTH) as server:
        put(server, "team/app", "1", images.samples()["oci"])
        image = f"'{server.host}/team/app:1'"
        answers = evaluate(DIGEST.format(image), variables=GOOD, verbosity=3)
        quiet = evaluate(DIGEST.format(image), variables=GOOD)
    assert answers.errors == quiet.errors == [None]
    assert f"registry_digest: HEAD {server.url}/v2/team/app/manifests/1 200" in answers.shown
    assert "HEAD" not in quiet.shown
    words = " ".join(answers.shown.split())
    assert words.count("warns: your password is ********") == 1
    assert AUTH[1] not in answers.shown + quiet.shown


def test_errors_hold_no_secret() -> None:
    with HostileRegistry(fail_first=-1, fail_status=403) as server:
        answers = evaluate(
            DIGEST.format(f"'{server.host}/team/{AUTH[1]}:1'"),
            DIGEST.format(f"'app', registry='http://alice:{AUTH[1]}@{server.host}'"),
            variables=GOOD,
        )
    assert "team/********" in str(answers.errors[0])
    assert "The registry must not contain credentials" in str(answers.errors[1])
    assert AUTH[1] not in str(answers.errors) + answers.shown


@pytest.mark.parametrize(
    "arguments",
    [
        "'alice:Hidden7word@127.0.0.1:1/app:1'",
        "'https://alice:Hidden7word@127.0.0.1:1/app:1'",
        "'alice:x@Hidden7word@127.0.0.1:1/app:1'",
        "'app:1', registry='https://alice:Hidden7word@127.0.0.1:1'",
        "'127.0.0.1:1/app:1', proxy='http://alice:Hidden7word@127.0.0.1:1'",
        "'127.0.0.1:1/app:1', platform='alice:Hidden7word@linux/amd64'",
        "'app:1', trusted_realms=['https://alice:Hidden7word@127.0.0.1:1']",
    ],
)
def test_a_password_before_a_host_is_in_no_message(arguments: str) -> None:
    answers = evaluate(
        DIGEST.format(f"{arguments}, retries=0"),
        variables={"ocikit_registry_url": "127.0.0.1:1"} if "registry=" not in arguments else None,
        verbosity=3,
    )
    assert answers.errors[0]
    assert "Hidden7word" not in answers.errors[0] + answers.shown


def test_a_secret_that_is_too_short_is_told_and_hides_nothing_else() -> None:
    with HostileRegistry(auth="basic", user=("alice", "1")) as server:
        put(server, "team/app", "1", images.samples()["oci"])
        image = f"{server.host}/team/app:1"
        answers = evaluate(
            DIGEST.format(f"'{image}', username='alice', password='1'"),
            DIGEST.format(f"'{server.host}/team/app:2', username='alice', password='1'"),
        )
    assert answers.values[0] == f"{server.host}/team/app@{images.samples()['oci'].digest}"
    assert "*" not in str(answers.errors[1]) and f"{server.host}/team/app:2" in str(answers.errors[1])
    assert "has fewer than 4 characters and is not masked" in " ".join(answers.shown.split())


BAD_INPUT = [
    ("'Team/App:1'", "'Team/App:1' is not a valid image reference: names are lower case."),
    ("'https://registry.example.com/app'", "is not an image reference: leave out the part up to '://'"),
    ("''", "The image reference is empty"),
    ("3", "3 in the terms is not text but a value of YAML: write it in quotes, as it is meant."),
    ("'app', platfrom='linux/amd64'", "platfrom is no option of this lookup: it has auth_file, "),
    ("'app', validate_certs='maybe'", "validate_certs must be true or false."),
    ("'app', format='json'", "format"),
    ("'app', retries='many'", "retries"),
    ("'app', username='alice'", "username needs password."),
    ("'app', username='a', password='b', token='c'", "username and token exclude each other"),
    ("'app', concurrency=0", "concurrency must be at least 1."),
    ("'app', retries=-1", "retries must be at least 0."),
    ("'app', concurrency=100000", "concurrency must be at most 256."),
    ("'app', read_timeout='nan'", "read_timeout must be more than 0."),
    ("'app', read_timeout='inf'", "read_timeout must be at most 86400."),
    ("'app', platform=1.10", "1.1 in platform is not text but a value of YAML: write it in quotes"),
    ("['app', 1.10]", "1.1 in the terms is not text"),
    ("'127.0.0.1:1/app', retries=0", "the connection was refused"),
    ("'app', ca_path='/nowhere/ca.pem', registry='127.0.0.1:1'", "ca_path '/nowhere/ca.pem' does not exist"),
    ("undefined_name", "'undefined_name' is undefined"),
]


def test_bad_input_gets_one_sentence() -> None:
    answers = evaluate(*(DIGEST.format(arguments) for arguments, _sentence in BAD_INPUT))
    for error, (arguments, sentence) in zip(answers.errors, BAD_INPUT):
        assert sentence in str(error), arguments
        assert "Traceback" not in str(error) and "\n" not in str(error), arguments
    assert "Traceback" not in answers.shown


@pytest.mark.parametrize("patterns", ["1.10", "['1.*', 1.10]", "true", "[none]"])
@pytest.mark.parametrize("option", ["include", "exclude"])
def test_patterns_that_are_no_text_are_refused(option: str, patterns: str) -> None:
    answers = evaluate(TAGS.format(f"'127.0.0.1:1/app', retries=0, {option}={patterns}"))
    assert f"in {option} is not text but a value of YAML: write it in quotes" in str(answers.errors[0])


@pytest.mark.parametrize("source", ["variable", "environment"])
def test_a_mistyped_boolean_never_switches_the_check_of_certificates_off(source: str) -> None:
    arguments: dict[str, t.Any] = {"variables": {"ocikit_registry_validate_certs": "treu"}}
    if source == "environment":
        arguments = {"environment": {"OCIKIT_REGISTRY_VALIDATE_CERTS": "treu"}}
    answers = evaluate(DIGEST.format("'127.0.0.1:1/app'"), **arguments)
    assert "validate_certs must be true or false." in str(answers.errors[0])


def test_without_requests_one_sentence_says_what_to_install(tmp_path: pathlib.Path) -> None:
    (tmp_path / "urllib3.py").write_text("raise ImportError('no such module')\n", encoding="utf-8")
    answers = evaluate(
        DIGEST.format("'127.0.0.1:1/app'"),
        TAGS.format("'127.0.0.1:1/app'"),
        environment={"PYTHONPATH": str(tmp_path)},
    )
    for error in answers.errors:
        assert "The Python library requests is missing or older than 2.19.1: install it for " in str(error)

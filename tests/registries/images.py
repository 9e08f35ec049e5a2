# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real images made by code, the same bytes each time, and a small client of its own to push and read them."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import typing as t
import urllib.parse

import requests

from .binary import DEFAULT_CACHE, find_tool

EPOCH = 1700000000
CREATED = "2023-11-14T22:13:20Z"
EMPTY_JSON = b"{}"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
ACCEPT = ", ".join([OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST])
APPLETS = (
    "cat cp date echo env false head id ls mkdir mv printf ps pwd rm sh sleep tail test touch true uname wc"
)

Content = t.Union[bytes, str, pathlib.Path]
Auth = t.Optional[t.Union[t.Tuple[str, str], requests.auth.AuthBase]]
Descriptor = t.Dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: its bytes as sent, the digest of its uncompressed tar, and how it is described."""

    data: bytes
    diff_id: str
    compression: str = "gzip"
    foreign_urls: tuple[str, ...] = ()

    def descriptor(self, media: str) -> Descriptor:
        """Return the descriptor in an image of ``media`` "oci" or "docker"."""
        if self.foreign_urls:
            kind = OCI_FOREIGN_LAYER if media == "oci" else DOCKER_FOREIGN_LAYER
            return {**descriptor(self.data, kind), "urls": list(self.foreign_urls)}
        if media == "docker":
            if self.compression != "gzip":
                raise ValueError(
                    f"Docker's schema 2 has no media type for {self.compression or 'plain'} layers."
                )
            return descriptor(self.data, DOCKER_LAYER)
        return descriptor(self.data, OCI_LAYER + (f"+{self.compression}" if self.compression else ""))


@dataclasses.dataclass(frozen=True)
class Image:
    """A manifest as raw bytes with the blobs it needs: an image, or an artifact."""

    raw: bytes
    media_type: str
    blobs: dict[str, bytes]
    platform: dict[str, str] | None = None

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest(self.raw)

    @property
    def manifest(self) -> dict[str, t.Any]:
        """The manifest, parsed."""
        return t.cast("dict[str, t.Any]", json.loads(self.raw))

    def descriptor(self) -> Descriptor:
        """Return the descriptor that an index holds for this manifest."""
        found = descriptor(self.raw, self.media_type)
        if self.platform:
            found["platform"] = self.platform
        return found


@dataclasses.dataclass(frozen=True)
class Index(Image):
    """An index (OCI) or manifest list (Docker) with its children."""

    children: tuple[Image, ...] = ()


def digest(data: bytes) -> str:
    """Return the sha256 digest of ``data`` as ``sha256:HEX``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(data: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of ``data``."""
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def layer(files: t.Mapping[str, Content], compression: str = "gzip") -> Layer:
    """Return a layer holding ``files``.

    :param files: path to content: bytes, text, ``"-> target"`` for a symbolic link, or a path to copy. A path
        that ends with a slash is a directory. Programs under ``bin/`` are executable.
    :param compression: ``gzip``, ``zstd`` or nothing for a plain tar.
    :raises ZstdMissing: when zstd is asked for and neither the package nor the program is there.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(_with_parents(files).items()):
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mtime = EPOCH
            if name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp/" else 0o755
                archive.addfile(entry)
            elif isinstance(content, str) and content.startswith("-> "):
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, content[3:], 0o777
                archive.addfile(entry)
            else:
                data = _bytes(content)
                entry.size, entry.mode = len(data), 0o755 if "bin/" in name else 0o644
                archive.addfile(entry, io.BytesIO(data))
    plain = buffer.getvalue()
    return Layer(_compress(plain, compression), digest(plain), compression)


def empty_layer() -> Layer:
    """Return a layer without any file."""
    return layer({})


def foreign_layer(urls: t.Sequence[str], files: t.Mapping[str, Content]) -> Layer:
    """Return a layer that clients fetch from ``urls`` and that is not pushed."""
    return dataclasses.replace(layer(files), foreign_urls=tuple(urls))


def busybox_layer(
    files: t.Mapping[str, Content] | None = None,
    compression: str = "gzip",
    cache_dir: os.PathLike[str] | str = DEFAULT_CACHE,
) -> Layer:
    """Return a layer that is a small system to ``chroot`` into: Debian's static busybox, its commands, users.

    :param files: more files, as for ``layer``.
    """
    content: dict[str, Content] = {f"bin/{name}": "-> busybox" for name in APPLETS.split()}
    content.update(
        {
            "bin/busybox": pathlib.Path(find_tool("busybox", "busybox-static", cache_dir)),
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            "etc/group": "root:x:0:\nnogroup:x:65534:\n",
            "root/": "",
            "tmp/": "",
        }
    )
    content.update(files or {})
    return layer(content, compression)


def image(
    layers: t.Sequence[Layer] | t.Mapping[str, Content] = (),
    media: str = "oci",
    architecture: str = "amd64",
    variant: str | None = None,
    os_name: str = "linux",
    labels: t.Mapping[str, str] | None = None,
    created: str | None = CREATED,
    annotations: t.Mapping[str, str] | None = None,
    subject: Image | None = None,
    command: t.Sequence[str] = ("/bin/sh",),
    environment: t.Sequence[str] = ("PATH=/bin",),
) -> Image:
    """Return an image.

    :param layers: layers, which may be none or repeat one; or the files of a single layer.
    :param media: ``oci`` or ``docker`` media types.
    :param created: the time in the configuration; ``None`` leaves it out.
    :param subject: the image that this one refers to.
    """
    if isinstance(layers, t.Mapping):
        layers = [layer(layers)]
    config: dict[str, t.Any] = {
        "architecture": architecture,
        "os": os_name,
        "config": {"Cmd": list(command), "Env": list(environment), "Labels": dict(labels or {})},
        "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
        "history": [
            {"created": created or CREATED, "created_by": f"layer {n}"} for n, _each in enumerate(layers)
        ],
    }
    platform = {"architecture": architecture, "os": os_name}
    if variant:
        config["variant"] = platform["variant"] = variant
    if created:
        config["created"] = created
    raw_config = _json(config)
    manifest: dict[str, t.Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST if media == "oci" else DOCKER_MANIFEST,
        "config": descriptor(raw_config, OCI_CONFIG if media == "oci" else DOCKER_CONFIG),
        "layers": [each.descriptor(media) for each in layers],
    }
    _add_optional(manifest, annotations, subject)
    blobs = {digest(raw_config): raw_config}
    blobs.update({digest(each.data): each.data for each in layers if not each.foreign_urls})
    return Image(_json(manifest), manifest["mediaType"], blobs, platform)


def artifact(
    artifact_type: str,
    content: bytes = EMPTY_JSON,
    content_type: str = OCI_EMPTY,
    subject: Image | None = None,
    annotations: t.Mapping[str, str] | None = None,
) -> Image:
    """Return an OCI artifact, such as a signature or an SBOM, of ``subject``."""
    manifest: dict[str, t.Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": {**descriptor(EMPTY_JSON, OCI_EMPTY), "data": "e30="},
        "layers": [descriptor(content, content_type)],
    }
    _add_optional(manifest, annotations, subject)
    return Image(_json(manifest), OCI_MANIFEST, {digest(data): data for data in (EMPTY_JSON, content)})


def index(
    children: t.Sequence[Image],
    media: str = "oci",
    annotations: t.Mapping[str, str] | None = None,
    subject: Image | None = None,
    attestations: bool = False,
) -> Index:
    """Return an index of ``children``, which may be indexes themselves.

    :param media: ``oci`` or ``docker``.
    :param attestations: add what BuildKit adds: one manifest of platform unknown/unknown for each child.
    """
    descriptors = [child.descriptor() for child in children]
    if attestations:
        proofs = [attestation(child) for child in children]
        for child, proof in zip(children, proofs):
            reference = {
                "vnd.docker.reference.digest": child.digest,
                "vnd.docker.reference.type": "attestation-manifest",
            }
            descriptors.append({**proof.descriptor(), "annotations": reference})
        children = [*children, *proofs]
    manifest: dict[str, t.Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX if media == "oci" else DOCKER_LIST,
        "manifests": descriptors,
    }
    _add_optional(manifest, annotations, subject)
    return Index(_json(manifest), manifest["mediaType"], {}, None, tuple(children))


def attestation(child: Image) -> Image:
    """Return a provenance attestation of ``child`` as BuildKit makes it."""
    statement = _json(
        {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{"name": "image", "digest": {"sha256": child.digest.partition(":")[2]}}],
            "predicate": {},
        }
    )
    proof = Layer(statement, digest(statement), "")
    made = image([proof], architecture="unknown", os_name="unknown", command=(), environment=())
    manifest = made.manifest
    manifest["layers"][0]["mediaType"] = "application/vnd.in-toto+json"
    return dataclasses.replace(made, raw=_json(manifest))


def referrers_tag(subject: Image) -> str:
    """Return the tag that lists the referrers of ``subject`` (distribution spec, referrers tag schema)."""
    return subject.digest.replace(":", "-")


def referrers_index(referrers: t.Sequence[Image]) -> Index:
    """Return the index that belongs under ``referrers_tag``."""
    made = index(referrers)
    manifest = made.manifest
    for entry, referrer in zip(manifest["manifests"], referrers):
        content = referrer.manifest
        entry["artifactType"] = content.get("artifactType") or content["config"]["mediaType"]
        if "annotations" in content:
            entry["annotations"] = content["annotations"]
    return dataclasses.replace(made, raw=_json(manifest))


def samples() -> dict[str, Image]:
    """Return one image of each kind, by name. Kinds that need zstd are left out where there is none."""
    small = layer({"hello.txt": "hello\n"})
    plain = image([small], labels={"org.example.kind": "plain"})
    found: dict[str, Image] = {
        "oci": plain,
        "docker": image([small], media="docker"),
        "busybox": image([busybox_layer()], command=("/bin/sh",)),
        "plain-tar": image([layer({"hello.txt": "hello\n"}, compression="")]),
        "empty-layer": image([small, empty_layer()]),
        "no-layers": image([]),
        "same-layer-twice": image([small, small]),
        "many-layers": image([layer({f"file-{n:03}": f"{n}\n"}) for n in range(100)]),
        "foreign-layer": image(
            [foreign_layer(["http://127.0.0.1:9/layer"], {"far.txt": "far\n"}), small], media="docker"
        ),
        "annotated": image([small], annotations={"org.opencontainers.image.version": "1.0"}),
        "no-created": image([small], created=None),
        "signature": artifact("application/vnd.example.signature", b"signed", "text/plain", subject=plain),
    }
    arm = image([small], architecture="arm64", variant="v8")
    found["index"] = index([plain, arm])
    found["attested-index"] = index([plain, arm], attestations=True)
    found["docker-list"] = index(
        [image([small], media="docker"), image([small], media="docker", architecture="arm64", variant="v8")],
        media="docker",
    )
    found["nested-index"] = index([plain, found["index"]])
    found["empty-index"] = index([])
    try:
        found["zstd"] = image([layer({"hello.txt": "hello\n"}, compression="zstd")])
    except ZstdMissing:
        pass
    return found


class ZstdMissing(RuntimeError):
    """Neither the Python package nor the program for zstd is there."""


_REFUSALS = (400, 415)


class NotStored(RuntimeError):
    """The registry does not take a manifest of this kind."""


def push(
    registry_url: str,
    repository: str,
    thing: Image,
    tag: str | None = None,
    auth: Auth = None,
    verify: bool | str = True,
    cert: tuple[str, str] | None = None,
) -> str:
    """Push an image, artifact or index with all it needs, blobs and children first. Return its digest.

    :param tag: the tag; without it the manifest is pushed by digest.
    :param auth: user name and password, or any ``requests`` authentication.
    :param verify: the CA file to trust.
    :raises RuntimeError: when the registry refuses something, with its answer.
    """
    with _session(auth, verify, cert) as session:
        _push(session, _base(registry_url, repository), thing, tag)
    return thing.digest


def push_schema1(registry_url: str, repository: str, tag: str, **access: t.Any) -> bytes:
    """Push a schema 1 manifest under ``tag`` and return its bytes. The registry needs ``schema1``."""
    push(registry_url, repository, image({"old.txt": "old\n"}, media="docker"), tag, **access)
    # The registry signs what it converts, so the manifest can be stored as it is.
    raw, media_type = get_manifest(registry_url, repository, tag, accept=DOCKER_SCHEMA1, **access)
    with _session(**access) as session:
        url = f"{_base(registry_url, repository)}/manifests/{tag}"
        _good(session.put(url, data=raw, headers={"Content-Type": media_type}), 201)
    return raw


def head(registry_url: str, repository: str, reference: str, **access: t.Any) -> str | None:
    """Return the digest of a tag or digest, or ``None`` when it is not there."""
    with _session(**access) as session:
        url = f"{_base(registry_url, repository)}/manifests/{reference}"
        answer = session.head(url, headers={"Accept": ACCEPT}, allow_redirects=False)
        return None if answer.status_code == 404 else _good(answer, 200).headers["Docker-Content-Digest"]


def get_manifest(
    registry_url: str, repository: str, reference: str, accept: str = ACCEPT, **access: t.Any
) -> tuple[bytes, str]:
    """Return the raw manifest and its media type.

    :param accept: ``DOCKER_SCHEMA1`` makes distribution 2.8 convert a tag of a Docker image with layers.
    """
    with _session(**access) as session:
        url = f"{_base(registry_url, repository)}/manifests/{reference}"
        answer = _good(session.get(url, headers={"Accept": accept}, allow_redirects=False), 200)
        return answer.content, answer.headers["Content-Type"]


def get_blob(registry_url: str, repository: str, blob_digest: str, **access: t.Any) -> bytes | None:
    """Return a blob's bytes, or ``None`` when it is not there."""
    with _session(**access) as session:
        answer = session.get(f"{_base(registry_url, repository)}/blobs/{blob_digest}", allow_redirects=False)
        return None if answer.status_code == 404 else _good(answer, 200).content


def tags(registry_url: str, repository: str, **access: t.Any) -> list[str]:
    """Return the tags of a repository, sorted; none when the repository is not there."""
    with _session(**access) as session:
        answer = session.get(f"{_base(registry_url, repository)}/tags/list")
        return [] if answer.status_code == 404 else sorted(_good(answer, 200).json()["tags"] or [])


def state(registry_url: str, repository: str, **access: t.Any) -> dict[str, str | None]:
    """Return the digest of every tag of a repository: what a test compares before and after."""
    return {
        tag: head(registry_url, repository, tag, **access) for tag in tags(registry_url, repository, **access)
    }


def demo_images() -> dict[str, Image]:
    """Return the sample application by tag: two releases, an alias of each, an index of two platforms."""

    def release(version: str, architecture: str = "amd64", variant: str | None = None) -> Image:
        made = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc)
        made += datetime.timedelta(days=int(version.rpartition(".")[2]))
        labels = {
            "org.opencontainers.image.title": "demo",
            "org.opencontainers.image.version": version,
        }
        return image(
            [busybox, layer({"etc/demo-version": version + "\n"})],
            architecture=architecture,
            variant=variant,
            labels=labels,
            created=made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=("/bin/cat", "/etc/demo-version"),
        )

    busybox = busybox_layer()
    first, second = release("1.4.1"), release("1.4.2")
    arm = release("1.4.2", "arm64", "v8")
    return {"1.4.1": first, "1.4.2": second, "latest": second, "stable": first, "multi": index([second, arm])}


def builds(count: int) -> dict[str, Image]:
    """Return images of their own with the tags build-1, build-2 …, the newest last, all years old."""
    return {
        f"build-{number}": image([layer({"build": f"{number}\n"})], created=f"2023-01-{number:02}T00:00:00Z")
        for number in range(1, count + 1)
    }


def seed_demo(
    registry_url: str, repository: str = "demo/app", build_count: int = 0, **access: t.Any
) -> dict[str, str]:
    """Push the sample application (``demo_images``) and so many builds of it. Return the digest of each tag."""
    tagged = {**demo_images(), **builds(build_count)}
    return {tag: push(registry_url, repository, made, tag, **access) for tag, made in tagged.items()}


def _push(session: requests.Session, base: str, thing: Image, tag: str | None) -> None:
    for child in thing.children if isinstance(thing, Index) else ():
        _push(session, base, child, None)
    for name, data in thing.blobs.items():
        _push_blob(session, base, name, data)
    answer = session.put(
        f"{base}/manifests/{tag or thing.digest}", data=thing.raw, headers={"Content-Type": thing.media_type}
    )
    if answer.status_code in _REFUSALS:
        raise NotStored(f"{thing.media_type} is not stored: HTTP {answer.status_code} {_code(answer)}")
    stored = _good(answer, 201).headers.get("Docker-Content-Digest", thing.digest)
    if stored != thing.digest:
        raise RuntimeError(f"The registry stored {stored} instead of {thing.digest}.")


def _push_blob(session: requests.Session, base: str, name: str, data: bytes) -> None:
    if session.head(f"{base}/blobs/{name}").status_code == 200:
        return
    begun = _good(session.post(f"{base}/blobs/uploads/"), 202)
    location = urllib.parse.urljoin(begun.url, begun.headers["Location"])
    separator = "&" if "?" in location else "?"
    _good(
        session.put(
            f"{location}{separator}digest={urllib.parse.quote(name)}",
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        ),
        201,
    )


def _session(
    auth: Auth = None, verify: bool | str = True, cert: tuple[str, str] | None = None
) -> requests.Session:
    session = requests.Session()
    # Neither proxies nor ~/.netrc have a say on the loopback interface.
    session.trust_env = False
    session.auth, session.verify, session.cert = auth, verify, cert
    return session


def _base(registry_url: str, repository: str) -> str:
    return f"{registry_url.rstrip('/')}/v2/{repository}"


def _good(answer: requests.Response, status: int) -> requests.Response:
    if answer.status_code != status:
        asked = f"{answer.request.method} {answer.url}"
        raise RuntimeError(f"{asked} answered {answer.status_code} instead of {status}: {answer.text[:500]}")
    return answer


def _code(answer: requests.Response) -> str:
    """Return the registry's code for what is wrong, else all that it says."""
    try:
        return str(answer.json()["errors"][0]["code"])
    except (ValueError, LookupError, TypeError):
        return answer.text[:500]


def _json(value: t.Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _add_optional(
    manifest: dict[str, t.Any], annotations: t.Mapping[str, str] | None, subject: Image | None
) -> None:
    if annotations:
        manifest["annotations"] = dict(annotations)
    if subject:
        manifest["subject"] = descriptor(subject.raw, subject.media_type)


def _with_parents(files: t.Mapping[str, Content]) -> dict[str, Content]:
    found = dict(files)
    for name in files:
        parts = name.rstrip("/").split("/")[:-1]
        for depth in range(len(parts)):
            found.setdefault("/".join(parts[: depth + 1]) + "/", "")
    return found


def _bytes(content: Content) -> bytes:
    if isinstance(content, pathlib.Path):
        return content.read_bytes()
    return content.encode() if isinstance(content, str) else content


def _compress(plain: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.compress(plain, compresslevel=6, mtime=0)
    if compression == "zstd":
        return _zstd(plain)
    return plain


def _zstd(plain: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        program = shutil.which("zstd")
        if not program:
            raise ZstdMissing(
                "No zstd here: install the Python package zstandard or the program zstd."
            ) from None
        return subprocess.run(
            [program, "-q", "-c"], input=plain, capture_output=True, check=True, timeout=60
        ).stdout
    return zstandard.ZstdCompressor().compress(plain)

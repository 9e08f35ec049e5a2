# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An in-process registry whose misbehaviour is switched on by name.

It is a working registry with content in memory: manifests, blobs, uploads, mounts, tags, referrers, tokens.
``HostileRegistry(tag_delete="400", link="foreign")`` changes what the keywords say and nothing else.
"""

from __future__ import annotations

import base64
import email.message
import email.utils
import functools
import gzip
import hashlib
import http.server
import json
import re
import secrets
import socket
import ssl
import struct
import sys
import threading
import time
import types
import typing as t
import urllib.parse

from .profiles import PROFILES

ALWAYS = -1
INDEX = "application/vnd.oci.image.index.v1+json"
ROUTE = re.compile(
    r"/v2/(?P<name>[a-z0-9][a-z0-9._/-]*?)/"
    r"(?:(?P<kind>manifests|referrers)/(?P<reference>[^/]+)|(?P<tags>tags)/list"
    r"|blobs/(?:(?P<digest>[a-z0-9]+:[^/]+)|uploads/(?P<upload>[^/]*)))$"
)

# name: (default, what the values do)
BEHAVIOURS: dict[str, tuple[t.Any, str]] = {
    "ping": ("200", "/v2/ answers this status"),
    "catalog": ("200", "_catalog answers this status"),
    "catalog_max": (0, "_catalog refuses a larger n with 400 PAGINATION_NUMBER_INVALID; 0: no limit"),
    "head": ("200", "HEAD of a manifest: 200, 404 or 405, whatever is there"),
    "digest_header": (
        "right",
        "Docker-Content-Digest: right, missing, missing-head, missing-get, wrong, wrong-put, or other-head"
        " (a HEAD has X-Checksum-Sha256 and a sha1 as its ETag in its place)",
    ),
    "content_type": ("", "serve every manifest with this Content-Type; 'none' leaves the header out"),
    "wrong_bytes": (
        "",
        "manifest, blob or both: serve other bytes of the same length under the right headers",
    ),
    "huge_manifest": (0, "pad a manifest answer with spaces to this many bytes"),
    "content_encoding": ("", "gzip: compress manifest and blob answers although nobody asked for it"),
    "warning": ("", "send this text in a Warning header with every answer"),
    "warning_on": ("", "a regular expression on 'METHOD /path' that limits warning"),
    "headers": (None, "{name: value}: send these headers with every answer"),
    "page_size": (0, "tags and repositories on one page when the client names no n; 0: all"),
    "link": (
        "relative",
        "Link of a page: relative, absolute, token, foreign, loop, last-page (on that as well), full-page"
        " (absolute, on each full one), wrong-prefix, short-name (without the first part of the name), unescaped"
        " (relative, with names as they are), none",
    ),
    "tags": ("list", "tags/list holds: list, null, absent, with-null, duplicates, digests"),
    "tags_order": ("name", "tags/list is sorted by name, or by age (the oldest tag first)"),
    "tags_accept": ("any", "json: tags/list answers 406 unless the request accepts application/json"),
    "tags_extra": (False, "tags/list also holds manifest and child, with the digests"),
    "max_n": (0, "tags/list answers 405 to a larger n; 0: no limit"),
    "tag_delete": (
        "202",
        "DELETE of a tag: 202, 400, 405, 404text, ignored (202, and nothing happens), or digest (deletes its digest, by"
        " digest_delete)",
    ),
    "digest_delete": (
        "202",
        "DELETE of a digest: 202 with all its tags, 403tagged (while tagged), 403used (while tagged or in an"
        " index), 405used (as zot: while in an index), 400tagged (as Google), cascade (as Harbor: 412 while in an"
        " index, takes children along), untag (as Quay: removes tags only, and serves only what a tag leads to),"
        " dangling (as Nexus: its tags stay listed), keep-tags (as go-containerregistry: its tags stay, and serve"
        " it), 405, 404text, 500, 500once, ignored",
    ),
    "last_tag": (
        "keep",
        "an image whose last tag is moved or deleted: keep, or drop (as zot 1.4.3, even if an index needs it)",
    ),
    "read_lag": (0, "the next reads of a tag or digest after a write show what it was before"),
    "delete_after": (0, "a deletion of a digest takes effect after so many more requests"),
    "absent_code": ("MANIFEST_UNKNOWN", "the error code of a manifest that is not there"),
    "deleted_code": ("", "the error code of a tag that was deleted; empty: absent_code"),
    "create": ("201", "a push to a repository that is not there: 201 makes it, 404 refuses"),
    "hidden": ("", "the name of a repository that answers 401, whoever asks"),
    "upload_location": (
        "relative",
        "Location of an upload: relative, absolute, foreign (other origin), http",
    ),
    "single_post": ("201", "POST with ?digest=: 201, or 202 as registries do that want a PUT"),
    "monolithic": ("201", "PUT with the whole blob: 201, or 405 as registries do that want a PATCH"),
    "chunked": ("202", "PATCH of an upload: 202 or 405"),
    "chunk_min": (0, "OCI-Chunk-Min-Length; a PATCH after a shorter one gets 416"),
    "range_stuck": (False, "the Range of an upload stays at the first chunk although more is stored"),
    "mount": (
        "201",
        "a mount answers 201, 202 (begins an upload), 404, or 404missing (where there is nothing to mount)",
    ),
    "manifest_put": (
        "201",
        "PUT of a manifest: 201, 412 (immutable tag), or ignored (201, and nothing happens)",
    ),
    "blob_redirect": ("", "GET of a blob answers 307: same origin, other (rejects Authorization), loop"),
    "ranges": ("supported", "Range on a blob: supported, ignored (200), shifted (206 from the wrong byte)"),
    "range_error": ("right", "wrong-length: a 416 promises a body that never comes"),
    "referrers": ("off", "referrers API: off (404 text), on, unfiltered (on, and ignores artifactType)"),
    "fail_first": (0, "answer the first requests with fail_status; -1: always"),
    "fail_status": (503, "the status for fail_first"),
    "fail_body": ("json", "the body for fail_first: json or text"),
    "fail_on": ("", "a regular expression on 'METHOD /path' that limits fail_first"),
    "retry_after": ("", "Retry-After of a failed answer: seconds, or date for one second from now"),
    "drop_first": (0, "reset the connection of the first requests; -1: always"),
    "drop_on": ("", "a regular expression on 'METHOD /path' that limits drop_first"),
    "drop_when": ("before", "before or after the request takes effect"),
    "cut_first": (0, "end the first blob answers early; -1: always"),
    "cut_after": (0, "the bytes of a body that is cut"),
    "delay": (0.0, "seconds to wait before an answer"),
    "delay_on": ("", "a regular expression on 'METHOD /path' that limits delay"),
    "trickle": (0.0, "seconds between the pieces of 1 KiB in which a blob is sent"),
    "auth": ("", "basic, bearer, both in one WWW-Authenticate header, or two headers (two-headers)"),
    "user": (("alice", "secret"), "the name and password that are known"),
    "anonymous": ("", "pull: a token without credentials may pull"),
    "challenge": ("", "send this WWW-Authenticate header instead of the right one"),
    "challenge_scope": ("right", "the scope in a challenge: right, none, or * (as Codeberg)"),
    "challenge_at": ("all", "base: only a 401 of /v2/ has a challenge"),
    "realm": ("other", "the token server is on the other origin, or the same"),
    "token_path": ("/token", "the path of the token server"),
    "token_catalog": (True, "the token server gives access to the catalog"),
    "token_key": ("token", "the name of the token in the answer: token, access_token, both, empty"),
    "token_expires": (300, "expires_in of the answer; None leaves it out"),
    "token_uses": (0, "a token is refused after this many requests; 0: never"),
    "token_post": ("200", "POST to the token server: 200, 404 or 405"),
    "token_delete": ("200", "a scope with delete gets a token (200) or 400"),
    "tls": (None, "(certificate file, key file): speak HTTPS on both origins"),
}


class Request(t.NamedTuple):
    """One request as it came in. ``origin`` is ``registry`` or ``other``."""

    origin: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: email.message.Message
    size: int


class Repository:
    """The content of one repository."""

    def __init__(self) -> None:
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.tags: dict[str, str] = {}
        self.blobs: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.untagged: set[str] = set()
        # Deleted digests that their tags still serve, and what reads show for a while: how often, and what it was.
        self.tags_only: set[str] = set()
        # What is listed as a referrer of a digest besides what has it as its subject.
        self.listed: dict[str, list[str]] = {}
        self.earlier: dict[str, tuple[int, tuple[str, str, bytes] | None]] = {}

    def indexes_of(self, digest: str) -> list[str]:
        """Return the indexes that have a manifest in them."""
        return [
            name
            for name, (_type, raw) in list(self.manifests.items())
            if digest in [child["digest"] for child in json.loads(raw).get("manifests", [])]
        ]

    def leads_to(self, digest: str) -> bool:
        """Return whether a tag leads to a manifest, by itself or through indexes."""
        return digest in self.tags.values() or any(self.leads_to(index) for index in self.indexes_of(digest))

    def remove(self, digest: str) -> None:
        """Remove a manifest, if it is there, and its tags."""
        self.manifests.pop(digest, None)
        self.untag(digest)

    def untag(self, digest: str) -> None:
        """Remove the tags of a manifest."""
        for tag in [tag for tag, found in list(self.tags.items()) if found == digest]:
            self.remove_tag(tag)

    def remove_tag(self, tag: str) -> None:
        """Remove a tag, and remember that."""
        del self.tags[tag]
        self.deleted.add(tag)


class HostileRegistry:
    """The server, from ``with HostileRegistry(...) as server:`` to the end of the block.

    :ivar url: ``http://127.0.0.1:PORT``; ``other_url`` is the second origin (storage and tokens).
    :ivar requests: every ``Request`` so far, in the order they came in.
    :ivar repositories: the content, by name.
    :ivar before: a function called with each request before it is handled; tests change content there.
    """

    def __init__(self, before: t.Callable[[Request], object] | None = None, **behaviours: t.Any) -> None:
        unknown = sorted(set(behaviours) - set(BEHAVIOURS))
        if unknown:
            raise TypeError(
                f"Unknown behaviours: {', '.join(unknown)}. `python -m tests.hostile` lists them."
            )
        defaults = {name: default for name, (default, _text) in BEHAVIOURS.items()}
        self.behaviour = types.SimpleNamespace(**{**defaults, **behaviours})
        self.before = before
        self.requests: list[Request] = []
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, Upload] = {}
        self.tokens: dict[str, Token] = {}
        self.counters: dict[str, int] = {}
        self.pending: list[tuple[int, t.Callable[[], None]]] = []
        self.lock = threading.RLock()
        self._servers: dict[str, _Server] = {}
        self.url = self.host = self.other_url = self.other_host = ""

    @classmethod
    def vendor(cls, name: str, **more: t.Any) -> HostileRegistry:
        """Return the registry of a profile (see ``profiles``), with ``more`` behaviours."""
        return cls(**{**PROFILES[name].switches, **more})

    def __enter__(self) -> HostileRegistry:
        self.host = self._listen("registry")
        self.other_host = self._listen("other")
        scheme = "https" if self.behaviour.tls else "http"
        self.url, self.other_url = f"{scheme}://{self.host}", f"{scheme}://{self.other_host}"
        return self

    def __exit__(self, *_unused: t.Any) -> None:
        for server in self._servers.values():
            server.shutdown()
            server.close_connections()
            server.server_close()

    def repository(self, name: str) -> Repository:
        """Return a repository, made when it is not there."""
        return self.repositories.setdefault(name, Repository())

    def add(self, name: str, image: t.Any, tag: str | None = None) -> str:
        """Store an image of ``tests.registries.images`` without a request. Return its digest."""
        repository = self.repository(name)
        for child in getattr(image, "children", ()):
            self.add(name, child)
        repository.blobs.update(image.blobs)
        repository.manifests[image.digest] = (image.media_type, image.raw)
        if tag:
            repository.tags[tag] = image.digest
        return str(image.digest)

    def find(self, name: str, reference: str) -> str | None:
        """Return the digest that a tag or digest stands for, as far as it is served."""
        content = self.repositories.get(name) or Repository()
        digest = reference if ":" in reference else content.tags.get(reference)
        if digest not in content.manifests or (":" in reference and digest in content.tags_only):
            return None
        hides = self.behaviour.digest_delete == "untag"
        return digest if not hides or digest in content.untagged or content.leads_to(digest) else None

    def state(self, name: str) -> dict[str, str]:
        """Return the digest of every tag that is served."""
        content = self.repositories.get(name) or Repository()
        found = {tag: self.find(name, tag) for tag in list(content.tags)}
        return {tag: digest for tag, digest in found.items() if digest}

    def apply_deletions(self) -> None:
        """Count a request for ``delete_after``, and carry out what is due."""
        with self.lock:
            counted = [(left - 1, delete) for left, delete in self.pending]
            self.pending = [entry for entry in counted if entry[0] > 0]
        for left, delete in counted:
            if left <= 0:
                delete()

    def count(self, pattern: str) -> int:
        """Return how many requests match a regular expression on ``METHOD /path``."""
        return sum(1 for r in self.requests if re.search(pattern, f"{r.method} {r.path}"))

    def take(self, name: str, limit: int) -> bool:
        """Return whether a behaviour that holds ``limit`` times (-1: always) holds now, and count it."""
        with self.lock:
            if limit != ALWAYS and self.counters.get(name, 0) >= limit:
                return False
            self.counters[name] = self.counters.get(name, 0) + 1
            return True

    def _listen(self, origin: str) -> str:
        server = _Server(("127.0.0.1", 0), Handler)
        server.registry, server.origin = self, origin
        if self.behaviour.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.behaviour.tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._servers[origin] = server
        return f"127.0.0.1:{server.server_address[1]}"


class Upload:
    """A blob upload in progress. ``state`` changes with every request, as on distribution."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.state = secrets.token_hex(4)
        self.first_end = 0
        self.patched = False
        self.short = False


class Token:
    """A bearer token: the (type, name, action) it grants and how often it was used."""

    def __init__(self, grants: set[tuple[str, str, str]]) -> None:
        self.grants = grants
        self.uses = 0


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # A benchmark or a parallel test opens many connections at once.
    request_queue_size = 128
    registry: HostileRegistry
    origin: str

    def __init__(self, *arguments: t.Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: t.Any, client_address: t.Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: t.Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """End kept-alive connections, so that their threads end too."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        # A client that hangs up is part of the game; anything else is a fault of ours and must be seen.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request after another on one connection."""

    protocol_version = "HTTP/1.1"
    # Head and body are written one after the other: the body must not wait until the head is acknowledged.
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        """Stay silent: ``HostileRegistry.requests`` is the log."""

    def setup(self) -> None:
        super().setup()
        self.registry = self.server.registry
        self.do = self.registry.behaviour

    # -- one request

    def answer_request(self) -> None:
        """Log the request, apply the behaviours that hold for any request, then answer it."""
        parts = urllib.parse.urlsplit(self.path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
        self.route = urllib.parse.unquote(parts.path)
        self.label = f"{self.command} {self.route}"
        request = Request(
            self.server.origin, self.command, self.route, self.query, self.headers, len(self.body)
        )
        with self.registry.lock:
            self.registry.requests.append(request)
        self.registry.apply_deletions()
        if len(self.body) < int(self.headers.get("Content-Length") or 0):
            # The client gave up in the middle: half a body changes nothing.
            self.close_connection = True
            return
        if self.registry.before:
            self.registry.before(request)
        if self.do.delay and re.search(self.do.delay_on, self.label):
            time.sleep(self.do.delay)
        drops = bool(re.search(self.do.drop_on, self.label)) and self.registry.take(
            "drop", self.do.drop_first
        )
        if drops and self.do.drop_when == "before":
            self.reset()
            return
        self.silent = drops
        if re.search(self.do.fail_on, self.label) and self.registry.take("fail", self.do.fail_first):
            self.fail()
        elif self.server.origin == "other":
            self.answer_other()
        elif self.route == self.do.token_path:
            self.answer_token()
        elif self.authorized():
            self.answer_registry()
        if drops:
            self.reset()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer_request

    def answer_registry(self) -> None:
        """Find the endpoint of the distribution spec and answer it."""
        if self.route in ("/v2", "/v2/"):
            self.send(int(self.do.ping), b"{}")
        elif self.route == "/v2/_catalog":
            self.answer_catalog()
        else:
            found = ROUTE.match(self.route)
            if not found:
                self.send(404, b"404 page not found\n", {"Content-Type": "text/plain"})
                return
            self.name = found["name"]
            self.content = self.registry.repositories.get(self.name) or Repository()
            self.answer_endpoint(found)

    def answer_endpoint(self, found: re.Match[str]) -> None:
        """Answer an endpoint below a repository."""
        method = self.command
        if (
            self.do.create == "404"
            and method not in ("GET", "HEAD")
            and self.name not in self.registry.repositories
        ):
            self.error(404, "NAME_UNKNOWN", "repository name not known to registry")
        elif found["tags"] and method == "GET":
            self.answer_tags()
        elif found["kind"] == "referrers" and method == "GET":
            self.answer_referrers(found["reference"])
        elif found["kind"] == "manifests" and method in ("GET", "HEAD"):
            self.answer_manifest(found["reference"])
        elif found["kind"] == "manifests" and method == "PUT":
            self.put_manifest(found["reference"])
        elif found["kind"] == "manifests" and method == "DELETE":
            self.delete_manifest(found["reference"])
        elif found["digest"] and method in ("GET", "HEAD"):
            self.answer_blob(found["digest"])
        elif found["digest"] and method == "DELETE":
            self.delete_blob(found["digest"])
        elif found["upload"] == "" and method == "POST":
            self.begin_upload()
        elif found["upload"]:
            self.continue_upload(found["upload"])
        else:
            self.error(405, "UNSUPPORTED", "The operation is unsupported.")

    def answer_other(self) -> None:
        """The second origin: tokens, redirected blobs, uploads. It rejects credentials as storage does."""
        if self.route == self.do.token_path:
            self.answer_token()
        elif self.headers.get("Authorization"):
            self.send(
                400, b"<Error>Only one auth mechanism allowed</Error>", {"Content-Type": "application/xml"}
            )
        elif self.route.startswith("/storage/"):
            name, _slash, wanted = self.route[len("/storage/") :].rpartition("/")
            self.send_blob(self.registry.repository(name).blobs[wanted], wanted)
        else:
            self.answer_registry()

    # -- answers

    def send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send an answer with its length; no body to HEAD."""
        if self.silent:
            return
        found = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        self.send_response(status)
        for name, value in found.items():
            for line in value.split("\n") if value else ():
                self.send_header(name, line)
        if self.do.warning and re.search(self.do.warning_on, f"{self.command} {self.path}"):
            self.send_header("Warning", f'299 - "{self.do.warning}"')
        for name, value in (self.do.headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.write(body)

    def write(self, body: bytes) -> None:
        """Send a body, for ``trickle`` in small pieces."""
        if not (self.do.trickle and "/blobs/" in self.path):
            self.wfile.write(body)
            return
        for start in range(0, len(body), 1024):
            self.wfile.write(body[start : start + 1024])
            time.sleep(self.do.trickle)

    def error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        """Send an error as the distribution spec writes it."""
        entry = {"code": code, "message": message, "detail": None}
        self.send(status, json.dumps({"errors": [entry]}).encode(), headers)

    def fail(self) -> None:
        """The answer of ``fail_first``."""
        headers = {}
        if self.do.retry_after == "date":
            headers["Retry-After"] = email.utils.formatdate(time.time() + 1, usegmt=True)
        elif self.do.retry_after:
            headers["Retry-After"] = str(self.do.retry_after)
        if self.do.fail_body == "text":
            self.send(self.do.fail_status, b"Not now.\n", {"Content-Type": "text/plain", **headers})
            return
        code = "TOOMANYREQUESTS" if self.do.fail_status == 429 else "UNAVAILABLE"
        self.error(self.do.fail_status, code, "Not now.", headers)

    def reset(self) -> None:
        """Reset the connection: the client sees neither an answer nor an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def encoded(self, body: bytes, headers: dict[str, str]) -> bytes:
        """Compress a body for ``content_encoding``."""
        if self.do.content_encoding != "gzip" or self.command == "HEAD":
            return body
        packed = gzip.compress(body)
        headers.update({"Content-Encoding": "gzip", "Content-Length": str(len(packed))})
        return packed

    # -- manifests

    def digest_of(self, reference: str) -> str | None:
        """Return the digest a tag or digest stands for."""
        return self.registry.find(self.name, reference)

    def answer_manifest(self, reference: str) -> None:
        """GET or HEAD of a manifest."""
        found = self.read(reference)
        if self.command == "HEAD" and self.do.head == "405":
            self.error(405, "UNSUPPORTED", "The operation is unsupported.")
        elif found is None or (self.command == "HEAD" and self.do.head == "404"):
            deleted = reference in self.content.deleted and self.do.deleted_code
            self.error(404, deleted or self.do.absent_code, "manifest unknown")
        else:
            wanted, media_type, body = found
            headers = {"Content-Type": self.served_type(media_type), **self.digest_headers(wanted)}
            if self.do.wrong_bytes in ("manifest", "both"):
                body = body[:-1] + b" "
            body += b" " * (self.do.huge_manifest - len(body))
            headers["Content-Length"] = str(len(body))
            self.send(200, self.encoded(body, headers), headers)

    def stored(self, reference: str) -> tuple[str, str, bytes] | None:
        """Return the digest, the media type and the bytes of a tag or digest."""
        found = self.digest_of(reference)
        return (found, *self.content.manifests[found]) if found else None

    def read(self, reference: str) -> tuple[str, str, bytes] | None:
        """Return what a read shows, which may be what was there before the last write, for ``read_lag``."""
        left, earlier = self.content.earlier.get(reference, (0, None))
        if left:
            self.content.earlier[reference] = (left - 1, earlier)
            return earlier
        return self.stored(reference)

    def note_write(self, reference: str) -> None:
        """Remember what is there before a write."""
        self.registry.repository(self.name).earlier[reference] = (self.do.read_lag, self.stored(reference))

    def drop_untagged(self, digest: str | None) -> None:
        """Remove an image that has lost a tag, if that was its last one, for ``last_tag``."""
        tagged = digest in self.content.tags.values() or digest in self.content.untagged
        if self.do.last_tag == "drop" and digest and not tagged:
            self.content.manifests.pop(digest, None)

    def served_type(self, media_type: str) -> str:
        """The Content-Type of a manifest answer for ``content_type``."""
        if self.do.content_type == "none":
            return ""
        return self.do.content_type or media_type

    def digest_headers(self, right: str) -> dict[str, str]:
        """The digest header of an answer for ``digest_header``."""
        mode = self.do.digest_header
        if mode == "missing" or mode == f"missing-{self.command.lower()}":
            return {}
        if mode == "other-head" and self.command == "HEAD":
            return {
                "X-Checksum-Sha256": right.partition(":")[2],
                "ETag": hashlib.sha1(right.encode()).hexdigest(),
            }
        if mode == "wrong" or mode == f"wrong-{self.command.lower()}":
            right = "sha256:" + "0" * 64
        return {"Docker-Content-Digest": right}

    def put_manifest(self, reference: str) -> None:
        """PUT of a manifest: everything it needs must be there, as on real registries."""
        right = "sha256:" + hashlib.sha256(self.body).hexdigest()
        if ":" in reference and reference != right:
            self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        if self.do.manifest_put == "412":
            self.error(412, "PRECONDITION", "The tag is immutable.")
            return
        content = self.registry.repository(self.name)
        manifest = json.loads(self.body)
        missing = missing_content(manifest, content)
        if missing:
            self.error(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {missing}")
            return
        self.note_write(reference)
        if self.do.manifest_put != "ignored":
            content.tags_only.discard(right)
            content.manifests[right] = (self.headers.get("Content-Type", ""), self.body)
            if ":" in reference:
                content.untagged.add(right)
            else:
                # The newest comes last, for an order by age.
                before = content.tags.pop(reference, None)
                content.tags[reference] = right
                self.drop_untagged(before)
        headers = {"Location": f"/v2/{self.name}/manifests/{right}", **self.digest_headers(right)}
        if self.do.referrers != "off" and "subject" in manifest:
            headers["OCI-Subject"] = manifest["subject"]["digest"]
        self.send(201, b"", headers)

    def delete_manifest(self, reference: str) -> None:
        """DELETE of a tag or a digest."""
        self.note_write(reference)
        if ":" in reference:
            self.delete_digest(reference)
        else:
            self.delete_tag(reference)

    def delete_tag(self, tag: str) -> None:
        """DELETE of a tag for ``tag_delete``."""
        mode = self.do.tag_delete
        if mode == "400":
            self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        elif mode == "405":
            self.error(405, "UNSUPPORTED", "The operation is unsupported.")
        elif mode == "404text":
            self.send(404, b"404 page not found\n", {"Content-Type": "text/plain"})
        elif tag not in self.content.tags:
            self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            if mode == "digest":
                self.delete_digest(self.content.tags[tag])
                return
            if mode != "ignored":
                before = self.content.tags[tag]
                self.content.remove_tag(tag)
                self.drop_untagged(before)
            self.send(202)

    def delete_digest(self, wanted: str) -> None:
        """DELETE of a digest for ``digest_delete``; it takes all its tags along, as most registries do."""
        mode, content = self.do.digest_delete, self.content
        tagged = [tag for tag, found in list(content.tags.items()) if found == wanted]
        used = content.indexes_of(wanted)
        if mode == "405":
            self.error(405, "UNSUPPORTED", "The operation is unsupported.")
        elif mode == "404text":
            self.send(404, b"404 page not found\n", {"Content-Type": "text/plain"})
        elif (
            wanted not in content.manifests or wanted in content.tags_only or (mode == "untag" and not tagged)
        ):
            self.error(404, self.do.absent_code, "manifest unknown")
        elif (mode in ("403tagged", "403used") and tagged) or (mode == "403used" and used):
            self.error(403, "DENIED", "The manifest is tagged, or part of another.")
        elif mode == "405used" and used:
            self.error(405, "DENIED", "The manifest is referenced by an index.")
        elif mode == "400tagged" and tagged:
            self.error(
                400, "GOOGLE_MANIFEST_DANGLING_TAG", f"Manifest is still referenced by tag: {tagged[0]}"
            )
        elif mode == "cascade" and used:
            self.error(412, "VIOLATE_FOREIGN_KEY_CONSTRAINT", "the artifact is referenced by others")
        elif mode == "500" or (mode == "500once" and self.registry.take("digest_delete", 1)):
            self.error(500, "UNKNOWN", "unknown error")
        else:
            if self.do.delete_after:
                later = functools.partial(self.carry_out, content, wanted)
                self.registry.pending.append((self.do.delete_after, later))
            else:
                self.carry_out(content, wanted)
            self.send(202)

    def carry_out(self, content: Repository, digest: str) -> None:
        """The deletion that ``digest_delete`` makes of it."""
        mode = self.do.digest_delete
        if mode == "cascade":
            self.delete_below(content, digest)
        elif mode == "untag":
            content.untag(digest)
        elif mode == "dangling":
            content.manifests.pop(digest, None)
        elif mode == "keep-tags" and digest in content.tags.values():
            content.tags_only.add(digest)
        elif mode != "ignored":
            content.remove(digest)

    def delete_below(self, content: Repository, digest: str) -> None:
        """Remove a manifest and those of its children that no tag and no other index has, as Harbor does."""
        children = json.loads(content.manifests[digest][1]).get("manifests", [])
        content.remove(digest)
        for child in (entry["digest"] for entry in children):
            if child in content.manifests and not content.indexes_of(child):
                if child not in content.tags.values():
                    self.delete_below(content, child)

    def answer_referrers(self, subject: str) -> None:
        """GET of the referrers API for ``referrers``."""
        if self.do.referrers == "off":
            self.send(404, b"404 page not found\n", {"Content-Type": "text/plain"})
            return
        wanted = self.query.get("artifactType", [""])[0]
        found, headers = referrers_of(subject, self.content), {"Content-Type": INDEX}
        if wanted and self.do.referrers == "on":
            found = [entry for entry in found if entry["artifactType"] == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        self.send(
            200, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode(), headers
        )

    # -- lists

    def answer_catalog(self) -> None:
        """GET of the catalog."""
        limit = self.do.catalog_max
        if self.do.catalog != "200":
            self.error(int(self.do.catalog), "UNSUPPORTED", "There is no catalog.")
        elif limit and int(self.query.get("n", ["0"])[0]) > limit:
            self.error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        else:
            page, headers = self.page(sorted(self.registry.repositories))
            self.send(200, json.dumps({"repositories": page}).encode(), headers)

    def answer_tags(self) -> None:
        """GET of the tags of a repository."""
        if self.name not in self.registry.repositories:
            self.error(404, "NAME_UNKNOWN", "repository name not known to registry")
        elif self.do.max_n and int(self.query.get("n", ["0"])[0]) > self.do.max_n:
            self.error(405, "UNSUPPORTED", f"Member must have value less than or equal to {self.do.max_n}")
        elif self.do.tags_accept == "json" and "application/json" not in (self.headers.get("Accept") or ""):
            self.error(406, "NOT_ACCEPTABLE", "This is application/json.")
        else:
            tags = list(self.content.tags)
            page, headers = self.page(sorted(tags) if self.do.tags_order == "name" else tags)
            answer = {"name": self.name, **self.served_tags(page)}
            if self.do.tags_extra:
                answer.update(
                    {"child": [], "manifest": {name: {"tag": []} for name in self.content.manifests}}
                )
            self.send(200, json.dumps(answer).encode(), headers)

    def served_tags(self, page: list[str]) -> dict[str, t.Any]:
        """The tags of a page for ``tags``."""
        mode = self.do.tags
        found: list[t.Any] = list(page)
        if mode == "absent":
            return {}
        if mode == "null":
            return {"tags": None}
        if mode == "with-null":
            found.append(None)
        elif mode == "duplicates":
            found += page
        elif mode == "digests":
            found += sorted(self.content.manifests)
        return {"tags": found}

    def page(self, everything: list[str]) -> tuple[list[str], dict[str, str]]:
        """Return one page of a list and the header that leads to the next one."""
        size = int(self.query.get("n", [str(self.do.page_size)])[0]) or len(everything)
        if self.do.page_size:
            size = min(size, self.do.page_size)
        opaque = self.query.get("next_page", [""])[0]
        last = base64.b64decode(opaque).decode() if opaque else self.query.get("last", [""])[0]
        if self.do.tags_order == "age":
            rest = everything[everything.index(last) + 1 :] if last in everything else everything
        else:
            rest = [entry for entry in everything if entry > last]
        page = rest[:size]
        more = len(rest) > size or (self.do.link in ("last-page", "loop") and page)
        more = more or (self.do.link == "full-page" and page and len(page) == size)
        if not more or self.do.link == "none":
            return page, {}
        return page, {"Link": f'<{self.next_page(page[-1], size, last)}>; rel="next"'}

    def next_page(self, end: str, size: int, last: str) -> str:
        """The address of the page after the entry ``end`` for ``link``."""
        mode = self.do.link
        if mode == "token":
            query = {"next_page": base64.b64encode(end.encode()).decode()}
        else:
            query = {"n": str(size), "last": last if mode == "loop" else end}
        route = self.route
        if mode == "short-name":
            route = re.sub(r"^/v2/[^/]+/", "/v2/", route)
        path = f"{route}?{urllib.parse.urlencode(query, safe='/' if mode == 'unescaped' else '')}"
        prefix = {
            "absolute": self.registry.url,
            "full-page": self.registry.url,
            "foreign": self.registry.other_url,
            "wrong-prefix": "/repository/x",
        }
        return prefix.get(mode, "") + path

    # -- blobs

    def answer_blob(self, wanted: str) -> None:
        """GET or HEAD of a blob."""
        if wanted not in self.content.blobs:
            self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        elif self.do.blob_redirect and "redirected" not in self.query and self.server.origin == "registry":
            self.redirect_blob(wanted)
        else:
            self.send_blob(self.content.blobs[wanted], wanted)

    def redirect_blob(self, wanted: str) -> None:
        """A 307 for ``blob_redirect``."""
        target = {
            "same": f"{self.route}?redirected=1",
            "other": f"{self.registry.other_url}/storage/{self.name}/{wanted}?X-Amz-Signature=s3cret",
            "loop": self.route,
        }[self.do.blob_redirect]
        self.send(307, b"", {"Location": target})

    def send_blob(self, data: bytes, wanted: str) -> None:
        """Send a blob or the part of it that was asked for."""
        if self.do.wrong_bytes in ("blob", "both"):
            data = bytes([data[0] ^ 1]) + data[1:] if data else data
        headers = {"Content-Type": "application/octet-stream", **self.digest_headers(wanted)}
        status, begin, end = 200, 0, len(data)
        asked = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range") or "")
        if self.do.ranges != "ignored":
            headers["Accept-Ranges"] = "bytes"
            if asked:
                status, begin = 206, int(asked[1])
                end = min(end, int(asked[2]) + 1) if asked[2] else end
        if begin >= len(data) and status == 206:
            self.refuse_range(len(data))
            return
        if status == 206:
            if self.do.ranges == "shifted":
                begin = max(0, begin - 1)
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
        body = data[begin:end]
        headers["Content-Length"] = str(len(body))
        body = self.encoded(body, headers)
        if self.command == "GET" and self.registry.take("cut", self.do.cut_first):
            body = body[: self.do.cut_after]
            self.close_connection = True
        self.send(status, body, headers)

    def refuse_range(self, size: int) -> None:
        """A 416, for ``range_error`` with a length that is not that of its body."""
        headers = {"Content-Range": f"bytes */{size}", "Content-Type": "text/plain"}
        if self.do.range_error == "wrong-length":
            headers["Content-Length"] = str(size + 1)
            self.close_connection = True
        self.send(416, b"", headers)

    def delete_blob(self, wanted: str) -> None:
        """DELETE of a blob."""
        if self.content.blobs.pop(wanted, None) is None:
            self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        else:
            self.send(202)

    # -- uploads

    def begin_upload(self) -> None:
        """POST: mount a blob, take a whole blob, or begin an upload."""
        content = self.registry.repository(self.name)
        mounted, source = self.query.get("mount", [""])[0], self.query.get("from", [""])[0]
        wanted = self.query.get("digest", [""])[0]
        held = (self.registry.repositories.get(source) or Repository()).blobs
        missing = mounted and mounted not in held
        if mounted and (self.do.mount == "404" or (missing and self.do.mount == "404missing")):
            self.error(404, "NAME_UNKNOWN", "repository name not known to registry")
        elif mounted and not missing and self.do.mount != "202":
            content.blobs[mounted] = held[mounted]
            self.created(mounted)
        elif wanted and self.do.single_post == "201":
            self.store_blob(self.body, wanted)
        else:
            number = secrets.token_hex(8)
            self.registry.uploads[number] = Upload()
            self.accepted(number, 202)

    def continue_upload(self, number: str) -> None:
        """PATCH, PUT, GET or DELETE of an upload."""
        upload = self.registry.uploads.get(number)
        if not upload or self.query.get("_state", [""])[0] != upload.state:
            self.error(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
        elif self.command == "PATCH":
            self.patch_upload(number, upload)
        elif self.command == "PUT":
            self.finish_upload(number, upload)
        elif self.command == "DELETE":
            del self.registry.uploads[number]
            self.send(204)
        else:
            self.accepted(number, 204)

    def patch_upload(self, number: str, upload: Upload) -> None:
        """PATCH: append one chunk at the place it names."""
        if self.do.chunked == "405":
            self.error(405, "UNSUPPORTED", "Blobs come whole here.")
            return
        begins = re.match(r"(\d+)-", self.headers.get("Content-Range") or "")
        if upload.short or (begins and int(begins[1]) != len(upload.data)):
            self.accepted(number, 416)
            return
        upload.data += self.body
        upload.first_end = upload.first_end or len(upload.data)
        upload.short = len(self.body) < self.do.chunk_min
        upload.patched = True
        upload.state = secrets.token_hex(4)
        self.accepted(number, 202)

    def finish_upload(self, number: str, upload: Upload) -> None:
        """PUT: the rest of the blob, or all of it for ``monolithic``."""
        if self.do.monolithic == "405" and not upload.patched:
            self.error(405, "UNSUPPORTED", "Blobs come in chunks here.")
            return
        data, wanted = bytes(upload.data) + self.body, self.query.get("digest", [""])[0]
        if digest_is_right(data, wanted):
            # Before the answer is sent: tests look as soon as they have it.
            del self.registry.uploads[number]
        self.store_blob(data, wanted)

    def store_blob(self, data: bytes, wanted: str) -> None:
        """Store a blob whose digest is right."""
        if not digest_is_right(data, wanted):
            self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        self.registry.repository(self.name).blobs[wanted] = data
        self.created(wanted)

    def created(self, wanted: str) -> None:
        """201 for a blob."""
        self.send(201, b"", {"Location": f"/v2/{self.name}/blobs/{wanted}", "Docker-Content-Digest": wanted})

    def accepted(self, number: str, status: int) -> None:
        """The state of an upload for ``upload_location``, ``chunk_min`` and ``range_stuck``."""
        upload = self.registry.uploads[number]
        stored = upload.first_end if self.do.range_stuck else len(upload.data)
        path = f"/v2/{self.name}/blobs/uploads/{number}?_state={upload.state}"
        origin = {
            "relative": "",
            "absolute": self.registry.url,
            "foreign": self.registry.other_url,
            "http": f"http://{self.registry.host}",
        }[self.do.upload_location]
        headers = {
            "Location": origin + path,
            "Range": f"0-{max(0, stored - 1)}",
            "Docker-Upload-UUID": number,
        }
        if self.do.chunk_min:
            headers["OCI-Chunk-Min-Length"] = str(self.do.chunk_min)
        self.send(status, b"", headers)

    # -- authentication

    def authorized(self) -> bool:
        """Return whether the request may go on; else answer it with 401."""
        hidden = self.do.hidden and self.route.startswith(f"/v2/{self.do.hidden}/")
        if not self.do.auth and not hidden:
            return True
        given = self.headers.get("Authorization") or ""
        needed = self.needed_access()
        if (
            self.do.auth in ("basic", "both", "two-headers")
            and not hidden
            and given == self.basic_credentials()
        ):
            return True
        token = self.registry.tokens.get(given[len("Bearer ") :]) if given.startswith("Bearer ") else None
        if token and not hidden and (needed <= token.grants or ("", "", "*") in token.grants):
            token.uses += 1
            if not self.do.token_uses or token.uses <= self.do.token_uses:
                return True
        problem = (
            ""
            if not given
            else "invalid_token"
            if not token or needed <= token.grants
            else "insufficient_scope"
        )
        header = self.do.challenge or self.right_challenge(needed, problem)
        if self.do.challenge_at == "base" and self.route != "/v2/":
            header = ""
        self.error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": header})
        return False

    def basic_credentials(self) -> str:
        """The Authorization header of the known user."""
        return "Basic " + base64.b64encode(":".join(self.do.user).encode()).decode()

    def needed_access(self) -> set[tuple[str, str, str]]:
        """Return the (type, name, action) that the request needs, as distribution sees it."""
        if self.route == "/v2/_catalog":
            return {("registry", "catalog", "*")}
        found = ROUTE.match(self.route)
        if not found:
            return set()
        actions = {"GET": ["pull"], "HEAD": ["pull"], "DELETE": ["delete"]}.get(
            self.command, ["pull", "push"]
        )
        needed = {("repository", found["name"], action) for action in actions}
        if "from" in self.query:
            needed.add(("repository", self.query["from"][0], "pull"))
        return needed

    def right_challenge(self, needed: set[tuple[str, str, str]], problem: str) -> str:
        """The WWW-Authenticate header for ``auth`` and ``realm``."""
        if self.do.auth == "basic":
            return 'Basic realm="hostile, or not"'
        realm = self.registry.other_url if self.do.realm == "other" else self.registry.url
        scopes: dict[str, list[str]] = {}
        for kind, name, action in sorted(needed):
            scopes.setdefault(f"{kind}:{name}", []).append(action)
        scope = " ".join(f"{what}:{','.join(actions)}" for what, actions in scopes.items())
        scope = {"right": scope, "none": "", "*": "*"}[self.do.challenge_scope]
        bearer = f'Bearer realm="{realm}{self.do.token_path}",service="hostile"'
        bearer += f',scope="{scope}"' if scope else ""
        bearer += f',error="{problem}"' if problem else ""
        basic = {"both": ', Basic realm="hostile"', "two-headers": "\nBasic"}
        return bearer + basic.get(self.do.auth, "")

    def answer_token(self) -> None:
        """The token server."""
        if self.command == "POST" and self.do.token_post != "200":
            self.error(int(self.do.token_post), "UNSUPPORTED", "There is no such thing here.")
            return
        form = self.query
        if self.command == "POST":
            form = urllib.parse.parse_qs(self.body.decode())
            known = [form.get("username", [""])[0], form.get("password", [""])[0]] == list(self.do.user)
            known = known or form.get("refresh_token", [""])[0] == "identity-" + self.do.user[0]
        else:
            known = self.headers.get("Authorization") == self.basic_credentials()
        anonymous = (
            self.do.anonymous == "pull" and not self.headers.get("Authorization") and self.command == "GET"
        )
        asked = parse_scopes(form.get("scope", []))
        if not known and not anonymous:
            self.error(401, "UNAUTHORIZED", "authentication required")
        elif self.do.token_delete == "400" and any(action == "delete" for _kind, _name, action in asked):
            self.error(400, "UNSUPPORTED", "Unable to decode scope.")
        else:
            granted = asked if known else {entry for entry in asked if entry[2] == "pull"}
            if not self.do.token_catalog:
                granted = {entry for entry in granted if entry[0] != "registry"}
            token = secrets.token_urlsafe(16)
            self.registry.tokens[token] = Token(expanded(granted))
            self.send(200, json.dumps(self.token_answer(token)).encode())

    def token_answer(self, token: str) -> dict[str, t.Any]:
        """The answer of the token server for ``token_key`` and ``token_expires``."""
        keys = {"both": ["token", "access_token"], "empty": []}.get(self.do.token_key, [self.do.token_key])
        answer: dict[str, t.Any] = dict.fromkeys(keys, token)
        if self.do.token_expires is not None:
            answer["expires_in"] = self.do.token_expires
        return answer


def digest_is_right(data: bytes, wanted: str) -> bool:
    """Return whether data has the digest it is announced by."""
    return "sha256:" + hashlib.sha256(data).hexdigest() == wanted


def parse_scopes(scopes: list[str]) -> set[tuple[str, str, str]]:
    """Return the (type, name, action) of scope parameters, which may hold several scopes each."""
    found: set[tuple[str, str, str]] = set()
    for scope in " ".join(scopes).split():
        what, _colon, actions = scope.rpartition(":")
        kind, _colon, name = what.partition(":")
        found.update((kind, name, action) for action in actions.split(","))
    return found


def expanded(granted: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Spell out the action ``*`` of repositories."""
    more = {
        (kind, name, action)
        for kind, name, star in granted
        if star == "*"
        for action in ("pull", "push", "delete")
    }
    return granted | more


def missing_content(manifest: dict[str, t.Any], content: Repository) -> str:
    """Return the digest of the first blob or child that a manifest needs and that is not there."""
    for child in manifest.get("manifests", []):
        if child["digest"] not in content.manifests:
            return str(child["digest"])
    for blob in [manifest.get("config")] + manifest.get("layers", []):
        if blob and not blob.get("urls") and blob["digest"] not in content.blobs:
            return str(blob["digest"])
    return ""


def referrers_of(subject: str, content: Repository) -> list[dict[str, t.Any]]:
    """Return the descriptors of the manifests whose subject is ``subject``."""
    found = []
    for name, (media_type, raw) in sorted(content.manifests.items()):
        manifest = json.loads(raw)
        listed = name in content.listed.get(subject, ())
        if listed or manifest.get("subject", {}).get("digest") == subject:
            entry = {"mediaType": media_type, "digest": name, "size": len(raw)}
            entry["artifactType"] = manifest.get("artifactType") or manifest.get("config", {}).get(
                "mediaType", ""
            )
            if manifest.get("annotations"):
                entry["annotations"] = manifest["annotations"]
            found.append(entry)
    return found

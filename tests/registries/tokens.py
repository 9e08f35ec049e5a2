# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token service for a real registry (distribution, "Token Authentication" and "OAuth2"), on a loopback port."""

from __future__ import annotations

import base64
import binascii
import datetime
import email.message
import fnmatch
import functools
import hashlib
import http.server
import json
import pathlib
import secrets
import ssl
import tempfile
import threading
import time
import typing as t
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from .kinds import chosen_kind

# The registry takes tokens for this many seconds after they have expired.
LEEWAY = 60
# The lifetime of a token that no registry takes.
EXPIRED = -LEEWAY - 60
ANYTHING = {"repository:*": "pull,push,delete", "registry:catalog": "*"}
Key = t.Union[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey]
Rights = t.Dict[str, t.Dict[str, str]]


class TokenRequest(t.NamedTuple):
    """One request for a token, and how it ended. ``user`` is empty for anonymous and unknown ones."""

    method: str
    user: str
    fields: dict[str, list[str]]
    headers: email.message.Message
    status: int

    @property
    def scopes(self) -> list[str]:
        """Each scope that was asked for; forms join them with spaces."""
        return " ".join(self.fields.get("scope", [])).split()


class TokenServer:
    """The service, from ``with TokenServer(...) as tokens:`` to the end of the block.

    All parameters but the first four can be changed while it runs, as attributes.

    :param users: names and passwords.
    :param algorithm: RS256 or ES256.
    :param tls: (certificate file, key file): speak HTTPS.
    :param host: the name in ``realm``; one that means 127.0.0.1.
    :param rights: for each user the actions on patterns of resources, such as
        ``{"alice": {"repository:team/*": "pull,push"}}``. Users not in it may do everything; ``""`` stands for
        anonymous requests, which may do nothing unless it is there.
    :param key_in: how tokens name their key: by its certificate (x5c) or its id (kid).
    :param token_name: the name of the token in the answer: token, access_token, or both.
    :param announced: ``expires_in`` of the answer; None leaves it out.
    :param lifetime: seconds for which tokens hold. ``lifetimes`` are those of the next tokens, before that.
    :param post: the status of POST: 200, or 404 or 405 as services say that do not know it.
    :param knows_delete: give tokens for scopes with the action delete; without it they get 400, as from Quay.
    :param delay: seconds to wait before an answer.
    :ivar realm: what to put into a challenge.
    :ivar settings: what ``Registry(token=...)`` takes.
    :ivar refresh_tokens: the refresh tokens that are known, each with its user.
    :ivar requests: each ``TokenRequest`` so far.
    :ivar given: each token given out so far.
    """

    def __init__(
        self,
        users: dict[str, str],
        algorithm: str = "RS256",
        tls: tuple[str, str] | None = None,
        host: str = "127.0.0.1",
        rights: Rights | None = None,
        key_in: str = "x5c",
        token_name: str = "token",
        announced: int | None = 300,
        lifetime: int = 300,
        post: int = 200,
        knows_delete: bool = True,
        delay: float = 0.0,
    ) -> None:
        self.users = users
        self.algorithm = algorithm
        self.tls = tls
        self.host = host
        self.rights = rights or {}
        self.key_in = key_in
        self.token_name = token_name
        self.announced = announced
        self.lifetime = lifetime
        self.lifetimes: list[int] = []
        self.post = post
        self.knows_delete = knows_delete
        self.delay = delay
        self.realm = ""
        self.settings: dict[str, str] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.requests: list[TokenRequest] = []
        self.given: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> TokenServer:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.tokens = self
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._directory = tempfile.TemporaryDirectory(prefix="tokens-")
        bundle = pathlib.Path(self._directory.name, "bundle.pem")
        bundle.write_bytes(_certificate(self.algorithm).public_bytes(Encoding.PEM))
        scheme = "https" if self.tls else "http"
        self.realm = f"{scheme}://{self.host}:{self._server.server_address[1]}/token"
        self.settings = {
            "realm": self.realm,
            "service": "test-registry",
            "issuer": "test-issuer",
            "bundle": str(bundle),
        }
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_unused: t.Any) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._directory.cleanup()

    def clear(self) -> None:
        """Forget the requests and tokens so far."""
        self.requests.clear()
        self.given.clear()

    def answer(
        self, method: str, fields: dict[str, list[str]], headers: email.message.Message
    ) -> tuple[int, dict[str, t.Any]]:
        """Answer one request, and log it."""
        time.sleep(self.delay)
        with self._lock:
            user, status, content = self._decide(method, fields, headers)
            self.requests.append(TokenRequest(method, user, fields, headers, status))
            return status, content

    def _decide(
        self, method: str, fields: dict[str, list[str]], headers: email.message.Message
    ) -> tuple[str, int, dict[str, t.Any]]:
        if method == "POST" and self.post != 200:
            return "", self.post, {}
        user = self._user_of_form(fields) if method == "POST" else self._user_of_header(headers)
        if user is None:
            return "", 401, {"details": "incorrect username or password"}
        scopes = " ".join(fields.get("scope", [])).split()
        wanted = [_scope(one) for one in scopes]
        if not self.knows_delete and any("delete" in actions for _kind, _name, actions in wanted):
            return user, 400, {"errors": [{"code": "INVALID_REQUEST", "message": "invalid scope"}]}
        if fields.get("service") != [self.settings["service"]]:
            return user, 400, {"details": "unknown service"}
        token = self._sign(user, self._access(user, wanted))
        self.given.append(token)
        names = ("token", "access_token") if self.token_name == "both" else (self.token_name,)
        content: dict[str, t.Any] = dict.fromkeys(names, token)
        if self.announced is not None:
            content["expires_in"] = self.announced
        if fields.get("offline_token") == ["true"] or fields.get("access_type") == ["offline"]:
            content["refresh_token"] = secrets.token_hex(16)
            self.refresh_tokens[content["refresh_token"]] = user
        return user, 200, content

    def _user_of_header(self, headers: email.message.Message) -> str | None:
        """Return the user of a GET, "" for an anonymous one, None for wrong credentials."""
        scheme, _space, packed = headers.get("Authorization", "").partition(" ")
        if not scheme:
            return ""
        try:
            user, _colon, password = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user if scheme == "Basic" and self.users.get(user) == password else None

    def _user_of_form(self, fields: dict[str, list[str]]) -> str | None:
        """Return the user of a POST, or None for wrong credentials. The client has to say what it is."""
        if not fields.get("client_id"):
            return None
        if fields.get("grant_type") == ["refresh_token"]:
            return self.refresh_tokens.get(fields.get("refresh_token", [""])[0])
        user = fields.get("username", [""])[0]
        known = fields.get("grant_type") == ["password"] and user in self.users
        return user if known and fields.get("password") == [self.users[user]] else None

    def _access(self, user: str, wanted: list[tuple[str, str, list[str]]]) -> list[dict[str, t.Any]]:
        """Return the part of the wanted access that the user has a right to."""
        rights = self.rights.get(user, ANYTHING if user else {})
        access = []
        for kind, name, actions in wanted:
            allowed = [
                action
                for pattern, granted in rights.items()
                if fnmatch.fnmatchcase(f"{kind}:{name}", pattern)
                for action in granted.split(",")
            ]
            granted = allowed if "*" in actions else [action for action in actions if action in allowed]
            if granted:
                access.append({"type": kind, "name": name, "actions": granted})
        return access

    def _sign(self, user: str, access: list[dict[str, t.Any]]) -> str:
        now = int(time.time())
        lifetime = self.lifetimes.pop(0) if self.lifetimes else self.lifetime
        claims = {
            "iss": self.settings["issuer"],
            "aud": self.settings["service"],
            "sub": user,
            "iat": now,
            "nbf": min(now, now + lifetime) - 10,
            "exp": now + lifetime,
            "jti": secrets.token_hex(16),
            "access": access,
        }
        header: dict[str, t.Any] = {"typ": "JWT", "alg": self.algorithm}
        if self.key_in == "x5c":
            certificate = _certificate(self.algorithm).public_bytes(Encoding.DER)
            header["x5c"] = [base64.b64encode(certificate).decode()]
        else:
            header["kid"] = _key_id(self.algorithm)
        text = f"{_packed(json.dumps(header).encode())}.{_packed(json.dumps(claims).encode())}"
        return f"{text}.{_packed(_signature(self.algorithm, text.encode()))}"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tokens: TokenServer


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        """Stay silent: ``TokenServer.requests`` is the log."""

    def do_GET(self) -> None:
        path, _mark, query = self.path.partition("?")
        self._answer(path, query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(self.path, body.decode())

    def _answer(self, path: str, query: str) -> None:
        if path != "/token":
            self.send_error(404)
            return
        status, content = self.server.tokens.answer(self.command, urllib.parse.parse_qs(query), self.headers)
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _scope(text: str) -> tuple[str, str, list[str]]:
    """Split ``repository:host:5000/name:pull,push``: a name may hold colons."""
    kind, _colon, rest = text.partition(":")
    name, _colon, actions = rest.rpartition(":")
    return kind, name, actions.split(",")


@functools.lru_cache(maxsize=None)
def _key(algorithm: str) -> Key:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


@functools.lru_cache(maxsize=None)
def _certificate(algorithm: str) -> x509.Certificate:
    key, name = _key(algorithm), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test token service")])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )


def _key_id(algorithm: str) -> str:
    """The key's id as the registry makes it: distribution 2 as libtrust does, later ones by RFC 7638."""
    key = _key(algorithm).public_key()
    if chosen_kind() != "distribution2":
        return _packed(hashlib.sha256(_jwk(key)).digest())
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def _jwk(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    """The public key as the JSON that the registry takes the hash of: its required members, sorted, without spaces."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        members = {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    else:
        point = key.public_numbers()
        # RFC 7518 wants leading zeros, and distribution 3 leaves them out.
        members = {"crv": "P-256", "kty": "EC", "x": _number(point.x), "y": _number(point.y)}
    return json.dumps(members, separators=(",", ":"), sort_keys=True).encode()


def _number(value: int) -> str:
    return _packed(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _signature(algorithm: str, data: bytes) -> bytes:
    key = _key(algorithm)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    # RFC 7518 wants the two numbers themselves, not their ASN.1 form.
    first, second = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return first.to_bytes(32, "big") + second.to_bytes(32, "big")


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""HTTP with one registry: connections, TLS, proxies, redirects, retries, limits; authentication put on; nothing secret shown."""

from __future__ import annotations

import email.utils
import http.client
import io
import math
import os
import random
import re
import ssl
import threading
import time
import traceback
import typing as t
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

from .._errors import (
    InvalidInput,
    ProtocolError,
    RateLimited,
    RegistryError,
    TlsFailure,
    Unreachable,
    printable,
    without_secrets,
)
from .._oci.reference import Endpoint, is_loopback
from .._oci.verified_reader import BytesReader
from .._parallel import check_stopped, sleep
from .address_guard import AddressGuard, guarded
from .auth import Answer, Authorizer, parse_challenges, wanted_access
from .credentials import Credentials
from .origin import Origin, check_hop, origin_of, resolve, safe_url

REQUESTS_IMPORT_ERROR: str | None = None
try:
    import requests
    import requests.adapters
    import urllib3
except ImportError:
    REQUESTS_IMPORT_ERROR = traceback.format_exc()
    _ADAPTER: t.Any = object
    _FAULTS: tuple[type[BaseException], ...] = ()
else:
    _ADAPTER = requests.adapters.HTTPAdapter
    _FAULTS = (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
    )

USER_AGENT = "ocikit.registry/1.0.0"
BODY_LIMIT = 16 << 20
SMALL_LIMIT = 1 << 20
BLOCK = 1 << 20
_RETRIED = frozenset((408, 429, 500, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MAX_HOPS = 5
_MAX_ANSWERS = 2
_FIRST_PAUSE = 0.5
_MAX_PAUSE = 30.0
_MAX_RETRY_AFTER = 60.0
_COURTESY_TIMEOUT = 2.0


@dataclass(frozen=True)
class TransportOptions:
    """How to connect. Times are in seconds; ``retries`` counts the tries after the first."""

    validate_certs: bool = True
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    retries: int = 4
    concurrency: int = 8
    trusted_realms: tuple[str, ...] = ()


class Response:
    """One final answer; header names are case-insensitive.

    ``body`` holds the content, ``stream`` reads it where the request asked for a stream.
    """

    def __init__(self, raw: t.Any, method: str, url: str, attempts: int, body: bytes = b"") -> None:
        self._raw = raw
        self.status: int = raw.status_code
        self.headers: t.Mapping[str, str] = raw.headers
        self.method = method
        self.url = url
        self.attempts = attempts
        self.body = body
        self.stream: io.RawIOBase = BytesReader(body)

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def header_values(self, name: str) -> list[str]:
        """Return each header called ``name`` by itself: ``headers`` joins repeated ones."""
        return list(self._raw.raw.headers.getlist(name))

    def close(self) -> None:
        """Give the connection up: what is left of the body is not read."""
        self._raw.close()


class _ResponseStream(io.RawIOBase):
    """The body of a response as it was sent, without decoding. Reading raises Unreachable."""

    def __init__(self, raw: t.Any, method: str, url: str) -> None:
        self._raw = raw
        self._method = method
        self._url = url

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        try:
            chunk = self._raw.raw.read(len(buffer), decode_content=False)
        except _FAULTS as error:
            raise _fault(error, self._method, self._url) from error
        buffer[: len(chunk)] = chunk
        return len(chunk)


@dataclass(frozen=True)
class Body:
    """What is uploaded: its size in bytes, and a function that opens it at its start, called for each try."""

    size: int
    open: t.Callable[[], io.RawIOBase]

    @classmethod
    def of(cls, content: bytes) -> Body:
        """Return ``content`` as a body."""
        return cls(len(content), lambda: BytesReader(content))


@dataclass
class Request:
    """One request. ``repeatable`` says whether sending it twice does no more than sending it once.

    A ``courtesy`` is tried once, for a short time, and by a thread that was stopped as well. ``guard`` is called right
    before each time that the request is sent, repetitions included: what it raises ends the request.
    """

    method: str
    url: str
    scopes: t.Sequence[str] = ()
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body | None = None
    stream: bool = False
    limit: int = BODY_LIMIT
    repeatable: bool = True
    follow: bool = True
    courtesy: bool = False
    guard: t.Callable[[], None] | None = None


class _Adapter(_ADAPTER):
    """Connects within ``reach``, and sends uploads in large blocks: urllib3's own are of 16 KiB."""

    def __init__(self, reach: AddressGuard, **more: t.Any) -> None:
        self._reach = reach
        super().__init__(**more)

    def init_poolmanager(self, *args: t.Any, **kwargs: t.Any) -> None:
        if "key_blocksize" in urllib3.poolmanager.PoolKey._fields:
            kwargs["blocksize"] = BLOCK
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = guarded(
            self.poolmanager.pool_classes_by_scheme, self._reach
        )


class Transport:
    """Sends requests to one registry, and where it redirects to, over one pool of connections. Safe for threads.

    Neither redirects, cookies, netrc nor environment of ``requests`` are used: its rules for where credentials go are
    not ours.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: TransportOptions,
        credentials: t.Callable[[str], Credentials],
        log: t.Callable[[str], None] | None = None,
        hide: t.Callable[[str], None] | None = None,
        secrets: t.Callable[[], t.Iterable[str]] = tuple,
    ) -> None:
        """``hide`` is told every token; ``secrets`` gives all that was hidden so far."""
        self.origin = Origin(endpoint.scheme, endpoint.host.strip("[]"), endpoint.port)
        self._base = endpoint.base
        self._options = options
        self._log = log
        self._secrets = secrets
        _check_proxy(options.proxy)
        self._verify = _verify(options)
        self._cert = _client_cert(options)
        self._session = requests.Session()
        self._session.trust_env = False
        # Even where it does not follow a redirect, requests looks where it leads, and reads all of its body for that.
        self._session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
        self._session.headers.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.reach = AddressGuard(self.origin, options.trusted_realms)
        adapter = _Adapter(self.reach, pool_maxsize=max(options.concurrency, 1), max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._authorizer = Authorizer(
            self.origin,
            credentials,
            self._fetch_token,
            options.trusted_realms,
            hide=hide,
            depth=lambda: self.reach.depth,
        )
        self._lock = threading.Lock()
        self._resume_at: dict[str, float] = {}
        self._proxies: dict[Origin, dict[str, str]] = {}

    def close(self) -> None:
        self._session.close()

    @property
    def authentication(self) -> str | None:
        """The scheme by which the registry asked for credentials: ``basic``, ``bearer``, or None if it did not."""
        return self._authorizer.scheme

    def send(self, request: Request) -> Response:
        """Send ``request`` and return the final answer, whatever its status.

        A 401 of the registry itself is answered with credentials. Raises Unauthorized, Unreachable, TlsFailure,
        UnsafeTarget, RateLimited and ProtocolError (a body over the limit).
        """
        at_home = check_hop(self.origin, request.url, "address", self.reach.depth) == self.origin
        authorization = self._authorizer.header(request.scopes) if at_home else None
        answered: set[tuple[str, frozenset[str]]] = set()
        for answers in range(_MAX_ANSWERS + 1):
            response = self._follow(request, authorization)
            if response.status != 401 or answers == _MAX_ANSWERS or origin_of(response.url) != self.origin:
                break
            challenges = parse_challenges(response.header_values("WWW-Authenticate"))
            if not challenges:
                # Some registries say how to authenticate at the base of their API only.
                base = self._follow(Request("GET", self._base), None)
                challenges = parse_challenges(base.header_values("WWW-Authenticate"))
            wanted = wanted_access(challenges)
            # A fresh token that is refused is a matter of rights; only a challenge for more scope is worth a try.
            if answers and wanted == answered and str(authorization).startswith("Bearer "):
                break
            answered = wanted
            authorization = self._authorizer.answer(challenges, request.scopes, authorization)
        return response

    def _follow(self, request: Request, authorization: str | None) -> Response:
        """Send, and follow redirects of reads. Another origin sees no credentials."""
        url, method = request.url, request.method
        for _hop in range(_MAX_HOPS + 1):
            own = authorization if origin_of(url) == self.origin else None
            response = self._retry(request, method, url, own)
            location = response.headers.get("Location")
            if not request.follow or response.status not in _REDIRECTS or not location:
                return response
            if method not in ("GET", "HEAD"):
                return response
            url = resolve(url, location, "redirect", self.reach.depth)
        raise ProtocolError(
            f"{safe_url(request.url)} redirects more than {_MAX_HOPS} times.", url=safe_url(request.url)
        )

    def _retry(self, request: Request, method: str, url: str, authorization: str | None) -> Response:
        tries = 1 if request.courtesy else self._options.retries + 1
        # Whatever was too much for the registry was not done, so that much can always be sent again.
        retried = _RETRIED if request.repeatable else frozenset((429,))
        host = origin_of(url).host
        for attempt in range(1, tries + 1):
            if not request.courtesy:
                self._wait(host)
            try:
                response = self._exchange(request, method, url, authorization, attempt)
            except Unreachable:
                if attempt == tries or not request.repeatable:
                    raise
                self._pause(host, attempt, None)
                continue
            if response.status not in retried or attempt == tries:
                return response
            asked = retry_after(response.headers.get("Retry-After"))
            if asked is not None and asked > _MAX_RETRY_AFTER:
                raise RateLimited(
                    f"{host} asks to come back in {asked:.0f} seconds (HTTP {response.status}): run this later.",
                    status=response.status,
                    method=method,
                    url=safe_url(url),
                )
            self._pause(host, attempt, asked)
        raise AssertionError("a request is tried at least once")

    def _wait(self, host: str) -> None:
        with self._lock:
            delay = self._resume_at.get(host, 0.0) - time.monotonic()
        check_stopped()
        if delay > 0:
            sleep(delay)

    def _pause(self, host: str, attempt: int, asked: float | None) -> None:
        """Hold all requests to ``host`` back: those under way in other threads meet the same trouble."""
        pause = min(_FIRST_PAUSE * 2 ** (attempt - 1), _MAX_PAUSE) * random.uniform(0.9, 1.1)
        resume_at = time.monotonic() + (pause if asked is None else asked)
        with self._lock:
            self._resume_at[host] = max(self._resume_at.get(host, 0.0), resume_at)

    def _exchange(
        self, request: Request, method: str, url: str, authorization: str | None, attempt: int = 1
    ) -> Response:
        if request.guard:
            request.guard()
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        if authorization:
            headers["Authorization"] = authorization
        started = time.monotonic()
        status: object = "failed"
        body = request.body
        source: io.RawIOBase | None = None
        data = body if isinstance(body, bytes) else None
        if isinstance(body, Body):
            headers["Content-Length"] = str(body.size)
        try:
            prepared = self._session.prepare_request(
                requests.Request(method, url, headers=headers, data=data)
            )
            if isinstance(body, Body):
                # Given to requests earlier it would be measured, and sent in its own way.
                prepared.body = source = body.open()  # type: ignore[assignment]
            # requests spells URLs anew, but a server that signed a path or query compares bytes.
            prepared.url = url if url.isascii() else prepared.url
            answer = self._session.send(
                prepared,
                stream=True,
                allow_redirects=False,
                timeout=self._timeouts(request),
                verify=self._verify,
                cert=self._cert if origin_of(url) == self.origin else None,
                proxies=self._proxies_for(url),
            )
            status = answer.status_code
            response = Response(answer, method, url, attempt)
            if status == 416:
                # Never read: distribution 2.8 announces a body that it does not send.
                answer.close()
            elif request.stream and status in (200, 206):
                response.stream = _ResponseStream(answer, method, url)
            else:
                response.body = _read(answer, url, request.limit if status < 400 else SMALL_LIMIT)
                if status >= 400:
                    quoted = headers.get("Authorization", "").rpartition(" ")[2]
                    response.body = _unquoted(response.body, {quoted, *self._secrets()} - {""})
            return response
        except RegistryError:
            raise
        except _FAULTS as error:
            raise _fault(error, method, url, self._options) from error
        finally:
            if source is not None:
                source.close()
            if self._log:
                self._log(f"{method} {safe_url(url)} {status} {(time.monotonic() - started) * 1000:.0f} ms")

    def _timeouts(self, request: Request) -> tuple[float, float]:
        most = _COURTESY_TIMEOUT if request.courtesy else math.inf
        return min(self._options.connect_timeout, most), min(self._options.read_timeout, most)

    def _fetch_token(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer:
        """Send a token request. A redirect is not followed: it could carry the credentials anywhere."""
        response = self._retry(
            Request(
                method, url, headers={"Accept": "application/json", **headers}, body=body, limit=SMALL_LIMIT
            ),
            method,
            url,
            None,
        )
        return Answer(response.status, response.body)

    def _proxies_for(self, url: str) -> dict[str, str]:
        origin = origin_of(url)
        if origin not in self._proxies:
            if self._options.proxy:
                found = {"http": self._options.proxy, "https": self._options.proxy}
            elif is_loopback(origin.host):
                found = {}
            else:
                found = requests.utils.get_environ_proxies(url, no_proxy=None)
            self._proxies[origin] = found
        return self._proxies[origin]


def number(text: str | None) -> int | None:
    """Return the number that a header such as ``Content-Length`` holds, or None for anything else."""
    return int(text) if text and re.match(r"[0-9]{1,18}\Z", text) else None


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for (a number or an HTTP date), or None if it says nothing."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        current = datetime.fromtimestamp(time.time() if now is None else now, timezone.utc)
        seconds = (moment - current).total_seconds()
    return None if math.isnan(seconds) else max(0.0, seconds)


def _read(answer: t.Any, url: str, limit: int) -> bytes:
    """Read a whole body of at most ``limit`` bytes, undoing gzip where the server insists on it."""
    chunks, size, received = [], 0, 0
    inflate = (
        zlib.decompressobj(wbits=31) if answer.headers.get("Content-Encoding", "").lower() == "gzip" else None
    )
    while max(size, received) <= limit:
        chunk = answer.raw.read(1 << 16, decode_content=False)
        if not chunk:
            break
        received += len(chunk)
        if inflate:
            try:
                chunk = inflate.decompress(chunk, limit + 1 - size)
            except zlib.error:
                raise ProtocolError(
                    f"The gzip encoding of {safe_url(url)} is broken.", url=safe_url(url)
                ) from None
        chunks.append(chunk)
        size += len(chunk)
    if max(size, received) > limit:
        answer.close()
        raise ProtocolError(f"The answer of {safe_url(url)} is larger than {limit} bytes.", url=safe_url(url))
    promised = number(answer.headers.get("Content-Length")) or 0
    if received < promised and answer.request.method != "HEAD" and answer.status_code not in (204, 304):
        # urllib3 before 2.0 takes this for the end.
        raise http.client.IncompleteRead(b"", promised - received)
    return b"".join(chunks)


def _unquoted(body: bytes, secrets: t.Iterable[str]) -> bytes:
    """Take out of an error what it quotes of ``secrets``: messages are cut, and nobody knows half a secret again."""
    text = body.decode("utf-8", "surrogateescape")
    return without_secrets(text, secrets).encode("utf-8", "surrogateescape")


def _check_proxy(proxy: str | None) -> None:
    try:
        parts = urlsplit(proxy or "http://none")
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise InvalidInput("proxy must be a URL such as http://proxy.example.com:3128.")


def _verify(options: TransportOptions) -> bool | str:
    if not options.validate_certs:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return False
    if options.ca_path:
        if not os.path.exists(options.ca_path):
            raise InvalidInput(f"ca_path {options.ca_path!r} does not exist on the host that runs this task.")
        return options.ca_path
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if os.path.exists(os.environ.get(name, "")):
            return os.environ[name]
    return True


def _client_cert(options: TransportOptions) -> str | tuple[str, str] | None:
    if options.client_key and not options.client_cert:
        raise InvalidInput("client_key needs client_cert.")
    for name in ("client_cert", "client_key"):
        path = getattr(options, name)
        if path and not os.path.exists(path):
            raise InvalidInput(f"{name} {path!r} does not exist on the host that runs this task.")
    if options.client_cert and options.client_key:
        return (options.client_cert, options.client_key)
    return options.client_cert


def _fault(
    error: BaseException, method: str, url: str, options: TransportOptions | None = None
) -> RegistryError:
    """Say what went wrong below HTTP, in one sentence, with what to do."""
    origin = origin_of(url)
    where: dict[str, t.Any] = {"method": method, "url": safe_url(url)}
    place = f"{origin.host}:{origin.port}"
    cause = _cause(error)
    text = str(cause)
    proxy = " through the proxy" if isinstance(error, requests.exceptions.ProxyError) else ""
    if isinstance(error, requests.exceptions.InvalidURL):
        return ProtocolError(f"{safe_url(url)} cannot be requested: it is not a valid address.", **where)
    if isinstance(error, (requests.exceptions.InvalidHeader, urllib3.exceptions.InvalidHeader)):
        return ProtocolError(f"{place} sent headers that contradict each other.", **where)
    over_tls = isinstance(error, requests.exceptions.SSLError) or isinstance(cause, ssl.SSLError)
    if over_tls and not isinstance(cause, ssl.SSLEOFError):
        return TlsFailure(f"TLS with {place} failed{proxy}: {_tls_reason(text)}", **where)
    if isinstance(error, requests.exceptions.ConnectTimeout) and options:
        return Unreachable(
            f"{place} did not accept a connection{proxy} within {options.connect_timeout:g} seconds.", **where
        )
    if (
        isinstance(error, (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError))
        or "timed out" in text
    ):
        return Unreachable(f"{place} did not answer{proxy} in time (read_timeout).", **where)
    for sign, sentence in _REASONS:
        if sign in text:
            return Unreachable(f"{place}{proxy}: {sentence}", **where)
    return Unreachable(f"The connection with {place}{proxy} broke: {type(cause).__name__}.", **where)


def _cause(error: BaseException) -> BaseException:
    """Return the exception at the bottom: the texts of those above it hold URLs with their queries."""
    inner = [getattr(error, "reason", None), *error.args]
    found = next((one for one in inner if isinstance(one, BaseException)), None)
    return _cause(found) if found else error


_REASONS = (
    (
        "Temporary failure in name resolution",
        "the name cannot be resolved at present: check the DNS of the host.",
    ),
    (
        "Failed to resolve",
        "the name cannot be resolved: check its spelling and the DNS of the host that runs this task.",
    ),
    ("Name or service not known", "the name cannot be resolved: check its spelling and the DNS of the host."),
    (
        "Connection refused",
        "the connection was refused: check that the registry runs and that the port is right.",
    ),
    ("No route to host", "there is no route to the host."),
    ("Network is unreachable", "the network is unreachable."),
    ("Tunnel connection failed: 407", "the proxy wants credentials: write them in the proxy's URL."),
)


def _tls_reason(text: str) -> str:
    lowered = text.lower()
    if "wrong version number" in lowered or "record layer failure" in lowered or "http_request" in lowered:
        return "it speaks plain HTTP: set plain_http to true, or write http:// in the option registry."
    if "self-signed" in lowered or "self signed" in lowered or "unable to get" in lowered:
        return "its certificate is not signed by a trusted authority: set ca_path to the authority's certificate."
    if "hostname mismatch" in lowered or "doesn't match" in lowered or "not valid for" in lowered:
        return "its certificate is for another host name."
    if "certificate has expired" in lowered:
        return "its certificate has expired."
    if "certificate required" in lowered or "handshake failure" in lowered or "bad certificate" in lowered:
        return "it wants a client certificate: set client_cert and client_key."
    if "no certificate or crl found" in lowered or "pem lib" in lowered or "[x509" in lowered:
        return "ca_path, client_cert or client_key is not a usable PEM file."
    return printable(text, 200)

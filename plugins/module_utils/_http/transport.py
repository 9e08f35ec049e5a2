# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""HTTP with one registry: connections, TLS, proxies, redirects, retries, limits; authentication put on; nothing secret shown."""

from __future__ import annotations

import contextlib
import email.utils
import functools
import http.client
import io
import math
import random
import re
import threading
import time
import traceback
import typing as t
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .._errors import (
    ProtocolError,
    RateLimited,
    RegistryError,
    TlsFailure,
    Unreachable,
    UnsafeTarget,
    printable,
)
from .._oci.reference import Endpoint
from .._oci.verified_reader import BytesReader, blocks_of
from .._parallel import check_stopped, sleep, slow_down
from .._secrets import Secrets
from .address_guard import AddressGuard
from .auth import Answer, AskBase, Auth, Flow, TokenRequest, scope
from .connections import Connections
from .credentials import Credentials
from .faults import FAULTS, fault, tls_advice, wants_tls
from .library_versions import too_old
from .origin import REDIRECTS, Origin, origin_of, safe_url
from .proxies import check_proxy, environment_proxy, proxy_secrets
from .rate_limits import RateLimit, read_rate_limit
from .tls import TlsContexts

# urllib3 comes with requests, which itself is not loaded: that takes longer than all else that it would do for a request.
REQUESTS_IMPORT_ERROR: str | None = None
try:
    import urllib3
except ImportError:
    REQUESTS_IMPORT_ERROR = traceback.format_exc()
else:
    REQUESTS_IMPORT_ERROR = too_old(urllib3)

USER_AGENT = "ocikit.registry/1.0.0"
BODY_LIMIT = 16 << 20
SMALL_LIMIT = 1 << 20
_RETRIED = frozenset((408, 429, 500, 502, 503, 504))
_OVERLOADED = frozenset((429, 503))
_MAX_HOPS = 5
_WARNING_LIMIT = 4096
_FIRST_PAUSE = 0.5
_MAX_PAUSE = 30.0
_MAX_RETRY_AFTER = 60.0
_COURTESY_TIMEOUT = 2.0
_NUMBER = re.compile(r"[0-9]{1,18}\Z")


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
    concurrency: int = 32
    trusted_realms: tuple[str, ...] = ()
    # What stands before the names of options in messages, such as "destination.".
    prefix: str = ""


class Response:
    """One answer; header names are case-insensitive.

    ``body`` holds the content, ``stream`` reads it where the request asked for a stream. ``credentials`` are those that
    there are for the request, and ``authenticated`` tells whether they were used; ``redirected``, whether another origin
    than the registry answered. Texts in it are shown by masked() only.
    """

    def __init__(
        self,
        raw: t.Any,
        method: str,
        url: str,
        attempts: int,
        body: bytes = b"",
        secrets: Secrets | None = None,
        option_prefix: str = "",
    ) -> None:
        self._raw = raw
        self.status: int = raw.status
        self.headers: t.Mapping[str, str] = raw.headers
        self.method = method
        self.url = url
        self.attempts = attempts
        self.body = body
        self.stream: io.RawIOBase = BytesReader(body)
        self.credentials = Credentials()
        self.authenticated = self.redirected = False
        self.option_prefix = option_prefix
        self._secrets = secrets or Secrets()

    def masked(self, text: object, limit: int = 500) -> str:
        """Return text of this answer as one line of at most ``limit`` characters without secrets."""
        return printable(self._secrets.mask(str(text)), limit)

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty where there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def header_values(self, name: str) -> list[str]:
        """Return each header called ``name`` by itself: ``headers`` joins repeated ones."""
        return list(self._raw.headers.getlist(name))

    def close(self) -> None:
        """Give the connection up: what is left of the body is not read."""
        _give_up(self._raw)


class _ResponseStream(io.RawIOBase):
    """The body of a response as it was sent, without decoding. Reading raises Unreachable."""

    def __init__(self, raw: t.Any, method: str, url: str) -> None:
        self._raw = raw
        self._method = method
        self._url = url

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        # urllib3's own way copies each byte twice more.
        answer = self._raw._original_response
        try:
            count = t.cast(int, answer.readinto(buffer))
        except FAULTS as error:
            _give_up(self._raw)
            raise fault(error, self._method, self._url) from error
        if answer.isclosed():
            self._raw.release_conn()
        return count


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
    """One request, with the credentials for ``repository`` (the empty name: for the registry itself) and ``scopes``.

    ``repeatable`` says whether sending it twice does no more than sending it once.

    A ``courtesy`` is tried once, for a short time, and by a thread that was stopped as well. ``guard`` is called right
    before each time that the request is sent, repetitions included: what it raises ends the request.
    """

    method: str
    url: str
    repository: str = ""
    scopes: t.Sequence[str] = ()
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body | None = None
    stream: bool = False
    limit: int = BODY_LIMIT
    repeatable: bool = True
    follow: bool = True
    courtesy: bool = False
    guard: t.Callable[[], None] | None = None


class _Exchange(t.NamedTuple):
    """One request as it is sent once: to ``url``, which may be that of a redirect, for the ``attempt``-th time."""

    request: Request
    method: str
    url: str
    authorization: str | None
    attempt: int = 1


_Exchanges = t.Generator[_Exchange, Response, Response]


class Transport:
    """Sends requests to one registry, and where it redirects to, over one pool of connections. Safe for threads.

    What is sent is decided by generators, for redirects, authentication and repetitions: they yield each exchange, and
    send() carries it out. urllib3 neither repeats nor follows anything: its rules for where credentials go are not ours.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: TransportOptions,
        credentials: t.Callable[[str], Credentials],
        secrets: Secrets,
        log: t.Callable[[str], None] | None = None,
        warn: t.Callable[[str], None] | None = None,
    ) -> None:
        """``credentials`` finds those for a repository (the empty name: for the registry itself).

        ``log`` is given a line for each exchange, ``warn`` each distinct warning of the registry. Raises InvalidInput.
        """
        self.origin = Origin(endpoint.scheme, endpoint.host.strip("[]"), endpoint.port)
        self.guard = AddressGuard(self.origin, options.trusted_realms, options.prefix)
        self._endpoint = endpoint
        self._options = options
        self._credentials = credentials
        self._secrets = secrets
        self._log = log
        self._warn = warn
        self._warned: set[str] = set()
        # What the registry last said of how much it allows, None where it never did.
        self.rate_limit: RateLimit | None = None
        # By repository, the actions that the task will need.
        self._expected: dict[str, dict[str, None]] = {}
        if options.proxy:
            check_proxy(options.proxy, f"{options.prefix}proxy")
        tls = TlsContexts(
            options.validate_certs,
            options.ca_path,
            options.client_cert,
            options.client_key,
            options.prefix,
        )
        if not options.validate_certs:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._connections = Connections(
            self.origin,
            self.guard,
            tls,
            options.read_timeout,
            options.validate_certs,
            max(options.concurrency, 1),
        )
        self._auth: dict[Origin, Auth] = {}
        self._lock = threading.Lock()
        self._resume_at: dict[str, float] = {}
        self._proxies: dict[Origin, str] = {}

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def adopt(
        self,
        credentials: t.Callable[[str], Credentials],
        secrets: Secrets,
        log: t.Callable[[str], None] | None = None,
        warn: t.Callable[[str], None] | None = None,
    ) -> None:
        """Go on for another task with the same options: connections, challenges and tokens stay.

        The arguments are those of the constructor; ``secrets`` learn the tokens.
        """
        self._credentials, self._secrets, self._log, self._warn = credentials, secrets, log, warn
        self._warned, self._expected, self._proxies = set(), {}, {}
        for auth in self._auth.values():
            auth.adopt(secrets)

    def expect(self, repository: str, *actions: str) -> None:
        """Say that the task will need ``actions`` on ``repository``, so that a token can be asked for that once."""
        with self._lock:
            self._expected.setdefault(repository, {}).update(dict.fromkeys(actions))

    def _scopes_ahead(self, credentials: Credentials) -> list[str]:
        """Return the scopes that the task is expected to need with ``credentials``."""
        with self._lock:
            expected = {name: tuple(actions) for name, actions in self._expected.items()}
        return [
            scope(name, *actions)
            for name, actions in expected.items()
            if self._credentials(name) == credentials
        ]

    @property
    def authentication(self) -> str | None:
        """The scheme by which the registry asked for credentials: ``basic``, ``bearer``, or None if it did not."""
        return self._auth_for(self.origin).scheme

    @property
    def read_timeout(self) -> float:
        """How many seconds an answer may be silent."""
        return self._options.read_timeout

    def send(self, request: Request) -> Response:
        """Send ``request`` and return the final answer, whatever its status.

        Raises:
            Unauthorized: the registry or its token service does not accept the credentials, or needs some.
            Unreachable, TlsFailure: there was no answer, also after the retries.
            UnsafeTarget: a redirect or a token service leads where nothing must be sent.
            RateLimited: the registry asks for a pause that is too long.
            ProtocolError: the answer is too large or malformed.
        """
        exchanges = self._follow(request)
        with contextlib.closing(exchanges):
            step = functools.partial(next, exchanges)
            while True:
                try:
                    exchange = step()
                except StopIteration as end:
                    self._report_warnings(end.value)
                    self._note_rate_limit(end.value)
                    return t.cast(Response, end.value)
                try:
                    step = functools.partial(exchanges.send, self._exchange(exchange))
                except BaseException as error:
                    step = functools.partial(exchanges.throw, error)

    # What is sent

    def _follow(self, request: Request) -> _Exchanges:
        """Send, and follow redirects of reads. Another origin sees no credentials."""
        url = request.url
        credentials = self._credentials(request.repository)
        given = self.guard.check(self.origin, url, "address")
        for _hop in range(_MAX_HOPS + 1):
            origin = origin_of(url)
            if origin == self.origin:
                ahead = functools.partial(self._scopes_ahead, credentials)
                flow = self._auth_for(origin).flow(request.scopes, credentials, time.monotonic(), ahead)
                response = yield from self._run(flow, request, url)
            elif origin == given:
                response = yield from self._repeat(request, request.method, url, None)
            else:
                # Another registry may give its tokens to anybody.
                flow = self._auth_for(origin).anonymous_flow(time.monotonic())
                response = yield from self._run(flow, request, url)
            response.credentials = credentials
            response.redirected = origin != self.origin
            response.authenticated &= origin == self.origin and not credentials.anonymous
            location = response.headers.get("Location")
            if not request.follow or response.status not in REDIRECTS or not location:
                return response
            if request.method not in ("GET", "HEAD"):
                return response
            url = self._redirect(url, location, credentials)
        raise ProtocolError(
            f"{safe_url(request.url)} redirects more than {_MAX_HOPS} times.", url=safe_url(request.url)
        )

    def _redirect(self, url: str, location: str, credentials: Credentials) -> str:
        """Return where a redirect of ``url`` leads. Raises UnsafeTarget where the credentials are meant to go along."""
        target = self.guard.resolve(url, location, "redirect")
        source, destination = origin_of(url), origin_of(target)
        secure = (source.scheme, destination.scheme) == ("http", "https") and source.host == destination.host
        if source == self.origin and secure and not credentials.anonymous:
            raise UnsafeTarget(
                f"{source} redirects to {destination.url}, and the credentials from {credentials.source} are sent only"
                f" to the address that they are for: write {destination.url} in the option"
                f" {self._options.prefix}registry."
            )
        return target

    def _run(self, flow: Flow[None], request: Request, url: str) -> _Exchanges:
        """Carry out what authentication asks for, and return the last answer to the request itself."""
        response: Response | None = None
        with contextlib.closing(flow):
            step = functools.partial(next, flow)
            while True:
                try:
                    asked = step()
                except StopIteration:
                    if response is None:
                        raise AssertionError("A flow sends its request before it ends.") from None
                    return response
                except RegistryError as error:
                    if response:
                        error.add_request(response.status, request.method, safe_url(url))
                    raise
                try:
                    if isinstance(asked, TokenRequest):
                        answer = yield from self._ask_service(asked)
                    elif isinstance(asked, AskBase):
                        answer = yield from self._ask_base(self._credentials(request.repository))
                    else:
                        answer = response = yield from self._repeat(
                            request, request.method, url, asked.authorization
                        )
                        response.authenticated = asked.authorization is not None
                except BaseException as error:
                    step = functools.partial(flow.throw, error)
                else:
                    step = functools.partial(flow.send, self._answer(answer))

    def _answer(self, response: Response) -> Answer:
        return Answer(
            response.status,
            response.body,
            response.header_values("WWW-Authenticate"),
            response.headers.get("Location"),
            time.monotonic(),
            origin_of(response.url) != self.origin or response.status in REDIRECTS,
        )

    def _ask_service(self, asked: TokenRequest) -> _Exchanges:
        headers = {"Accept": "application/json", **asked.headers}
        request = Request(asked.method, asked.url, headers=headers, body=asked.body, limit=SMALL_LIMIT)
        return (yield from self._repeat(request, asked.method, asked.url, None))

    def _ask_base(self, credentials: Credentials) -> _Exchanges:
        """GET the base of the API without credentials, following redirects within the registry's own origin."""
        request = Request("GET", self._endpoint.base, limit=SMALL_LIMIT)
        url = request.url
        for _hop in range(_MAX_HOPS):
            response = yield from self._repeat(request, "GET", url, None)
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or not location:
                break
            url = self._redirect(url, location, credentials)
            if origin_of(url) != self.origin:
                break
        if wants_tls(response.body):
            raise TlsFailure(
                f"{self.origin} answered HTTP {response.status} ({tls_advice(self._options.prefix)}).",
                status=response.status,
                method="GET",
                url=safe_url(url),
            )
        return response

    def _repeat(self, request: Request, method: str, url: str, authorization: str | None) -> _Exchanges:
        """Send one request as often as its retries allow."""
        tries = 1 if request.courtesy else self._options.retries + 1
        # Whatever was too much for the registry was not done, so that much can always be sent again.
        retried = _RETRIED if request.repeatable else frozenset((429,))
        origin = origin_of(url)
        for attempt in range(1, tries + 1):
            if not request.courtesy:
                self._wait(origin.host)
            try:
                response = yield _Exchange(request, method, url, authorization, attempt)
            except Unreachable:
                if attempt == tries or not request.repeatable:
                    raise
                self._pause(origin.host, attempt, None)
                continue
            if response.status not in retried or attempt == tries:
                return response
            if response.status in _OVERLOADED:
                slow_down()
            asked = retry_after(response.headers.get("Retry-After"))
            if asked is not None and asked > _MAX_RETRY_AFTER:
                raise RateLimited(
                    f"{origin} asks to come back in {asked:.0f} seconds (HTTP {response.status}): run this later.",
                    status=response.status,
                    method=method,
                    url=safe_url(url),
                    retry_after=asked,
                )
            self._pause(origin.host, attempt, asked)
        raise AssertionError("a request is tried at least once")

    def _auth_for(self, origin: Origin) -> Auth:
        with self._lock:
            if origin not in self._auth:
                self._auth[origin] = Auth(
                    origin, self.guard, self._secrets, self._options.trusted_realms, self._options.prefix
                )
            return self._auth[origin]

    def _report_warnings(self, response: Response) -> None:
        """Pass on each distinct ``Warning: 299`` (distribution-spec, "Warnings")."""
        for value in response.header_values("Warning") if self._warn else ():
            warning = re.match(r'299 - "((?:[^"\\]|\\.)*)"\Z', value[:_WARNING_LIMIT])
            text = re.sub(r"\\(.)", r"\1", warning.group(1)) if warning else ""
            with self._lock:
                new = text not in self._warned
                self._warned.add(text)
            if text and new and self._warn:
                self._warn(f"{self._endpoint.name} warns: {response.masked(text)}")

    def _note_rate_limit(self, response: Response) -> None:
        if not response.redirected:
            self.rate_limit = read_rate_limit(response.headers, time.time()) or self.rate_limit

    # Sending

    def _wait(self, host: str) -> None:
        with self._lock:
            delay = self._resume_at.get(host, 0.0) - time.monotonic()
        check_stopped()
        if delay > 0:
            sleep(delay)

    def _pause(self, host: str, attempt: int, asked: float | None) -> None:
        """Hold all requests to ``host`` back: those under way in other threads would fail in the same way."""
        pause = min(_FIRST_PAUSE * 2 ** (attempt - 1), _MAX_PAUSE) * random.uniform(0.9, 1.1)
        resume_at = time.monotonic() + (pause if asked is None else asked)
        with self._lock:
            self._resume_at[host] = max(self._resume_at.get(host, 0.0), resume_at)

    def _exchange(self, exchange: _Exchange) -> Response:
        """Send one request once, and return its answer. Raises Unreachable, TlsFailure, UnsafeTarget and ProtocolError."""
        request, method, url, authorization, attempt = exchange
        if request.guard:
            request.guard()
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        if authorization:
            headers["Authorization"] = authorization
        started = time.monotonic()
        status: t.Any = "failed"
        body = request.body
        source: io.RawIOBase | None = None
        try:
            content: bytes | t.Iterator[memoryview] | None = None
            size = 0
            if isinstance(body, Body):
                source = body.open()
                content, size = blocks_of(source, body.size), body.size
            elif body:
                content, size = body, len(body)
            if content or method not in ("GET", "HEAD"):
                headers["Content-Length"] = str(size)
            answer = self._connections.open(
                method, url, headers, content, self._timeouts(request), self._proxy_for(url)
            )
            status = answer.status
            response = Response(
                answer, method, url, attempt, secrets=self._secrets, option_prefix=self._options.prefix
            )
            if status == 416:
                # Never read: distribution 2.8 announces a body that it does not send.
                _give_up(answer)
            elif request.stream and status in (200, 206):
                response.stream = _ResponseStream(answer, method, url)
            else:
                response.body = _read(answer, method, url, request.limit if status < 400 else SMALL_LIMIT)
            return response
        except RegistryError:
            raise
        except FAULTS as error:
            raise fault(error, method, url, self._options.connect_timeout, self._options.prefix) from error
        finally:
            if source is not None:
                source.close()
            if self._log:
                self._log(f"{method} {safe_url(url)} {status} {(time.monotonic() - started) * 1000:.0f} ms")

    def _timeouts(self, request: Request) -> tuple[float, float]:
        most = _COURTESY_TIMEOUT if request.courtesy else math.inf
        return min(self._options.connect_timeout, most), min(self._options.read_timeout, most)

    def _proxy_for(self, url: str) -> str:
        """Return the URL of the proxy, the empty string for none."""
        origin = origin_of(url)
        if origin not in self._proxies:
            proxy = self._options.proxy or environment_proxy(origin) or ""
            self._secrets.add(*proxy_secrets(proxy))
            self._proxies[origin] = proxy
        return self._proxies[origin]


def _give_up(answer: t.Any) -> None:
    """Close the connection of ``answer``, whose body is not read to its end."""
    answer.close()
    answer.release_conn()


def number(text: str | None) -> int | None:
    """Return the number that a header such as ``Content-Length`` holds, or None for anything else."""
    return int(text) if text and _NUMBER.match(text) else None


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


def _read(answer: t.Any, method: str, url: str, limit: int) -> bytes:
    """Read a whole body of at most ``limit`` bytes, undoing gzip where the server insists on it."""
    if method == "HEAD":
        # There is nothing to read, and urllib3's own way to find that out takes longer.
        answer._original_response.close()
        answer.release_conn()
        return b""
    chunks, size, received = [], 0, 0
    inflate = (
        zlib.decompressobj(wbits=31) if answer.headers.get("Content-Encoding", "").lower() == "gzip" else None
    )
    while max(size, received) <= limit:
        chunk = answer.read(1 << 16, decode_content=False)
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
        _give_up(answer)
        raise ProtocolError(f"The answer of {safe_url(url)} is larger than {limit} bytes.", url=safe_url(url))
    promised = number(answer.headers.get("Content-Length")) or 0
    if received < promised and answer.status not in (204, 304):
        # urllib3 before 2.0 takes this for the end.
        raise http.client.IncompleteRead(b"", promised - received)
    return b"".join(chunks)

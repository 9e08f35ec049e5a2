# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy before a real registry, which may do to each request what networks and busy servers do."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import http.client
import http.server
import re
import socket
import struct
import threading
import time
import typing as t
import urllib.parse

FAULTS = (
    "reset before",
    "reset after",
    "delay",
    "cut answer",
    "cut request",
    "error before",
    "error after",
    "limit",
    "gone",
)
STATUSES = (500, 502, 503, 504)
# A tag that does not exist, which a client asks to be deleted to find out whether tags can be.
PROBE = re.compile(r"ocikit-[0-9a-f]{32}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HOLD_SECONDS = 20


@dataclasses.dataclass(frozen=True)
class Seen:
    """One request by its identity, which is the same in every run: what is random in a path has a fixed name here.

    ``number`` counts the requests of this identity, from 1.
    """

    method: str
    path: str
    number: int

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> str:
        """What the path is about: manifests, blobs, uploads, tags, referrers or base."""
        found = re.search(r"/(uploads|manifests|blobs|tags|referrers)/", self.path)
        return found.group(1) if found else "base"


class Fault(t.NamedTuple):
    """What happens to a request. ``share``, from 0 to 1, is where a body is cut, or how long a delay is."""

    kind: str
    share: float = 0.5
    status: int = 503
    retry_after: str | None = None


class Weather:
    """Decides from a seed and the identity of a request what happens to it: threads may come in any order.

    :param rate: how many of the requests meet a fault, from 0 to 1.
    :param outage: how many identities fail each time; and how many kinds of request (method and what it is about) do
        so after none, one or two that work.
    :param end: how many requests are the last ones: when one of them was answered, the registry is gone.
    """

    def __init__(self, seed: str, rate: float, outage: float, end: float = 0.0) -> None:
        self._seed = seed
        self._rate = rate
        self._outage = outage
        self._end = end
        self._gone = False

    def __call__(self, request: Seen) -> Fault | None:
        what = f"{request} {request.number}"
        if self._gone:
            return Fault("gone")
        if self._chance(f"end {what}") < self._end:
            self._gone = True
            return None
        fails = self._is_out(request)
        if not fails and self._chance(what) >= self._rate:
            return None
        kinds = [kind for kind in FAULTS if kind != "gone" and not (fails and kind == "delay")]
        return Fault(
            kinds[int(self._chance(f"kind {what}") * len(kinds))],
            self._chance(f"share {what}"),
            STATUSES[int(self._chance(f"status {what}") * len(STATUSES))],
            self._retry_after(self._chance(f"retry {what}")),
        )

    def _is_out(self, request: Seen) -> bool:
        kind = f"{request.method} {request.kind}"
        works = int(3 * self._chance(f"works {kind}"))
        return self._chance(f"outage {request}") < self._outage or (
            request.number > works and self._chance(f"outage {kind}") < self._outage
        )

    @staticmethod
    def _retry_after(chance: float) -> str | None:
        # Those that name a second are waited for, so they are few.
        return "1" if chance > 0.995 else "0" if chance > 0.7 else None

    def _chance(self, what: str) -> float:
        """A number from 0 up to, but not, 1 that hangs on the seed and ``what`` alone."""
        return int.from_bytes(hashlib.sha256(f"{self._seed} {what}".encode()).digest()[:6], "big") / (1 << 48)


class Hold:
    """A request that waits. ``reached`` is set when it does, and it goes on with ``release()``.

    :ivar expired: whether nobody has released it in time.
    """

    def __init__(self, pattern: str, after: bool) -> None:
        self.pattern = re.compile(pattern)
        self.after = after
        self.reached = threading.Event()
        self.expired = False
        self._released = threading.Event()

    def release(self) -> None:
        """Let the request go on, or pass if it is still to come."""
        self._released.set()

    def wait(self) -> None:
        """Wait as a request does; not for ever."""
        self.reached.set()
        self.expired = not self._released.wait(HOLD_SECONDS)


class Proxy:
    """Passes requests on to the registry at ``upstream``, from ``with Proxy(...) as proxy:`` to the end of the block.

    :ivar url: what clients connect to. The registry learns of it by the header Host, so its addresses lead here as well.
    :ivar weather: decides on a fault for each request; None for none.
    :ivar known: digests that are the same in every run. Others count as one.
    :ivar faults: how many faults there were of each kind.
    :ivar decided: each request that was decided on, and its fault.
    :ivar retries: how many requests came again after a fault.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urllib.parse.urlsplit(upstream)
        self.url = self.host = ""
        self._lock = threading.Lock()
        self._holds: list[Hold] = []
        self._connections: set[socket.socket] = set()
        self.forget()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_unused: t.Any) -> None:
        for hold in self._holds:
            hold.release()
        self._server.shutdown()
        self._server.server_close()

    def forget(
        self, weather: t.Callable[[Seen], Fault | None] | None = None, known: t.Iterable[str] = ()
    ) -> None:
        """Begin anew, with this weather."""
        with self._lock:
            self.weather = weather
            self.known = frozenset(known)
            self.faults: collections.Counter[str] = collections.Counter()
            self.decided: list[tuple[str, Fault | None]] = []
            self.requests = self.retries = 0
            self._numbers: collections.Counter[str] = collections.Counter()
            self._failed: set[str] = set()

    def hold(self, pattern: str, after: bool = False) -> Hold:
        """Let the first request that matches ``pattern`` (on 'METHOD /path') wait before it is passed on.

        With ``after`` it takes effect first, and its answer waits.
        """
        hold = Hold(pattern, after)
        with self._lock:
            self._holds.append(hold)
        return hold

    def held(self, method: str, path: str, after: bool) -> None:
        """Wait where a hold says so."""
        with self._lock:
            found = [
                one for one in self._holds if one.after == after and one.pattern.search(f"{method} {path}")
            ]
            self._holds = [one for one in self._holds if one not in found]
        for one in found:
            one.wait()

    def decide(self, method: str, target: str) -> Fault | None:
        """Note a request, and return what happens to it."""
        identity = f"{method} {self._identity(target)}"
        with self._lock:
            self.requests += 1
            self._numbers[identity] += 1
            self.retries += identity in self._failed
            self._failed.discard(identity)
            seen = Seen(method, identity.partition(" ")[2], self._numbers[identity])
            weather = self.weather
        fault = weather(seen) if weather else None
        with self._lock:
            if weather:
                self.decided.append((f"{identity} {seen.number}", fault))
            if fault:
                self.faults[fault.kind] += 1
                if fault.kind != "delay":
                    self._failed.add(identity)
        return fault

    def _identity(self, target: str) -> str:
        """Give what is random in a path a fixed name: upload sessions, and digests made on the way."""
        path, _mark, query = target.partition("?")
        path = re.sub(r"(/blobs/uploads/).+", r"\1SESSION", path)
        path = PROBE.sub("ocikit-PROBE", path)
        fixed = [
            (name, value)
            for name, value in urllib.parse.parse_qsl(query)
            if name in ("digest", "mount", "last", "n")
        ]
        whole = "?".join([path, "&".join("=".join(pair) for pair in fixed)]).rstrip("?")
        return DIGEST.sub(lambda found: found[0] if found[0] in self.known else "sha256:NEW", whole)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_unused: t.Any) -> None:
        """Clients that hang up are part of the game."""

    def shutdown_request(self, request: t.Any) -> None:
        """Close at once: an orderly end before a reset would be no reset."""
        self.close_request(request)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answers go out in two writes, which must not wait for each other.
    disable_nagle_algorithm = True
    owner: t.ClassVar[Proxy]

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None

    def finish(self) -> None:
        self._hang_up()
        super().finish()

    def log_message(self, *_unused: t.Any) -> None:
        """Stay silent."""

    def do_any(self) -> None:
        """Pass one request on, with what the weather brings."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.owner.decide(self.command, self.path)
        kind = fault.kind if fault else ""
        if fault and kind == "delay":
            time.sleep(0.005 + 0.045 * fault.share)
        self.owner.held(self.command, self.path, after=False)
        if fault and kind in ("error before", "limit"):
            self._fail(fault)
            return
        if fault and kind == "cut request":
            self._send_part(body, fault.share)
        if kind in ("reset before", "cut request", "gone"):
            self._reset()
            return
        answer, content = self._pass_on(body)
        self.owner.held(self.command, self.path, after=True)
        if fault and kind == "error after":
            self._fail(fault)
        elif kind == "reset after":
            self._reset()
        else:
            self._answer(answer, content, fault.share if fault and kind == "cut answer" else None)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def _pass_on(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = self._connection()
        self._send_head(upstream)
        upstream.send(body)
        answer = upstream.getresponse()
        content = answer.read()
        if answer.will_close:
            self._hang_up()
        return answer, content

    def _send_part(self, body: bytes, share: float) -> None:
        """Send a part of the body, and wait until the registry has seen that there is no more."""
        if not body:
            return
        upstream = self._connection()
        self._send_head(upstream)
        upstream.send(body[: int(len(body) * share)])
        assert upstream.sock
        upstream.sock.shutdown(socket.SHUT_WR)
        upstream.sock.settimeout(5)
        try:
            while upstream.sock.recv(1 << 16):
                pass
        except OSError:
            pass
        self._hang_up()

    def _connection(self) -> http.client.HTTPConnection:
        if self._upstream is None:
            place = self.owner.upstream
            self._upstream = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
            self._upstream.connect()
            self._upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._upstream

    def _hang_up(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None

    def _send_head(self, upstream: http.client.HTTPConnection) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "connection":
                upstream.putheader(name, value)
        upstream.endheaders()

    def _answer(self, answer: http.client.HTTPResponse, content: bytes, cut: float | None) -> None:
        """Send the answer. A cut one ends in its body, or where there is none, in its headers."""
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        lines += [
            f"{name}: {value}"
            for name, value in answer.getheaders()
            if name.lower() not in ("connection", "transfer-encoding", "content-length")
        ]
        size = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        if size is not None and answer.status != 204:
            lines.append(f"Content-Length: {size}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if cut is not None:
            self.close_connection = True
            if content:
                content = content[: int(len(content) * cut)]
            else:
                head = head[: int(len(head) * cut)]
        self.wfile.write(head + content)

    def _fail(self, fault: Fault) -> None:
        """Answer as a proxy before the registry does, not as the registry."""
        status = 429 if fault.kind == "limit" else fault.status
        content = f"<html><body><h1>{status} {http.client.responses[status]}</h1></body></html>\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        if fault.retry_after is not None:
            self.send_header("Retry-After", fault.retry_after)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

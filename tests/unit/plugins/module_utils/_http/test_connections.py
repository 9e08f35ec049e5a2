# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every answer ends: its head in time, its body at a least rate, its trailers by number."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import threading
import types
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import Unreachable
from ansible_collections.ocikit.registry.plugins.module_utils._http import connections as _connections
from ansible_collections.ocikit.registry.plugins.module_utils._http.connections import TooSlow, _Pace
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import Body, Request
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import BytesReader
from tests.unit.stub import Stub

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Clock:
    """Time that passes only while something is received."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Line(io.RawIOBase):
    """A connection on which the pieces of ``pieces`` arrive: (seconds to wait, number of bytes)."""

    def __init__(self, clock: Clock, pieces: t.Iterable[tuple[float, int]]) -> None:
        self._clock = clock
        self._pieces = iter(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        seconds, count = next(self._pieces, (0.0, 0))
        self._clock.now += seconds
        buffer[:count] = bytes(count)
        return count


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_connections, "time", types.SimpleNamespace(monotonic=made.monotonic))
    return made


def read_all(pace: _Pace, block: int = 1 << 16) -> int:
    total = 0
    while True:
        part = pace.read(block)
        if not part:
            return total
        total += len(part)


def test_a_head_has_its_time(clock: Clock) -> None:
    assert read_all(_Pace(Line(clock, [(59.0, 10), (10.0, 10)]), 60.0)) == 20
    with pytest.raises(TooSlow, match="its headers take longer than 70 seconds"):
        read_all(_Pace(Line(clock, itertools.repeat((0.5, 100))), 60.0))


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        # A slow line, one with pauses up to the time-out, and one that is slow for less than the window.
        ([(8.0, 16384)] * 1000, True),
        ([(59.0, 1 << 17), (1.0, 1 << 16)] * 100, True),
        ([(0.5, 1)] * 100 + [(0.1, 1 << 16)] * 1000, True),
        ([(0.5, 1)] * 1000, False),
        ([(0.1, 1 << 16)] * 1000 + [(0.5, 1)] * 1000, False),
    ],
)
def test_a_body_has_a_least_rate(clock: Clock, pieces: list[tuple[float, int]], whole: bool) -> None:
    pace = _Pace(Line(clock, pieces), 60.0)
    pace.begin_body()
    if whole:
        assert read_all(pace) == sum(count for _seconds, count in pieces)
    else:
        with pytest.raises(TooSlow, match="it sends less than 1024 bytes per second"):
            read_all(pace)


def test_time_that_the_reader_takes_does_not_count(clock: Clock) -> None:
    pace = _Pace(Line(clock, [(0.1, 1000)] * 1000), 60.0)
    pace.begin_body()
    for _number in range(1000):
        assert pace.read(1000)
        clock.now += 100.0


@contextlib.contextmanager
def talking(parts: t.Callable[[], t.Iterable[bytes]]) -> t.Iterator[str]:
    """A server that answers each request with ``parts`` until its client hangs up. Yields its URL."""

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536) or b"\r\n\r\n"
            for part in parts():
                connection.sendall(part)

    def accept(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = server.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def dripping(begin: bytes, part: bytes) -> t.Callable[[], t.Iterable[bytes]]:
    def parts() -> t.Iterator[bytes]:
        yield begin
        pause = threading.Event()
        while True:
            yield part
            pause.wait(0.02)

    return parts


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "its headers take longer than"),
        (dripping(b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"), "its headers take longer than"),
        (dripping(HEAD, b"X"), "its headers take longer than"),
        (dripping(HEAD + b"Content-Length: 100000\r\n\r\n", b" "), "it sends less than"),
        (dripping(HEAD + b"\r\n", b" "), "it sends less than"),
        (dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), "it sends less than"),
        (
            lambda: itertools.chain(
                [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"],
                itertools.repeat(b"X: y\r\n" * 100),
            ),
            "broke",
        ),
    ],
    ids=["continue", "slow-continue", "head", "body", "endless-body", "chunks", "trailers"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_has_no_end_is_given_up(
    connect: t.Any, monkeypatch: pytest.MonkeyPatch, parts: t.Any, says: str, stream: bool
) -> None:
    monkeypatch.setattr(_connections, "GRACE", 0.1)
    monkeypatch.setattr(_connections, "LEAST_RATE", 1 << 20)
    with talking(parts) as url:
        _connection, client = connect(url, retries=0, read_timeout=0.2)
        with pytest.raises(Unreachable, match=says):
            response = client._transport.send(Request("GET", client.endpoint.base, stream=stream))
            while response.stream.read(1 << 16):
                pass


def test_trailers_that_end_are_passed_over(connect: t.Any) -> None:
    def parts() -> t.Iterator[bytes]:
        yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\nZ: z\r\n\r\n"

    with talking(parts) as url:
        _connection, client = connect(url)
        assert client.ping().body == b"{}"


def test_an_upload_goes_out_in_pieces_that_a_slow_line_takes(
    connect: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, float | None]] = []
    sendall = socket.socket.sendall

    def watch(self: socket.socket, data: t.Any, *flags: t.Any) -> None:
        # The server's own sockets have no time limit.
        if self.gettimeout() is not None:
            sent.append((len(data), self.gettimeout()))
        sendall(self, data, *flags)

    monkeypatch.setattr(_connections, "_PIECE", 1000)
    content = bytes(range(256)) * 40
    with Stub(lambda server: server.reply(201, server.content)) as stub:
        _connection, client = connect(stub.url, read_timeout=45.0, connect_timeout=5.0)
        monkeypatch.setattr(socket.socket, "sendall", watch)
        for body in (content, Body(len(content), lambda: BytesReader(content))):
            answer = client._transport.send(Request("PUT", client.endpoint.base, body=body))
            assert answer.body == content
        monkeypatch.undo()
    assert {timeout for _size, timeout in sent} == {45.0}
    assert max(sent)[0] <= 1000 and sum(size == 1000 for size, _timeout in sent) >= 20

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose every answer a test writes, for what no registry does."""

from __future__ import annotations

import http.server
import ssl
import threading
import typing as t


class Stub:
    """A server whose answers a function writes. ``seen`` holds (method, path, headers, client's port)."""

    def __init__(self, answer: t.Callable[[t.Any], None], tls: ssl.SSLContext | None = None) -> None:
        stub = self
        self.seen: list[tuple[str, str, t.Any, int]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_unused: t.Any) -> None:
                """Stay silent."""

            def handle_one(self) -> None:
                stub.seen.append((self.command, self.path, self.headers, self.client_address[1]))
                self.content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = handle_one

            def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in {"Content_Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_unused: t.Any) -> None:
                """A client that hangs up is part of the game."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> Stub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_unused: t.Any) -> None:
        self._server.shutdown()
        self._server.server_close()

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and stops one real registry on a loopback port."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import typing as t

import requests

from .binary import DEFAULT_CACHE, find_tool
from .kinds import KINDS, chosen_kind

READY_SECONDS = 20
START_ATTEMPTS = 5
BCRYPT_ALPHABET = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
SERVER_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class RegistryFailed(RuntimeError):
    """A registry did not start. The message holds what it logged."""


class OptionMissing(RegistryFailed):
    """This kind of registry has nothing like an option that was asked for."""


class Registry:
    """One real registry, from ``with Registry(...) as registry:`` to the end of the block.

    Start it from the main thread: the kernel ends the server when the thread that started it ends.

    :param kind: ``distribution2`` (Debian's ``docker-registry``, distribution 2.8), ``distribution3``, ``zot``,
        ``ggcr`` (that of go-containerregistry) or ``olareg``; without it, the value of ``OCIKIT_TEST_REGISTRY``, or the first. See `kinds`.
    :param delete: allow deletion (the server's own default is no).
    :param users: names and passwords; the server then asks for Basic authentication.
    :param tls: speak HTTPS with a certificate of a CA of its own, see ``ca``.
    :param client_ca: demand a client certificate, see ``client_cert`` and ``client_key``; implies ``tls``.
    :param readonly: refuse writes with 405. Fill it through a writable registry on the same ``storage``.
    :param relative_urls: give relative ``Location`` headers; distribution 2.8 forgets the prefix in them.
    :param prefix: serve the API below this path, such as ``/nested/``.
    :param proxy_of: be a pull-through cache of the registry at this URL.
    :param catalog_max: the largest page of the catalog.
    :param redirect_to: answer blob reads with a 307 to this URL.
    :param schema1: take pushes of Docker's old schema 1 manifests.
    :param token: ``realm``, ``service``, ``issuer`` and ``bundle`` (a PEM file) of a token server.
    :param storage: a directory to keep content in; without it, content ends with the server.
    :param port: a fixed port; a free one without it.
    :param access_log: record requests (see ``requests``); switch it off to measure speed. zot always does.
    :ivar url: ``http://127.0.0.1:PORT``, with the prefix if there is one and never a slash at the end.
    :ivar host: ``127.0.0.1:PORT``.
    :ivar ca: the CA file to trust, or ``None``.
    :ivar log: the file with the access log. ``error_log`` is the server's own log.
    """

    def __init__(
        self,
        delete: bool = True,
        users: dict[str, str] | None = None,
        tls: bool = False,
        client_ca: bool = False,
        readonly: bool = False,
        relative_urls: bool = False,
        prefix: str | None = None,
        proxy_of: str | None = None,
        catalog_max: int | None = None,
        redirect_to: str | None = None,
        schema1: bool = False,
        token: dict[str, str] | None = None,
        storage: os.PathLike[str] | str | None = None,
        port: int | None = None,
        access_log: bool = True,
        cache_dir: os.PathLike[str] | str = DEFAULT_CACHE,
        kind: str | None = None,
    ) -> None:
        name = kind or chosen_kind()
        if name not in KINDS:
            raise RegistryFailed(f"There is no kind of registry {name!r}: choose one of {', '.join(KINDS)}.")
        self.kind = KINDS[name]
        self.delete = delete
        self.users = users or {}
        self.tls = tls or client_ca
        self.client_ca = client_ca
        self.readonly = readonly
        self.relative_urls = relative_urls
        self.prefix = "/" + prefix.strip("/") if prefix and prefix.strip("/") else ""
        self.proxy_of = proxy_of
        self.catalog_max = catalog_max
        self.redirect_to = redirect_to
        self.schema1 = schema1
        self.token = token
        self.storage = storage
        self.port = port
        self.access_log = access_log
        self.cache_dir = cache_dir
        self.host = self.url = ""
        self.ca: str | None = None
        self.client_cert: str | None = None
        self.client_key: str | None = None
        self.log = self.error_log = ""
        self._fixed_port = port
        self.instance = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    @property
    def forbids_deletion(self) -> bool:
        """Whether no deletion is to be allowed, which is an option that some servers do not have."""
        return not self.delete

    def __enter__(self) -> Registry:
        return self.start()

    def __exit__(self, *_unused: t.Any) -> None:
        self.stop()

    def start(self) -> Registry:
        """Start the server and wait until it answers.

        :raises RegistryFailed: when it does not within 20 seconds.
        :raises ToolMissing: when there is no registry to start.
        :raises OptionMissing: when this kind of registry cannot do what was asked for.
        """
        for options in self.kind.lacks:
            if all(getattr(self, option) for option in options.split(" with ")):
                raise OptionMissing(f"{self.kind.name} has no option {options}.")
        program = self.kind.program(self.cache_dir)
        self._directory = tempfile.TemporaryDirectory(prefix="registry-")
        try:
            self.log = self.path("access.log")
            self.error_log = self.path("error.log")
            if self.tls:
                self._make_certificates()
            if self.users:
                lines = [f"{name}:{_bcrypt(word, self.cache_dir)}\n" for name, word in self.users.items()]
                pathlib.Path(self.path("htpasswd")).write_text("".join(lines), encoding="utf-8")
            for _attempt in range(START_ATTEMPTS):
                if self._start_once(program):
                    self.clear_requests()
                    return self
            raise RegistryFailed(f"No free port after {START_ATTEMPTS} attempts. {self._log_tail()}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and remove its files. Content in ``storage`` stays."""
        self._end_process()
        if self._directory:
            self._directory.cleanup()
            self._directory = None

    def requests(self) -> list[tuple[str, str, int]]:
        """Return (method, path with query, status) of each request served, in the order they ended."""
        # The line of a large answer may come a moment after the client has read its last byte.
        size = -1
        while size != os.path.getsize(self.log):
            size = os.path.getsize(self.log)
            time.sleep(0.02)
        with open(self.log, encoding="utf-8") as lines:
            found = [self.kind.request(line) for line in lines]
        return [request for request in found if request]

    def clear_requests(self) -> None:
        """Forget the requests served so far."""
        # The server appends, so it goes on at the new end of the file.
        os.truncate(self.log, 0)

    def collect_garbage(self) -> None:
        """Remove what no tag or manifest needs from ``storage``. No server may run on it.

        :raises OptionMissing: when this kind of registry has no such command.
        """
        if not self.kind.garbage_command:
            raise OptionMissing(f"{self.kind.name} has no command that collects garbage.")
        with tempfile.TemporaryDirectory(prefix="registry-") as folder:
            config = pathlib.Path(folder, "config.yml")
            config.write_text(json.dumps(self.kind.config(self)), "utf-8")
            command = [self.kind.program(self.cache_dir), *self.kind.garbage_command, str(config)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RegistryFailed(f"Garbage was not collected: {done.stderr.strip()}")

    def facts(self) -> dict[str, str]:
        """Return what a client must know, as name and value; names without a value are left out."""
        user = next(iter(self.users.items()), (None, None))
        facts = {
            "url": self.url,
            "host": self.host,
            "ca": self.ca,
            "client_cert": self.client_cert,
            "client_key": self.client_key,
            "username": user[0],
            "password": user[1],
            "log": self.log,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def path(self, name: str) -> str:
        """Return the path of a file of this server, which ends with it."""
        assert self._directory
        return os.path.join(self._directory.name, name)

    def _start_once(self, program: str) -> bool:
        """Start the server on one port. Return whether the port was free."""
        self.port = self._fixed_port or _free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if self.tls else 'http'}://{self.host}{self.prefix}"
        # JSON is YAML too.
        pathlib.Path(self.path("config.yml")).write_text(
            json.dumps(self.kind.config(self), indent=1), encoding="utf-8"
        )
        # The server takes REGISTRY_* variables as configuration, and we hand out variables of such names.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
        environment.update(self.kind.environment)
        with open(self.log, "ab") as log, open(self.error_log, "wb") as error_log:
            self._process = subprocess.Popen(
                [program, *self.kind.arguments(self)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if self.kind.one_log else error_log,
                env=environment,
                # Ctrl-C is for the command that uses the registry; it may still need it to end well.
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                if "address already in use" in self._log_tail() and not self._fixed_port:
                    return False
                raise RegistryFailed(f"The registry ended at once. {self._log_tail()}")
            if self._answers():
                return True
            time.sleep(0.03)
        raise RegistryFailed(
            f"The registry did not answer within {READY_SECONDS} seconds. {self._log_tail()}"
        )

    def _answers(self) -> bool:
        session = requests.Session()
        session.trust_env = False
        session.verify = self.ca or True
        if self.client_cert and self.client_key:
            session.cert = (self.client_cert, self.client_key)
        try:
            with session:
                answer = session.get(f"{self.url}/v2/", params={"instance": self.instance}, timeout=5)
        except requests.RequestException:
            return False
        # Another server may have taken the port meanwhile.
        return self.kind.is_instance(self, answer)

    def _make_certificates(self) -> None:
        # Python 3.13 wants the use of a CA's key, and of which key each certificate is.
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        self._openssl_request("ca", "/CN=Test registry CA", ["-x509", "-days", "30", *usage])
        self.ca = self.path("ca.pem")
        self._issue("server", "/CN=localhost", SERVER_NAMES)
        if self.client_ca:
            self._issue("client", "/CN=client", "extendedKeyUsage=clientAuth")
            self.client_cert, self.client_key = self.path("client.pem"), self.path("client.key")

    def _issue(self, name: str, subject: str, extension: str) -> None:
        self._openssl_request(name, subject, [])
        extensions = pathlib.Path(self.path(f"{name}.ext"))
        extensions.write_text(f"{extension}\nauthorityKeyIdentifier=keyid\n", encoding="ascii")
        os.rename(self.path(f"{name}.pem"), self.path(f"{name}.csr"))
        authority = ["-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial"]
        files = ["-in", self.path(f"{name}.csr"), "-out", self.path(f"{name}.pem")]
        self._openssl(["x509", "-req", "-days", "30", "-extfile", str(extensions), *authority, *files])

    def _openssl_request(self, name: str, subject: str, options: list[str]) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        files = ["-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.pem")]
        self._openssl(["req", "-new", *options, *key, *files, "-subj", subject])

    def _openssl(self, arguments: list[str]) -> None:
        program = find_tool("openssl", "openssl", self.cache_dir)
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RegistryFailed(f"openssl {arguments[0]} failed: {done.stderr.strip()}")

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def _log_tail(self) -> str:
        texts = [pathlib.Path(log).read_text("utf-8", "replace") for log in (self.log, self.error_log)]
        return "Its log ends:\n" + "".join(texts)[-4000:]


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bcrypt(password: str, cache_dir: os.PathLike[str] | str) -> str:
    """Return the bcrypt hash of ``password``, the only kind the server reads."""
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except (OSError, AttributeError):
        return _htpasswd(password, cache_dir)
    crypt.restype = ctypes.c_char_p
    # The last of 22 characters carries two bits only.
    salt = base64.b64encode(secrets.token_bytes(16))[:21].translate(BCRYPT_ALPHABET) + b"."
    hashed = crypt(password.encode(), b"$2y$05$" + salt)
    if not hashed or not hashed.startswith(b"$2y$"):
        return _htpasswd(password, cache_dir)
    return str(hashed, "ascii")


def _htpasswd(password: str, cache_dir: os.PathLike[str] | str) -> str:
    program = find_tool("htpasswd", "apache2-utils", cache_dir)
    done = subprocess.run(
        [program, "-inB", "user"], input=password, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip().partition(":")[2]

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Directories whose contents are reached without following a symbolic link, so that none can lead to another place."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import typing as t

from .._errors import InvalidInput, LocalStorageError
from .files import Name, open_file, read_all

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Folder:
    """A directory, and files and directories below it. Their names are relative, with slashes.

    Links below ``path`` are refused; ``path`` itself may be one, or lie behind one, as that is what the user named.
    All methods raise LocalStorageError, and InvalidInput where a file is no regular one.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def path_of(self, name: str) -> str:
        """Return the path of what is called ``name``."""
        return os.path.join(self.path, name)

    def status(self, name: str) -> os.stat_result | None:
        """Return what ``name`` stands for, a link itself; None where it does not exist."""
        try:
            with self.place(name) as place:
                return place.status()
        except LocalStorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def file_size(self, name: str) -> int | None:
        """Return the bytes of a regular file; None where there is none of this name."""
        status = self.status(name)
        return status.st_size if status and stat.S_ISREG(status.st_mode) else None

    def open(self, name: str) -> io.FileIO | None:
        """Open a regular file for reading; None where it does not exist. Its ``name`` is its path."""
        try:
            with self.place(name) as place:
                file = open_file(place.name, place.directory, follow=False)
        except LocalStorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        except InvalidInput as error:
            raise error.replace_message(
                f"{self.path_of(name)} is not a regular file: this is refused."
            ) from None
        file.name = self.path_of(name)
        return file

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the content of a file of at most ``limit`` bytes; None where it does not exist. Raises InvalidInput."""
        file = self.open(name)
        if file is None:
            return None
        with self.errors(name), file:
            return read_all(file, self.path_of(name), limit)

    def names(self, name: str = "") -> list[str]:
        """Return the names in the directory ``name``, sorted; none where it does not exist."""
        try:
            with self.place(f"{name}/." if name else ".") as place:
                return sorted(os.listdir(place.directory))
        except LocalStorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return []
            raise

    def make(self, mode: int = 0o777) -> None:
        """Make the directory and those above it, where they are missing."""
        with self.errors(""):
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, mode)

    @contextlib.contextmanager
    def place(self, name: str, make: int | None = None) -> t.Iterator[Name]:
        """Return a name in the open directory that it is in. With ``make`` directories are made, with that mode."""
        *between, last = name.split("/")
        with self.errors(name):
            directory = os.open(self.path, _DIRECTORY)
            try:
                for part in between:
                    if make is not None:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(part, make, dir_fd=directory)
                    inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
                    os.close(directory)
                    directory = inner
                yield Name(directory, last)
            finally:
                os.close(directory)

    @contextlib.contextmanager
    def errors(self, name: str) -> t.Iterator[None]:
        """Raise the operating system's errors about ``name`` as LocalStorageError."""
        try:
            yield
        except OSError as error:
            link = self._first_link(name)
            if link:
                raise LocalStorageError(
                    f"{link} cannot be used: it is a symbolic link, which is not followed here. Replace it by what it"
                    " points to."
                ) from error
            path = os.path.normpath(self.path_of(name))
            raise LocalStorageError(f"{path} cannot be used: {error.strerror or error}.") from error

    def _first_link(self, name: str) -> str | None:
        path = self.path
        for part in filter(None, name.split("/")):
            path = os.path.join(path, part)
            if os.path.islink(path):
                return path
        return None

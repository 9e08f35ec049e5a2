# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images with layers and settings added, from the options of registry_append to their targets."""

from __future__ import annotations

import datetime
import re
import typing as t

from .._errors import InvalidInput, printable
from .._oci.content import Platform
from .._oci.reference import Reference
from .._registry.context import ModuleContext
from .._registry.images import check_expected, check_expected_option
from .._registry.placeholder import refuse_placeholder
from .._storage.compression import read_unpacked_size
from .deliver import Image, deliver
from .image_change import Appended, Change, append, from_nothing
from .layer import Layer, Member, file_layer, local_members, read_mode, tarball, text_member
from .targets import Target, read_targets, targets_diff, targets_result


def append_layers(context: ModuleContext) -> dict[str, t.Any]:
    """Add layers and settings to an image, deliver it to its targets, and return the result of registry_append.

    Raises RegistryError: InvalidInput before anything is sent, Refused where a condition does not hold.
    """
    params, clients = context.params, context.clients
    base = clients.reference(params["image"]) if params["image"] else None
    targets = read_targets(clients, params, base)
    if not targets:
        raise InvalidInput("There is no place for the result: name tags, or references in to.")
    platforms = [Platform.parse(platform) for platform in params["platforms"]]
    change = _change(params)
    if base:
        base_digest, result = _on_image(context, base, change, platforms)
    else:
        base_digest, result = None, _on_nothing(params, change, platforms)
    delivery = deliver(
        _images(base, base_digest, result, targets),
        check_mode=context.check_mode,
        include_foreign=False,
        progress=context.progress,
    )
    return {
        **targets_result(targets),
        "image": str(base) if base else None,
        "base_digest": base_digest,
        "digest": result.root.digest,
        "media_type": result.root.media_type,
        "layers": [
            {
                "digest": layer.digest,
                "diff_id": layer.diff_id,
                "size": layer.size,
                "compression": layer.compression,
            }
            for layer in result.layers
        ],
        "platforms": [
            {"platform": platform.name, "base_digest": before if base else None, "digest": after}
            for before, (platform, after) in result.images.items()
        ],
        "dropped_attestations": result.dropped,
        "blobs": delivery.to_dict(),
        "diff": targets_diff(targets),
    }


def _on_image(
    context: ModuleContext, base: Reference, change: Change, platforms: t.Sequence[Platform]
) -> tuple[str, Appended]:
    expected = context.params["expected_digest"]
    check_expected_option(expected)
    if change == Change():
        raise InvalidInput("There is nothing to append: name layers, or settings such as labels or env.")
    store = context.clients.repository_of(base)
    root = store.manifest(base.target)
    check_expected(base, root.digest, expected, "nothing was changed")
    refuse_placeholder(store, str(base), root)
    return root.digest, append(store, root, change, platforms, str(base), context.clients.concurrency)


def _on_nothing(params: t.Mapping[str, t.Any], change: Change, platforms: t.Sequence[Platform]) -> Appended:
    if not change.layers:
        raise InvalidInput("There is nothing to make an image of: name image, or layers, or both.")
    if len(platforms) > 1:
        raise InvalidInput("A new image has one platform: name no more in platforms.")
    if params["expected_digest"] is not None:
        raise InvalidInput("expected_digest is the digest of image: leave it out where there is none.")
    return from_nothing(change, platforms[0] if platforms else Platform("linux", "amd64"))


def _images(
    base: Reference | None, base_digest: str | None, result: Appended, targets: t.Sequence[Target]
) -> list[Image]:
    """Return what is to be delivered, by repository; that of ``base`` last, as others may lack something."""
    own = base.name if base else None
    names = sorted(dict.fromkeys(target.reference.name for target in targets), key=lambda name: name == own)
    return [
        Image(
            str(base or "The new image"),
            result.root,
            base_digest or result.root.digest,
            [target for target in targets if target.reference.name == name],
            result.source,
        )
        for name in names
    ]


def _change(params: t.Mapping[str, t.Any]) -> Change:
    return Change(
        labels=read_strings(params["labels"], "labels"),
        env=read_strings(params["env"], "env"),
        entrypoint=params["entrypoint"],
        cmd=params["cmd"],
        user=params["user"],
        workdir=read_path(params["workdir"], "workdir") if params["workdir"] is not None else None,
        exposed_ports=tuple(map(read_port, params["exposed_ports"])),
        volumes=tuple(read_path(volume, "volumes") for volume in params["volumes"]),
        annotations=read_strings(params["annotations"], "annotations"),
        created=read_created(params["created"]),
        author=params["author"],
        comment=params["comment"],
        # The last, as it may take a while.
        layers=tuple(_layer(layer, read_unpacked_size(params)) for layer in params["layers"]),
    )


def _layer(spec: t.Mapping[str, t.Any], max_unpacked_size: int | None) -> Layer:
    if spec["src"] is not None:
        return tarball(spec["src"], max_unpacked_size)
    return file_layer(member for file in spec["files"] for member in _members(file))


def _members(file: t.Mapping[str, t.Any]) -> list[Member]:
    mode, owners = read_mode(file["mode"]), (file["owner"], file["group"])
    if file["content"] is not None:
        return [text_member(file["content"], file["dest"], mode, *owners)]
    return local_members(file["src"], file["dest"], mode, read_mode(file["directory_mode"]), *owners)


def read_strings(values: t.Mapping[t.Any, t.Any] | None, option: str) -> dict[str, str]:
    """Return names and values as strings. Whole numbers are taken; YAML makes 1.1 of 1.10, and true of yes. Raises InvalidInput."""
    result = {}
    for name, value in (values or {}).items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise InvalidInput(
                f"{option} has {printable(value, 100)} as the value of {printable(name)!r}, which is not text but a value of YAML:"
                " write it in quotes, as it is meant."
            )
        if (
            not isinstance(name, str)
            or not name
            or "\0" in f"{name}{value}"
            or (option == "env" and "=" in name)
        ):
            raise InvalidInput(f"{printable(name)!r} is not a valid name in {option}.")
        result[name] = str(value)
    return result


def read_port(value: str) -> str:
    """Return a port as ``PORT/PROTOCOL``. Raises InvalidInput."""
    match = re.match(r"([0-9]{1,5})(?:/(tcp|udp|sctp))?\Z", value)
    if not match or not 0 < int(match.group(1)) < 65536:
        raise InvalidInput(f"{printable(value)!r} is not a valid port: write one such as 8080 or 53/udp.")
    return f"{int(match.group(1))}/{match.group(2) or 'tcp'}"


def read_path(value: str, option: str) -> str:
    """Return an absolute path in the image, which may be one of Windows. Raises InvalidInput."""
    if not re.match(r"/|[A-Za-z]:[\\/]", value) or "\0" in value:
        raise InvalidInput(f"{printable(value)!r} is not valid for {option}: write an absolute path.")
    return value


def read_created(value: str | None) -> str | None:
    """Return a time as image configs have it (RFC 3339). Raises InvalidInput."""
    if value is None:
        return None
    try:
        if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z", value, re.ASCII):
            datetime.datetime.strptime(value[:19], "%Y-%m-%dT%H:%M:%S")
            return value
    except ValueError:
        pass
    raise InvalidInput(
        f"{printable(value)!r} is not a valid time: write it in quotes, such as '2026-01-31T12:00:00Z'."
    )

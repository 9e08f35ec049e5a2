# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of registries that cannot be run here, as behaviours of the hostile registry.

``HostileRegistry.vendor("quay")`` simulates one of them. A profile is a list of quirks, each with the word for
how it is known: by the vendor's documentation or source (DOCUMENTED), from an issue thread (REPORTED), or not
for sure (ASSUMED). What sources contradict each other about, or nobody tells, is simulated both ways, in a
profile of its own for each. In what no quirk is about, a profile follows the distribution spec.
"""

from __future__ import annotations

import typing as t

DOCUMENTED, REPORTED, ASSUMED = "documented", "reported", "assumed"

# The operations that quirks are about: the columns of docs/compatibility.md.
OPERATIONS = (
    "sign-in",
    "catalog",
    "tags",
    "digest",
    "pull",
    "referrers",
    "limits",
    "push",
    "retag",
    "copy",
    "mount",
    "remove-tag",
    "delete-digest",
    "prune",
    "remove-repository",
)
_DELETIONS = "remove-tag delete-digest prune remove-repository"


class Quirk(t.NamedTuple):
    """One thing that a vendor does: how that is known, for which OPERATIONS it counts, and how to play it.

    Without switches it is what the specification says, and known of this vendor.
    """

    known: str
    about: str
    text: str
    switches: dict[str, t.Any]


class Profile(t.NamedTuple):
    """A vendor, or one of the ways in which it may behave."""

    title: str
    quirks: tuple[Quirk, ...]

    @property
    def switches(self) -> dict[str, t.Any]:
        """The behaviours of all quirks."""
        return {name: value for quirk in self.quirks for name, value in quirk.switches.items()}

    def known(self, operation: str) -> str | None:
        """Return how surely it is known what the vendor does in an operation, None where nothing is known."""
        found = [quirk.known for quirk in self.quirks if operation in quirk.about.split()]
        return max(found, key=(DOCUMENTED, REPORTED, ASSUMED).index, default=None)


def _documented(about: str, text: str, **switches: t.Any) -> Quirk:
    return Quirk(DOCUMENTED, about, text, switches)


def _reported(about: str, text: str, **switches: t.Any) -> Quirk:
    return Quirk(REPORTED, about, text, switches)


def _assumed(about: str, text: str, **switches: t.Any) -> Quirk:
    return Quirk(ASSUMED, about, text, switches)


def _assumed_bearer(path: str) -> Quirk:
    return _assumed(
        "sign-in", f"Bearer, from {path} of the same host", auth="bearer", realm="same", token_path=path
    )


_GOOGLE = (
    _reported("remove-tag", "a tag is deleted by its name", tag_delete="202"),
    _reported(
        "delete-digest prune remove-repository",
        "a digest with a tag is refused: 400 GOOGLE_MANIFEST_DANGLING_TAG",
        digest_delete="400tagged",
    ),
    _documented("tags", "tags/list also holds manifest and child", tags_extra=True),
    _documented("push", "no upload in chunks", chunked="405"),
    _assumed_bearer("/v2/token"),
    _assumed(
        "sign-in", "the user is _json_key or oauth2accesstoken", user=("_json_key", '{"key": "s3cr:et"}')
    ),
)
_GITEA = (
    _documented(
        "sign-in", "the token service is /v2/token of the same host", realm="same", token_path="/v2/token"
    ),
    _documented("tags", "Link on the last page as well", link="last-page", page_size=100),
    _documented("digest", "the digest comes with HEAD"),
    _documented("mount", "mounts what it finds"),
    _documented("remove-tag prune", "a tag is deleted by its name", tag_delete="202"),
    _documented(
        "delete-digest prune remove-repository", "a digest takes its tags along", digest_delete="202"
    ),
)
_ARTIFACTORY = (
    _reported(
        "digest", "HEAD has X-Checksum-Sha256 and a sha1 as ETag, no digest", digest_header="other-head"
    ),
    _reported("tags", "digests stand among the tags", tags="digests"),
    _reported("tags", "406 to another Accept than that of JSON", tags_accept="json"),
    _reported("tags", "Link lacks the first part of the name", link="short-name", page_size=100),
    _assumed("sign-in", "Basic", auth="basic"),
)
_NEXUS = (
    _reported("tags", "null stands among the tags", tags="with-null"),
    _reported("tags", "Link has the path of another connector", link="wrong-prefix", page_size=100),
    _reported("digest push", "HEAD is answered with 404, whatever is there", head="404"),
    _reported(
        "delete-digest prune remove-repository",
        "the tags of a deleted digest stay in the list",
        digest_delete="dangling",
    ),
    _assumed("sign-in", "Basic", auth="basic"),
)

PROFILES: dict[str, Profile] = {
    "docker-hub": Profile(
        "Docker Hub",
        (
            _documented(
                "remove-tag prune remove-repository", "no tag is deleted by name: 405", tag_delete="405"
            ),
            _documented(
                _DELETIONS, "a digest that a tag or an index needs is refused: 403", digest_delete="403used"
            ),
            _documented("sign-in", "Bearer, from another host", auth="bearer", realm="other"),
            _documented("digest", "the digest comes with HEAD, which counts for no limit"),
            _documented("mount", "mounts what it finds"),
            _documented(
                "limits",
                "the limit is told in headers",
                headers={
                    "RateLimit-Limit": "100;w=21600",
                    "RateLimit-Remaining": "76;w=21600",
                    "Docker-RateLimit-Source": "192.0.2.1",
                },
            ),
            _documented("limits", "429 in plain text", fail_body="text"),
            _assumed("catalog", "no right to the catalog", token_catalog=False),
            _assumed("", "a repository of others is hidden behind 401", hidden="hidden/app"),
        ),
    ),
    "ghcr": Profile(
        "GHCR",
        (
            _reported(_DELETIONS, "no tag is deleted by name: 405", tag_delete="405"),
            _reported(_DELETIONS, "no digest is deleted: 405", digest_delete="405"),
            _reported(
                "sign-in", "a token is needed also for what is public", auth="bearer", anonymous="pull"
            ),
            _reported("sign-in", "the token service is on the same host", realm="same"),
            _reported("catalog", "no catalog", catalog="404"),
            _reported("referrers", "no referrers API"),
            _reported("tags", "the oldest tag comes first, pages by Link", tags_order="age", page_size=100),
        ),
    ),
    "ecr": Profile(
        "Amazon ECR",
        (
            _documented(
                "sign-in", "Basic with the user AWS, no Bearer", auth="basic", user=("AWS", "s3cr:et")
            ),
            _documented("tags", "a page of more than 1000 tags is refused: 405", max_n=1000, page_size=100),
            _reported("digest", "the digest comes with HEAD, not with GET", digest_header="missing-get"),
            _reported("pull", "blobs are redirected to storage", blob_redirect="other"),
            _documented("mount", "mounts are off unless the account switches them on", mount="202"),
            _reported("push", "a repository must be there before", create="404"),
            _reported("push", "Range stays at the first chunk", range_stuck=True),
            _assumed("catalog", "no catalog", catalog="405"),
            _reported("referrers", "the referrers API", referrers="on"),
            _reported(_DELETIONS, "tags and digests are deleted", tag_delete="202", digest_delete="202"),
        ),
    ),
    "gar": Profile(
        "Google Artifact Registry",
        (*_GOOGLE, _reported("referrers", "the referrers API", referrers="on")),
    ),
    "gcr": Profile(
        "Google Container Registry",
        (*_GOOGLE, _reported("sign-in", "some 401 come without a challenge", challenge_at="base")),
    ),
    "acr": Profile(
        "Azure Container Registry",
        (
            _documented(_DELETIONS, "no tag is deleted by name; the status is not told", tag_delete="405"),
            _documented(
                "delete-digest prune remove-repository", "a digest takes its tags along", digest_delete="202"
            ),
            _documented(
                "sign-in",
                "Bearer, from /oauth2/token, whose answer has access_token only",
                auth="bearer",
                realm="same",
                token_path="/oauth2/token",
                token_key="access_token",
            ),
            _reported("referrers", "the referrers API", referrers="on"),
        ),
    ),
    "quay": Profile(
        "Quay",
        (
            _documented(
                "sign-in", "no scope may have the action delete: 400", auth="bearer", token_delete="400"
            ),
            _documented(
                "sign-in",
                "the token service is on the same host",
                realm="same",
                user=("org+robot", "s3cr:et"),
            ),
            _assumed("", "a repository of others is hidden behind 401", hidden="hidden/app"),
            _documented("catalog", "the catalog is for who has signed in"),
            _documented("tags", "100 tags on a page, absolute Link", page_size=100, link="absolute"),
            _documented("mount", "mounts what the user may read"),
            _reported("tags", "the oldest tag comes first", tags_order="age"),
            _documented("remove-tag", "a tag is deleted by its name", tag_delete="202"),
            _documented(
                _DELETIONS,
                "a digest loses its tags, is unknown without any, and is served only while a tag leads to it",
                digest_delete="untag",
            ),
            _documented("digest remove-tag", "a deleted tag is TAG_EXPIRED", deleted_code="TAG_EXPIRED"),
            _documented("referrers", "the referrers API", referrers="on"),
        ),
    ),
    "harbor": Profile(
        "Harbor 2",
        (
            _documented(
                "remove-tag prune remove-repository", "no tag is deleted by name: 405", tag_delete="405"
            ),
            _documented(
                "delete-digest prune remove-repository",
                "a digest takes tags and unneeded children along; what an index needs is refused: 412",
                digest_delete="cascade",
            ),
            _documented("catalog tags mount", "as the specification has it"),
            _documented("digest", "what is not there is NOT_FOUND", absent_code="NOT_FOUND"),
            _assumed_bearer("/service/token"),
            _assumed("sign-in", "robots have a dollar sign in their name", user=("robot$ci", "s3cr:et")),
            _reported("referrers", "the referrers API", referrers="on"),
        ),
    ),
    "gitlab": Profile(
        "GitLab",
        (
            _reported("remove-tag", "a tag is deleted by its name", tag_delete="202"),
            _reported(
                "sign-in", "Bearer, from /jwt/auth of another host", auth="bearer", token_path="/jwt/auth"
            ),
            _reported("delete-digest prune remove-repository", "a digest is deleted, slowly"),
            _reported("referrers", "no referrers API"),
            _assumed("catalog", "the catalog is for administrators", token_catalog=False),
        ),
    ),
    "gitea": Profile(
        "Gitea, Forgejo",
        (
            *_GITEA,
            _documented(
                "sign-in",
                "two challenges in two headers, of which Bearer has no scope",
                auth="two-headers",
                challenge_scope="none",
            ),
        ),
    ),
    "codeberg": Profile(
        "Codeberg (Forgejo)",
        (
            *_GITEA,
            _reported(
                "sign-in",
                "two challenges in one header, of which Bearer has the scope *",
                auth="both",
                challenge_scope="*",
            ),
        ),
    ),
    "pulp": Profile(
        "Pulp",
        (
            _documented(
                "remove-tag prune remove-repository", "no tag is deleted by name: 400", tag_delete="400"
            ),
            _documented(
                _DELETIONS, "a digest is deleted, with its tags, some time after the answer", delete_after=3
            ),
            _documented("catalog", "as the specification has it"),
            _documented("mount", "404 where there is nothing to mount", mount="404missing"),
            _documented("tags", "absolute Link whenever a page is full", link="full-page", page_size=100),
            _assumed_bearer("/token/"),
        ),
    ),
    "artifactory": Profile(
        "Artifactory",
        (
            *_ARTIFACTORY,
            _assumed(_DELETIONS, "tags and digests are deleted", tag_delete="202", digest_delete="202"),
        ),
    ),
    "artifactory-digest": Profile(
        "Artifactory, if it deletes no tag",
        (
            *_ARTIFACTORY,
            _assumed(_DELETIONS, "no tag is deleted by name", tag_delete="405", digest_delete="202"),
        ),
    ),
    "zot-newest": Profile(
        "zot, newest",
        (
            _documented("sign-in", "Basic", auth="basic"),
            _documented(
                "tags catalog", "pages by a Link with names as they are", link="unescaped", page_size=100
            ),
            _documented(
                "remove-tag prune", "a tag is deleted by its name, and its image stays", tag_delete="202"
            ),
            _documented(
                "delete-digest prune remove-repository",
                "a digest takes its tags along; what an index needs is refused: 405",
                digest_delete="405used",
            ),
            _documented("referrers", "the referrers API", referrers="on"),
            _reported("referrers", "the artifact type of a referrer is that of its manifest"),
            _reported("push retag", "a tag may move from an image to an index"),
            _reported(
                "push copy", "layers that are elsewhere are taken, indexes that lack an image are refused"
            ),
        ),
    ),
    "nexus": Profile(
        "Nexus 3", (*_NEXUS, _assumed(_DELETIONS, "a tag is deleted by its name", tag_delete="202"))
    ),
    "nexus-digest": Profile(
        "Nexus 3, if it deletes no tag",
        (*_NEXUS, _assumed(_DELETIONS, "no tag is deleted by name", tag_delete="405")),
    ),
}

_WITHOUT_DELETION = _reported(
    _DELETIONS,
    "no deletion at all: 404 in plain text",
    tag_delete="404text",
    digest_delete="404text",
)
PROFILES["ecr-no-delete"] = Profile(
    "Amazon ECR, if it does not delete", (*PROFILES["ecr"].quirks[:-1], _WITHOUT_DELETION)
)
PROFILES["ecr-public"] = Profile(
    "Amazon ECR Public",
    (
        _documented("tags", "a page of more than 1000 tags is refused: 405", max_n=1000),
        _reported("digest", "no digest in any answer", digest_header="missing"),
        _assumed_bearer("/token/"),
        _assumed("catalog", "no catalog", catalog="405"),
        _WITHOUT_DELETION._replace(known=ASSUMED),
    ),
)

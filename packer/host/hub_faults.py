"""What the model hub's client raises, in words for the person who bakes."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Final

import httpx2
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from .facts import Bake, Model
from .report import Fault

UNAUTHORIZED, FORBIDDEN = 401, 403
# The client's own text for a stream that ended early (huggingface_hub 2.4.0, file_download.http_get).
CUT: Final = "Consistency check failed"
NO_SPACE: Final = "No space left on device"  # hf_xet raises RuntimeError with the system's text
PARAMETER: Final = "bake.hub_token_parameter"


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it. The client wraps refusals into "no such local file"."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or current.__context__


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: the line, or a hub that is busy."""
    for cause in causes(error):
        if isinstance(cause, HfHubHTTPError):
            return cause.response.status_code in {408, 429} or cause.response.status_code >= 500  # noqa: PLR2004 - HTTP
        if isinstance(cause, httpx2.TransportError):
            return True
    return CUT in str(error)


def is_no_space(error: BaseException) -> bool:
    """Whether the disk was full."""
    return any(
        (isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}) or NO_SPACE in str(cause)
        for cause in causes(error)
    )


def explain(error: BaseException, bake: Bake, model: Model, *, has_token: bool) -> Fault:
    """Say what went wrong with a download and what helps."""
    if is_no_space(error):
        return Fault(
            f"no space for {model.id} on the model volume", "raise model_volume.size_gib of the pool and bake again"
        )
    for cause in causes(error):
        if isinstance(cause, HfHubHTTPError):
            return _refused(cause, bake, model, has_token=has_token)
    if isinstance(error, FileMetadataError) or any(isinstance(cause, FileMetadataError) for cause in causes(error)):
        return Fault(f"{bake.hub_url} does not answer as a model hub ({_first_line(error)})", "check HF_ENDPOINT")
    if is_transient(error):
        said = _first_line(next(cause for cause in reversed(list(causes(error))) if str(cause)))
        return Fault(
            f"the download of {model.id} from {bake.hub_url} broke off ({said})",
            "bake again; if it stays, check that the bake's subnet (bake.subnet_id) reaches the hub",
        )
    return Fault(f"{model.id} cannot be fetched ({type(error).__name__}: {_first_line(error)})", "read the lines above")


def _refused(error: HfHubHTTPError, bake: Bake, model: Model, *, has_token: bool) -> Fault:
    status = error.response.status_code
    if isinstance(error, GatedRepoError) or status == FORBIDDEN:
        return _gated(bake, model, has_token=has_token)
    if isinstance(error, RevisionNotFoundError):
        return Fault(f"{model.id} has no commit {model.revision}", "correct model_revision, or leave it out")
    if isinstance(error, RemoteEntryNotFoundError):
        return Fault(f"a file of {model.id}'s commit {model.revision} is gone from {bake.hub_url}", "bake again")
    if status == UNAUTHORIZED and has_token and not isinstance(error, RepositoryNotFoundError):
        remedy = f"put a valid one into the SSM parameter that {PARAMETER} names"
        return Fault(f"{bake.hub_url} does not know the token", remedy)
    if isinstance(error, RepositoryNotFoundError):
        seen = "the token may not see it" if has_token else "it is private and no token is given"
        remedy = f"check the spelling of model_id; for a private model set {PARAMETER}"
        return Fault(f"{bake.hub_url} has no model {model.id}, or {seen}", remedy)
    return Fault(f"{bake.hub_url} answered {status} for {model.id}", "bake again later")


def _gated(bake: Bake, model: Model, *, has_token: bool) -> Fault:
    page = f"{bake.hub_url}/{model.id}"
    if has_token:
        remedy = f"accept its terms on {page} as the token's owner, or name another token in {PARAMETER}"
        return Fault(f"{model.id} is gated, and the token may not read it", remedy)
    remedy = f"accept its terms on {page}, put a token into an SSM SecureString, and set {PARAMETER} to its name"
    return Fault(f"{model.id} is gated, and no token is given", remedy)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

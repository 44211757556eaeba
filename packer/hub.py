"""The one edge to the model hub: a model's commit and the files of that commit, or a fault that says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from packer.model_files import ModelFile, is_safe, needed_files
from settings.errors import Fault, FaultyValueError
from settings.naming import model_directory_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from huggingface_hub.hf_api import ModelInfo, RepoSibling

TIMEOUT_SECONDS: Final = 10.0
UNAUTHORIZED, TOO_MANY = 401, 429
# Every model that an engine loads has it; whoever may read it may read the weights, too.
PROBED_FILE: Final = "config.json"


@dataclass(frozen=True)
class Wanted:
    """A model as a pool's settings name it; `path` is where, for the faults."""

    path: str
    model_id: str
    revision: str | None
    trust_remote_code: bool = False
    load_format: str | None = None


@dataclass(frozen=True)
class Model:
    """A model pinned to a commit, with the files that the engine needs."""

    model_id: str
    revision: str
    files: tuple[ModelFile, ...]
    restricted: bool = False  # gated or private: the bake host needs a token, too

    @property
    def directory(self) -> str:
        """Its folder below the models directory."""
        return model_directory_name(self.model_id)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


class Hub:
    """Looks models up, as the holder of the token that the bake host will use, or as nobody."""

    def __init__(self, url: str, token: str | None = None, *, token_parameter: str | None = None) -> None:
        self._url = url
        self._token = token
        self._parameter = token_parameter
        # The token that a person has saved on this computer would hide that the bake host has none: False, not None.
        self._api = HfApi(endpoint=url, token=token or False)

    def find(self, wanted: Wanted) -> Model:
        """Resolve a model to its commit and files.

        Raises:
            FaultyValueError: there is no such model, it may not be read, or the hub does not answer.
        """
        info = self._ask(wanted)
        try:
            files = tuple(map(_file, info.siblings or ()))
            commit = _text(info.sha)
        except (TypeError, ValueError) as error:
            raise self._odd(wanted, error) from None
        self._refuse_names(wanted, files)
        chosen = needed_files(files, trust_remote_code=wanted.trust_remote_code, load_format=wanted.load_format)
        if not chosen:
            raise _fault(wanted, "holds no weights that SGLang loads (safetensors, or PyTorch's .bin)", _OTHER)
        return Model(wanted.model_id, commit, chosen, bool(info.gated or info.private))

    def _ask(self, wanted: Wanted) -> ModelInfo:
        try:
            info = self._api.model_info(
                wanted.model_id, revision=wanted.revision, files_metadata=True, timeout=TIMEOUT_SECONDS
            )
            if info.gated:
                self._probe(wanted, _text(info.sha))
        except (httpx2.HTTPError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise self._explained(wanted, error) from None
        return info

    def _probe(self, wanted: Wanted, commit: str) -> None:
        """Ask for one file's headers: a gated model is described to everybody and read by few.

        Raises:
            HfHubHTTPError: it may not be read.
        """
        url = f"{self._url}/{wanted.model_id}/resolve/{commit}/{PROBED_FILE}"
        try:
            self._api.get_hf_file_metadata(url=url, timeout=TIMEOUT_SECONDS)
        except EntryNotFoundError:
            return  # access is granted, and the model has no such file

    def _explained(self, wanted: Wanted, error: Exception) -> FaultyValueError:
        explanations: tuple[tuple[type[Exception], Callable[[Wanted, Any], FaultyValueError]], ...] = (
            (OfflineModeIsEnabled, self._offline),
            (GatedRepoError, self._gated),
            (RepositoryNotFoundError, self._missing),
            (RevisionNotFoundError, self._no_revision),
            (DisabledRepoError, self._disabled),
            (HfHubHTTPError, self._http),
            (httpx2.HTTPError, self._unreachable),
            (OSError, self._unreachable),
            (Exception, self._odd),
        )
        return next(explain for kind, explain in explanations if isinstance(error, kind))(wanted, error)

    def _offline(self, wanted: Wanted, _: Exception) -> FaultyValueError:
        return _fault(wanted, "cannot be looked up: HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE")

    def _no_revision(self, wanted: Wanted, _: Exception) -> FaultyValueError:
        remedy = "take a commit from the model's page, or leave model_revision out for the newest"
        rule = f"is no commit of {wanted.model_id}"
        return FaultyValueError(Fault(f"{wanted.path}.model_revision", wanted.revision, rule, remedy))

    def _disabled(self, wanted: Wanted, _: Exception) -> FaultyValueError:
        return _fault(wanted, f"was disabled by {self._url}", _OTHER)

    def _unreachable(self, wanted: Wanted, error: Exception) -> FaultyValueError:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        remedy = "check the network and HTTPS_PROXY, then try again"
        return _fault(wanted, f"cannot be looked up: {self._url} does not answer ({said})", remedy)

    def _odd(self, wanted: Wanted, error: Exception) -> FaultyValueError:
        rule = f"is described by {self._url} in a form unknown here: {error}"
        return _fault(wanted, rule, "check bake.hub_url, or choose another model")

    def _missing(self, wanted: Wanted, _: Exception) -> FaultyValueError:
        # The hub says the same of what is private and what does not exist, so that nobody can tell them apart.
        if self._token:
            return _fault(wanted, f"does not exist on {self._url}, or the token may not see it", _SPELLING)
        remedy = f"{_SPELLING}; for a private model set bake.hub_token_parameter"
        return _fault(wanted, f"does not exist on {self._url}, or is private", remedy)

    def _gated(self, wanted: Wanted, _: Exception) -> FaultyValueError:
        page = f"{self._url}/{wanted.model_id}"
        if self._token:
            rule = f"is gated, and the token in {self._parameter} may not read it"
            return _fault(wanted, rule, f"accept its terms on {page} as the token's owner, or use another token")
        remedy = f"accept its terms on {page}, put a token into an SSM SecureString, set bake.hub_token_parameter to it"
        return _fault(wanted, "is gated, and no token is given", remedy)

    def _http(self, wanted: Wanted, error: HfHubHTTPError) -> FaultyValueError:
        status = error.response.status_code
        if status == UNAUTHORIZED and self._token:
            rule = f"holds a token that {self._url} does not know"
            remedy = "make a new one there (Settings, Access Tokens, kind Read) and put it into the parameter"
            return FaultyValueError(Fault("bake.hub_token_parameter", self._parameter, rule, remedy))
        if status == TOO_MANY:
            remedy = "wait some minutes; with bake.hub_token_parameter the limit is higher"
            return _fault(wanted, f"cannot be looked up: {self._url} limits the rate of requests (429)", remedy)
        said = error.server_message or error.response.reason_phrase
        rule = f"cannot be looked up: {self._url} answered {status} {said}".rstrip()
        return _fault(wanted, rule, "try again later; if it stays, read the hub's status page")

    def _refuse_names(self, wanted: Wanted, files: Iterable[ModelFile]) -> None:
        bad = next((file.path for file in files if not is_safe(file.path)), None)
        if bad is not None:
            raise _fault(wanted, f"has a file that would be written elsewhere: {bad!r}", _OTHER)


_SPELLING: Final = "check the spelling"
_OTHER: Final = "choose another model"


def _fault(wanted: Wanted, rule: str, remedy: str) -> FaultyValueError:
    return FaultyValueError(Fault(f"{wanted.path}.model_id", wanted.model_id, rule, remedy))


def _file(sibling: RepoSibling) -> ModelFile:
    lfs = sibling.lfs
    if lfs is not None:
        return ModelFile(sibling.rfilename, lfs.size, _text(lfs.sha256), None)
    if sibling.size is None:
        raise ValueError(f"{sibling.rfilename} has no size")
    return ModelFile(sibling.rfilename, sibling.size, None, _text(sibling.blob_id))


def _text(value: str | None) -> str:
    if not value:
        raise ValueError("a hash is missing")
    return value

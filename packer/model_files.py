"""Which files of a model's repository an engine needs: pure, by name and size."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

# Configuration, tokenizers and chat templates. README, pictures, logs and other frameworks' weights are left behind.
_KEPT: Final = frozenset({".json", ".txt", ".model", ".jinja", ".tiktoken"})
_CODE: Final = ".py"
# Folders that hold the same weights once more for another program.
_DUPLICATES: Final = frozenset({"coreml", "gguf", "metal", "mlx", "onnx", "openvino", "original", "runs", "tflite"})
# What trainers leave beside the weights, with the weights' own suffix.
_OF_TRAINING: Final = re.compile(r"^(training_args|optimizer|scheduler|rng_state.*|global_step.*)\.", re.IGNORECASE)
# Mistral's repositories hold the weights twice: one file in its own naming beside Hugging Face's shards.
_CONSOLIDATED: Final = re.compile(r"^consolidated.*\.safetensors(\.index\.json)?$")
WeightKind = Literal["safetensors", "consolidated", "pytorch"]
# SGLang 0.5.23, load_format: these read PyTorch's files, or Mistral's own naming, where both are there.
_KIND_OF_FORMAT: Final[dict[str, WeightKind]] = {"pt": "pytorch", "npcache": "pytorch", "mistral": "consolidated"}


@dataclass(frozen=True)
class ModelFile:
    """One file of a commit. LFS files have the SHA-256 of their content, the small ones git's own hash of it."""

    path: str
    size: int
    sha256: str | None
    git_blob: str | None


def is_safe(path: str) -> bool:
    """Whether a path stays inside the folder that it is written to, in every spelling."""
    parts = path.split("/")
    return bool(path) and not {"", ".", ".."} & set(parts) and "\\" not in path and path.isprintable()


def needed_files(
    files: Iterable[ModelFile], *, trust_remote_code: bool = False, load_format: str | None = None
) -> tuple[ModelFile, ...]:
    """The files to put on the image, by path; without weights among them, none at all."""
    useful = sorted((file for file in files if not _is_duplicate(file.path)), key=lambda file: file.path)
    weights = _weights(useful, _KIND_OF_FORMAT.get(load_format or "auto"))
    suffixes = _KEPT | ({_CODE} if trust_remote_code else frozenset())
    others = [file for file in useful if _path(file).suffix.lower() in suffixes and not _index_of_others(file, weights)]
    return tuple(sorted((*weights, *others), key=lambda file: file.path)) if weights else ()


def _path(file: ModelFile) -> PurePosixPath:
    return PurePosixPath(file.path)


def _is_duplicate(path: str) -> bool:
    folders = PurePosixPath(path).parts[:-1]
    return any(folder.lower() in _DUPLICATES or folder.startswith(".") for folder in folders)


def _weights(files: list[ModelFile], wanted: WeightKind | None) -> list[ModelFile]:
    """The weights once: of the kind that is asked for, or of the first kind that is there."""
    kinds: dict[WeightKind, list[ModelFile]] = {"safetensors": [], "consolidated": [], "pytorch": []}
    for file in files:
        if kind := _kind(_path(file)):
            kinds[kind].append(file)
    if wanted:
        return kinds[wanted]
    return next((found for found in kinds.values() if found), [])


def _kind(path: PurePosixPath) -> WeightKind | None:
    if path.suffix == ".safetensors":
        return "consolidated" if _CONSOLIDATED.match(path.name) else "safetensors"
    is_torch = path.suffix in {".bin", ".pt", ".pth"} and not _OF_TRAINING.match(path.name)
    return "pytorch" if is_torch else None


def _index_of_others(file: ModelFile, weights: list[ModelFile]) -> bool:
    """Whether a file is the index of shards that stay behind: an engine that finds it would look for them."""
    name = _path(file).name
    if not name.endswith(".index.json"):
        return False
    kinds = {_kind(_path(weight)) for weight in weights}
    if ".bin." in name:
        return "pytorch" not in kinds
    if _CONSOLIDATED.match(name):
        return "consolidated" not in kinds
    return ".safetensors." in name and "safetensors" not in kinds

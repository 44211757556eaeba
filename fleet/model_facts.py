"""`fleet facts`: read what the fit check must know of a model, from the hub or a folder, without its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from settings.errors import Fault, SettingsError
from settings.fit.facts import GIB, ModelFacts, UnreadableModelError
from settings.fit.known_models import KnownModel
from settings.fit.kv import token_bytes
from settings.fit.model import model_facts
from settings.fit.weights import weight_bytes

HUB = "https://huggingface.co"
_TIMEOUT_SECONDS = 20.0
_LARGEST_FILE = 50_000_000  # bytes; the index of the largest model is some 10 MB
_CATALOGUE = Path("settings/data/models.jsonl")
_NOT_THERE = 404

Reader = Callable[[str], bytes | None]


def read_folder(folder: Path, model_id: str | None = None) -> KnownModel:
    """Return the facts of a model in a local folder.

    Raises:
        SettingsError: there is no config.json, or it cannot be read.
    """

    def read(name: str) -> bytes | None:
        file = folder / name
        return file.read_bytes() if file.is_file() and file.stat().st_size <= _LARGEST_FILE else None

    sizes = [file.stat().st_size for file in sorted(folder.glob("*.safetensors"))]
    return _read(model_id or folder.resolve().name, read, sum(sizes) or None, f"the folder {folder.name}")


def read_hub(model_id: str, revision: str = "main", *, hub: str = HUB, token: str | None = None) -> KnownModel:
    """Return the facts of a model on a hub: two or three small files and, for one that has no index, a size.

    Raises:
        SettingsError: the hub does not answer, does not have the model, or what it has cannot be read.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    page = f"{hub}/{model_id}/resolve/{revision}"
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=True, headers=headers) as client:
            single = client.head(f"{page}/model.safetensors")
            size = int(single.headers.get("x-linked-size") or single.headers.get("content-length") or 0)
            known = size if single.is_success and size else None
            return _read(model_id, lambda name: _get(client, f"{page}/{name}"), known, f"{hub}/{model_id}, {revision}")
    except (httpx.HTTPError, ValueError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _fault(
            model_id, f"cannot be read from {hub} ({said})", "check the id, the network and the token"
        ) from None


def _get(client: httpx.Client, url: str) -> bytes | None:
    answer = client.get(url)
    if answer.status_code == _NOT_THERE:
        return None
    return answer.raise_for_status().content


def _read(model_id: str, read: Reader, size: int | None, source: str) -> KnownModel:
    config = _json(model_id, "config.json", read)
    if config is None:
        raise _fault(model_id, "has no config.json", "name a model of the transformers format, or its folder")
    quantized = _json(model_id, "hf_quant_config.json", read)
    if quantized and not config.get("quantization_config"):
        config = {**config, "quantization_config": {"quant_method": "modelopt", **quantized}}
    index = _json(model_id, "model.safetensors.index.json", read) or {}
    total = index.get("metadata", {}).get("total_size")
    return KnownModel(model_id, config, int(total) if isinstance(total, int | float) and total > 0 else size, source)


def _json(model_id: str, name: str, read: Reader) -> dict[str, Any] | None:
    text = read(name)
    if text is None:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise _fault(model_id, f"has a {name} that is not a JSON object", "repair it or choose another model")
    return data


def _fault(model_id: str, rule: str, remedy: str) -> SettingsError:
    return SettingsError([Fault("model", model_id, rule, remedy)])


def facts_of(known: KnownModel) -> ModelFacts:
    """Return the facts.

    Raises:
        SettingsError: the configuration is of a kind that the arithmetic does not know.
    """
    try:
        return model_facts(known.model_id, known.config, checkpoint_bytes=known.weight_bytes, source=known.source)
    except UnreadableModelError as error:
        raise _fault(
            known.model_id, f"cannot be judged: {error}", "leave it to the engine; there is no verdict"
        ) from None


def to_line(known: KnownModel) -> str:
    """Return a model as a line of the catalogue."""
    entry: Mapping[str, Any] = {
        "id": known.model_id,
        "config": {key: value for key, value in known.config.items() if value is not None},
        **({"bytes": known.weight_bytes} if known.weight_bytes else {}),
        "source": known.source,
    }
    return json.dumps(entry)


def add_line(known: KnownModel, file: Path = _CATALOGUE) -> None:
    """Write a model's line into the catalogue, in the place of an earlier one."""
    lines = file.read_text(encoding="utf-8").splitlines()
    notes = [line for line in lines if line.startswith("//")]
    models = {json.loads(line)["id"].lower(): line for line in lines if line and not line.startswith("//")}
    models[known.model_id.lower()] = to_line(known)
    file.write_text("\n".join([*notes, *(models[key] for key in sorted(models))]) + "\n", encoding="utf-8")


Model = Annotated[str, typer.Argument(help="Model id on the hub, or a folder with a config.json.", metavar="MODEL")]
Name = Annotated[str | None, typer.Option(help="Id under which settings name a folder's model.", metavar="MODEL_ID")]
Commit = Annotated[str, typer.Option(help="Commit or branch on the hub.")]
Hub = Annotated[str, typer.Option(help="Address of the hub or a mirror of it.")]
Token = Annotated[
    str | None, typer.Option(envvar="HF_TOKEN", help="Token for a model whose terms one must accept.", show_envvar=True)
]
Add = Annotated[bool, typer.Option("--add", help="Write the model into settings/data/models.jsonl.")]


def facts(  # noqa: PLR0913, PLR0917 - the options of a verb
    model: Model,
    name: Name = None,
    revision: Commit = "main",
    hub: Hub = HUB,
    token: Token = None,
    add: Add = False,
) -> None:
    """Read a model's size and shape, so that settings can be checked for whether it fits."""
    known = read_folder(Path(model), name) if Path(model).is_dir() else read_hub(model, revision, hub=hub, token=token)
    found = facts_of(known)
    stored = f", {found.quantization.method} {found.quantization.scheme}".rstrip() if found.quantization else ""
    typer.echo(
        f"{found.model_id}: {found.architecture}{stored}, {found.sizes.layers} layers, {found.sizes.heads} heads"
    )
    typer.echo(f"weights {weight_bytes(found) / GIB:.1f} GiB, cache {token_bytes(found):,.0f} bytes for a token")
    if add:
        add_line(known)
        typer.echo(f"written to {_CATALOGUE}; commit it")

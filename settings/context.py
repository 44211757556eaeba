"""From the CDKTF context to settings: which environment file, and what to put over it.

Precedence, highest first: `--set` of `fleet` (which it adds to CDKTF_CONTEXT_JSON), CDKTF_CONTEXT_JSON, the context
in `cdktf.json`, the environment file, defaults.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from settings.errors import ABSENT, Fault, SettingsError
from settings.load import load_settings
from settings.overrides import ENVIRONMENT_KEY, merge_overrides, overrides_from_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.model import Settings

CONTEXT_VARIABLE = "CDKTF_CONTEXT_JSON"
CDKTF_FILE = Path("cdktf.json")
_NONE: Mapping[str, object] = MappingProxyType({})


def settings_from_context(
    environ: Mapping[str, str], *, folder: Path = Path(), strongest: Mapping[str, object] = _NONE
) -> Settings:
    """Return the settings of the environment file that the context names, with the context's other keys over it.

    `folder` holds `cdktf.json`; a relative environment path starts there.

    Raises:
        SettingsError: with every fault of context and file.
    """
    from_variable = _table(CONTEXT_VARIABLE, environ.get(CONTEXT_VARIABLE) or "{}")
    merged = merge_overrides(strongest, from_variable, _from_file(folder / CDKTF_FILE))
    environment = merged.get(ENVIRONMENT_KEY)
    if not isinstance(environment, str) or not environment:
        given = ABSENT if environment is None else environment
        remedy = f'write "{ENVIRONMENT_KEY}": "environments/example.toml" in {CDKTF_FILE}'
        raise SettingsError([Fault(ENVIRONMENT_KEY, given, "names no environment file", remedy)])
    return load_settings(folder / environment, overrides_from_context(merged))


def _from_file(file: Path) -> dict[str, object]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    content = _table(str(file), text)
    context = content.get("context", {})
    if not isinstance(context, dict):
        raise SettingsError([Fault(f"{file}: context", context, "is not a table", "write it as {…}")])
    pointer = {ENVIRONMENT_KEY: content[ENVIRONMENT_KEY]} if ENVIRONMENT_KEY in content else {}
    return pointer | context


def _table(source: str, text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        fault = Fault(source, ABSENT, f"is not JSON: {error}", 'write it like {"instance_type": "g5.12xlarge"}')
        raise SettingsError([fault]) from None
    if not isinstance(value, dict):
        raise SettingsError([Fault(source, value, "is not a table", 'write it like {"instance_type": "g5.12xlarge"}')])
    return value

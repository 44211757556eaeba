"""The CDKTF app: context, settings, stacks, synth. `cdktf` runs it; `fleet synth` does too."""

from __future__ import annotations

import os
import sys

from settings.context import settings_from_context
from settings.errors import SettingsError

# jsii prints a banner on standard error for Node releases past their end of life. The variable lists major versions.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")


def main() -> int:
    """Synthesize every stack of the environment that the context names; 0, or 2 when the settings have faults."""
    try:
        settings = settings_from_context(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the CLI shows it as it is
        return 2
    # Imported here: faulty settings are reported in a fraction of the seconds that this takes.
    from cdktf import App  # noqa: PLC0415

    from stacks.app import build_app  # noqa: PLC0415

    app = App()
    build_app(app, settings)
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())

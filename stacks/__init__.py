"""The stacks: each is `XInputs → XStack → XOutputs`; `stacks.app.build_app` wires them."""

from stacks import lazy_provider

lazy_provider.install()

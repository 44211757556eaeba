"""The address that this computer has on the Internet: the only one that the bake host's firewall lets in."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from typing import Final

import httpx

from packer.errors import BakeError

SERVICE: Final = "https://checkip.amazonaws.com"  # AWS's own, over IPv4 only
TIMEOUT_SECONDS: Final = 10.0
_REMEDY: Final = "set bake.ssh_cidrs to the block you connect from"


def public_block(service: str = SERVICE) -> str:
    """Ask which address requests from here come from.

    Raises:
        BakeError: the service does not say.
    """
    try:
        answer = httpx.get(service, timeout=TIMEOUT_SECONDS).raise_for_status()
        return f"{IPv4Address(answer.text.strip())}/32"
    except httpx.HTTPError as error:
        raise BakeError(f"{service} does not tell this computer's address ({error}); {_REMEDY}") from None
    except AddressValueError:
        raise BakeError(f"{service} answers something else than an address; {_REMEDY}") from None

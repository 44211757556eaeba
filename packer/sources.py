"""What a bake starts from: base images and models. Everything that is wrong with them is reported at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from settings.errors import Fault, FaultyValueError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packer.account import Account
    from packer.hub import Hub, Model
    from packer.image import Image
    from packer.site import BakeSite
    from packer.targets import Need
    from settings.bake import BakeSettings

_DENIED = frozenset({"AccessDeniedException", "AccessDenied"})
_ABSENT = frozenset({"ParameterNotFound"})


def base_images(
    account: Account, bake: BakeSettings, site: BakeSite, needs: Iterable[Need]
) -> tuple[dict[str, str], list[Fault]]:
    """The base image of each stack, and what is wrong with them."""
    needs = tuple(needs)
    named = {need.stack: bake.base_parameter(need.role, need.architecture) for need in needs}
    asked = {named[need.stack] for need in needs if need.role not in site.base_images}
    values = account.parameters(asked)
    chosen = {need.stack: site.base_images.get(need.role) or values.get(named[need.stack], "") for need in needs}
    seen = {image_id: account.image(image_id) for image_id in {*chosen.values()} - {""}}
    faults = [
        fault for need in needs for fault in _base_faults(need, named[need.stack], chosen[need.stack], seen, account)
    ]
    return chosen, faults


def _base_faults(
    need: Need, parameter: str, image_id: str, seen: Mapping[str, Image | None], account: Account
) -> list[Fault]:
    path = f"bake.{need.role}_base_parameter"
    if not image_id:
        rule = f"is no SSM parameter in {account.region}"
        return [Fault(path, parameter, rule, "correct region, or set the parameter that names your base image")]
    image = seen[image_id]
    if image is None:
        rule = f"holds {image_id}, which is no image in {account.region}"
        return [Fault(path, parameter, rule, "put the id of an image of this region there")]
    return [*_wrong_processor(need, path, parameter, image), *_too_large(need, image)]


def _wrong_processor(need: Need, path: str, parameter: str, image: Image) -> list[Fault]:
    if image.architecture in ("", need.architecture):
        return []
    rule = f"holds {image.image_id}, which is for {image.architecture}, and {need.path} needs {need.architecture}"
    return [Fault(path, parameter, rule, f"name an image for {need.architecture}, or leave the key out")]


def _too_large(need: Need, image: Image) -> list[Fault]:
    size = next((volume.size_gib for volume in image.volumes if volume.device == image.root_device), 0)
    if size <= need.root_gib:
        return []
    rule = f"is smaller than the {size} GiB of the base image {image.image_id}"
    return [Fault(f"{need.path}.volume.size_gib", need.root_gib, rule, f"raise it to {size} or more")]


def models(hub: Hub, needs: Iterable[Need]) -> tuple[dict[str, Model], list[Fault]]:
    """The model of each stack that has one, and what is wrong with them. Equal models are looked up once."""
    found: dict[str, Model] = {}
    faults: list[Fault] = []
    known: dict[tuple[object, ...], Model] = {}
    for need in needs:
        wanted = need.wanted
        if wanted is None:
            continue
        same = (wanted.model_id, wanted.revision, wanted.trust_remote_code, wanted.load_format)
        try:
            known[same] = found[need.stack] = known.get(same) or hub.find(wanted)
        except FaultyValueError as error:
            faults += error.faults
    return found, faults


def hub_token(account: Account, parameter: str | None) -> str | None:
    """The token of the model hub, when the settings say where it is.

    Raises:
        SettingsError: it is not there, may not be read, or lies there in clear.
    """
    if parameter is None:
        return None
    path = "bake.hub_token_parameter"
    try:
        token, is_secure = account.secret(parameter)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _ABSENT:
            remedy = "put the token there: aws ssm put-parameter --type SecureString --name NAME --value file://FILE"
            raise SettingsError([Fault(path, parameter, f"is no SSM parameter in {account.region}", remedy)]) from None
        if code in _DENIED:
            remedy = "allow ssm:GetParameter on it, and kms:Decrypt on its key"
            raise SettingsError([Fault(path, parameter, "may not be read with these credentials", remedy)]) from None
        raise
    if not is_secure:
        remedy = "store it again as a SecureString, and make a new token: the old one was readable"
        raise SettingsError([Fault(path, parameter, "is a plain parameter, not a SecureString", remedy)])
    if not token.strip().isprintable() or " " in token.strip() or not token.strip():
        raise SettingsError([Fault(path, parameter, "holds no token", "put one line there: hf_…")])
    return token.strip()

"""What the router itself says: ready or not, and which workers it sends requests to. Its silence is an answer too."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import boto3
import httpx
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from fleet.api_key import read_api_key
from fleet.fleet_view import LOOKING

if TYPE_CHECKING:
    from settings.model import Settings

ASK_SECONDS = 3.0
"""The router answers both questions from memory; from outside the VPC nothing comes back at all."""


class RoutedWorker(BaseModel):
    """One worker as smg 1.13.0 lists it (`GET /workers`): `load` is its requests in flight."""

    model_config = ConfigDict(frozen=True)

    url: str
    status: str = ""
    load: int | None = None


class _Readiness(BaseModel):
    status: str
    reason: str | None = None


class _Workers(BaseModel):
    workers: tuple[RoutedWorker, ...]


@dataclass(frozen=True)
class RouterView:
    """`readiness` is a sentence; `workers` is None when the router did not tell, and `note` says why."""

    url: str
    ready: bool
    readiness: str
    workers: tuple[RoutedWorker, ...] | None = None
    note: str | None = None

    def routed(self, url: str | None) -> RoutedWorker | None:
        """The entry of the worker at `url`."""
        return next((worker for worker in self.workers or () if worker.url == url), None)


def read_router(settings: Settings) -> RouterView:
    """Ask the router at its fixed address. Nothing that it does or does not answer is an error."""
    router = settings.router
    url = f"{'https' if router.tls else 'http'}://{router.address}:{router.port}"
    # Without proxies: the router has a private address.
    with httpx.Client(base_url=url, trust_env=False, timeout=ASK_SECONDS) as http:
        try:
            ready, readiness = _readiness(http.get("/readiness"))
        except httpx.HTTPError as error:
            return RouterView(url, ready=False, readiness=f"unreachable from here: {_told(error)}")
        try:
            workers = _listed(http, settings)
        except (httpx.HTTPError, ValidationError, _NotToldError) as error:
            return RouterView(url, ready, readiness, note=f"its workers are not known: {_told(error)}")
    return RouterView(url, ready, readiness, workers)


class _NotToldError(Exception):
    """The router was asked for its workers, or the key for it, in vain."""


def _readiness(answer: httpx.Response) -> tuple[bool, str]:
    try:
        told = _Readiness.model_validate_json(answer.content)
    except ValidationError:
        return False, f"/readiness answered {answer.status_code}"
    return answer.status_code == HTTPStatus.OK, f"{told.status}: {told.reason}" if told.reason else told.status


def _listed(http: httpx.Client, settings: Settings) -> tuple[RoutedWorker, ...]:
    key = _key(settings)
    answer = http.get("/workers", headers={"Authorization": f"Bearer {key}"} if key else {})
    if answer.status_code != HTTPStatus.OK:
        raise _NotToldError(f"/workers answered {answer.status_code}")
    return _Workers.model_validate_json(answer.content).workers


def _key(settings: Settings) -> str | None:
    name = settings.api_key_parameter
    if name is None:
        return None
    try:
        return read_api_key(boto3.client("ssm", region_name=settings.region, config=LOOKING), name)
    except ClientError as error:  # an operator may see the fleet without being allowed to read the key
        raise _NotToldError(f"API key {name}: {error.response['Error']['Code']}") from error


def _told(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

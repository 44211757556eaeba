"""The instance metadata service, version 2: who this host is. The only file that knows its address.

EC2 user guide, "Use the Instance Metadata Service to access instance metadata".
"""

from __future__ import annotations

import os
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from types import TracebackType

ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
"""The variable that the AWS SDKs read too."""

DEFAULT_ENDPOINT = "http://169.254.169.254"
TOKEN_SECONDS = 21_600  # the longest life that the service grants
TIMEOUT_SECONDS = 2.0  # it answers from the hypervisor within milliseconds; boto3's own default is 1 s
RETRY_WAITS_SECONDS = (0.2, 0.5, 1.0)


class MetadataError(RuntimeError):
    """The metadata service did not answer, or not with what was asked for."""


class Identity(BaseModel):
    """The instance identity document, as far as it is used."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    instance_id: str = Field(alias="instanceId")
    private_ip: str = Field(alias="privateIp")
    region: str
    availability_zone: str = Field(alias="availabilityZone")
    instance_type: str = Field(alias="instanceType")


class SpotNotice(BaseModel):
    """EC2 takes this spot instance back at `time` (two minutes ahead, usually)."""

    model_config = ConfigDict(frozen=True)

    action: str
    time: AwareDatetime


class MetadataClient:
    """Reads metadata with a session token, which it renews when the service no longer takes it."""

    def __init__(self, endpoint: str | None = None, waits: tuple[float, ...] = RETRY_WAITS_SECONDS) -> None:
        """`waits`: seconds before each further try after a timeout, a refused connection or a 5xx answer."""
        base = endpoint or os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT
        # trust_env=False: a proxy from the environment must never see instance metadata.
        self._http = httpx.Client(base_url=base.rstrip("/"), timeout=TIMEOUT_SECONDS, trust_env=False)
        self._waits = waits
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def identity(self) -> Identity:
        """Return who this host is.

        Raises:
            MetadataError: no answer, or a document without what is needed.
        """
        path = "/latest/dynamic/instance-identity/document"
        text = self.get(path)
        if text is None:
            raise MetadataError(f"{path}: the metadata service has no such document; is this an EC2 instance?")
        try:
            return Identity.model_validate_json(text)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
            raise MetadataError(f"{path}: cannot read {fields or 'it'}") from error

    def target_lifecycle_state(self) -> str | None:
        """Return where Auto Scaling takes this instance (InService, Terminated, Warmed:Stopped, …), None outside one.

        Auto Scaling user guide, "Retrieve the target lifecycle state through instance metadata".

        Raises:
            MetadataError: no answer.
        """
        text = self.get("/latest/meta-data/autoscaling/target-lifecycle-state")
        return text.strip() if text else None

    def spot_notice(self) -> SpotNotice | None:
        """Return EC2's announcement that it takes this instance back, if there is one.

        EC2 user guide, "Spot Instance interruption notices".

        Raises:
            MetadataError: no answer, or one that cannot be read.
        """
        path = "/latest/meta-data/spot/instance-action"
        text = self.get(path)
        if text is None:
            return None
        try:
            return SpotNotice.model_validate_json(text)
        except ValidationError as error:
            raise MetadataError(f"{path}: cannot read {text[:100]!r}") from error

    def rebalance_recommended(self) -> bool:
        """Return whether EC2 sees a raised risk of interruption (EC2 user guide, "instance rebalance recommendations").

        Raises:
            MetadataError: no answer.
        """
        return self.get("/latest/meta-data/events/recommendations/rebalance") is not None

    def get(self, path: str) -> str | None:
        """Return the text at `path`, or None where there is none (404: for example no spot notice).

        Raises:
            MetadataError: no answer after the retries, or an answer that means neither.
        """
        answer = self._ask(path)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:  # the token has expired
            self._token = None
            answer = self._ask(path)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if answer.status_code != HTTPStatus.OK:
            raise MetadataError(f"{path}: the metadata service answered {answer.status_code}")
        return answer.text

    def _ask(self, path: str) -> httpx.Response:
        if self._token is None:
            self._token = self._new_token()
        return self._send("GET", path, {"X-aws-ec2-metadata-token": self._token})

    def _new_token(self) -> str:
        path = "/latest/api/token"
        answer = self._send("PUT", path, {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)})
        if answer.status_code != HTTPStatus.OK:
            raise MetadataError(f"{path}: the metadata service answered {answer.status_code} and gave no token")
        return answer.text

    def _send(self, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
        for wait in (*self._waits, None):
            try:
                answer = self._http.request(method, path, headers=headers)
            except httpx.TransportError as error:
                if wait is None:
                    raise MetadataError(f"{path}: no answer from the metadata service ({error})") from error
            else:
                if wait is None or answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return answer
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")  # pragma: no cover

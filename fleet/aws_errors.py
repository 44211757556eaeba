"""Failures of AWS and of tools as one sentence with a remedy and an exit code, never a traceback."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, ParamSpec

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from fleet.cdktf import CdktfError
from fleet.fleet_view import NotFoundError
from rehearsal.tools import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
FAILED, BAD_INPUT = 1, 2
# IAM and EC2, "common errors": the keys are wrong, of another partition, or over.
BAD_CREDENTIALS = frozenset(
    {"AuthFailure", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)


def explained(function: Callable[P, None]) -> Callable[P, None]:
    """Let a verb end with one line on standard error instead of a traceback: 2 what the user can mend, 1 the rest."""
    return _explained(function, FAILED)


def explained_look(function: Callable[P, None]) -> Callable[P, None]:
    """Do the same for a verb whose exit code 1 is an answer: whatever keeps it from answering is a 2."""
    return _explained(function, BAD_INPUT)


def _explained(function: Callable[P, None], failed: int) -> Callable[P, None]:
    @functools.wraps(function)
    def verb(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except MissingToolError as error:
            _end(BAD_INPUT, str(error))
        except NoCredentialsError:
            _end(BAD_INPUT, "AWS credentials: none found; set AWS_PROFILE, or run `aws configure`")
        except NotFoundError as error:
            _end(BAD_INPUT, str(error))
        except EndpointConnectionError as error:
            _end(BAD_INPUT, f"AWS: {error}; check the region of the settings, the network, and AWS_ENDPOINT_URL if set")
        except ClientError as error:
            details = error.response["Error"]
            code = BAD_INPUT if details["Code"] in BAD_CREDENTIALS else failed
            _end(code, f"AWS {error.operation_name}: {details['Code']}: {details['Message']}")
        except BotoCoreError as error:
            _end(failed, f"AWS: {error}")
        except CdktfError as error:
            _end(failed, str(error))

    return verb


def _end(code: int, message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201 - plain lines, so that a shell can read them
    sys.exit(code)

"""Failures of AWS and of tools as one sentence with a remedy and an exit code, never a traceback."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, ParamSpec

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from fleet.cdktf import CdktfError
from rehearsal.tools import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
FAILED, BAD_INPUT = 1, 2


def explained(function: Callable[P, None]) -> Callable[P, None]:
    """Let a verb end with one line on standard error instead of a traceback: 2 what the user can mend, 1 the rest."""

    @functools.wraps(function)
    def verb(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except MissingToolError as error:
            _end(BAD_INPUT, str(error))
        except NoCredentialsError:
            _end(BAD_INPUT, "AWS credentials: none found; set AWS_PROFILE, or run `aws configure`")
        except ClientError as error:
            details = error.response["Error"]
            _end(FAILED, f"AWS {error.operation_name}: {details['Code']}: {details['Message']}")
        except BotoCoreError as error:
            _end(FAILED, f"AWS: {error}")
        except CdktfError as error:
            _end(FAILED, str(error))

    return verb


def _end(code: int, message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201 - plain lines, so that a shell can read them
    sys.exit(code)

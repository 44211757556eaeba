"""What holds for every test: no real account can be reached, and a property test tries the same examples each time."""

from __future__ import annotations

import os

from hypothesis import settings

# Whatever the person running the tests has set must neither change a result nor be used.
FOREIGN = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "CDKTF_CONTEXT_JSON",
    "SGLANG_FLEET_ROOT",
)
MADE_UP = {
    "AWS_ACCESS_KEY_ID": "AKIAMADEUPFORTESTS",
    "AWS_SECRET_ACCESS_KEY": "made-up-for-tests",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20",
}


def pytest_configure() -> None:
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(MADE_UP)
    # No deadline: two cores are shared with whatever else runs. Derandomized: a red test is red for everybody.
    settings.register_profile("repository", deadline=None, derandomize=True)
    settings.load_profile("repository")

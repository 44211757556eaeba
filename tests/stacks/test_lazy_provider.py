from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stacks import lazy_provider
from tests.stacks.synthesized import REPOSITORY

pytestmark = pytest.mark.slow
COUNT_MODULES = """
import json, sys
from stacks import lazy_provider
from cdktf_cdktf_provider_aws.vpc import Vpc
package = lazy_provider.PROVIDER_PACKAGE
loaded = [name for name in sys.modules if name.startswith(package + ".")]
print(json.dumps({"loaded": len(loaded), "again": lazy_provider.install(), "class": Vpc.__name__}))
"""


def test_only_what_is_imported_is_loaded() -> None:
    output = subprocess.run(
        [sys.executable, "-c", COUNT_MODULES], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout
    seen = json.loads(output)
    assert seen["class"] == "Vpc"
    assert seen["again"] is False, "a second call changes nothing"
    assert seen["loaded"] < 10, "of more than two thousand"


def test_a_package_that_is_not_installed_is_named_with_the_remedy() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_provider is not installed; run `make setup`"):
        lazy_provider.install("no_such_provider")

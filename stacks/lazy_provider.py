"""Import single resources of the AWS provider package without importing all 2,139 of its modules.

`cdktf_cdktf_provider_aws/__init__.py` imports every submodule, which costs most of a synth
(`benchmarks/synth.py` measures it). A package only has to be *present* in `sys.modules`, with its `__path__`, for
`from cdktf_cdktf_provider_aws.vpc import Vpc` to find the submodule, so `install` puts the package there unexecuted.
Submodules, and the jsii assembly that each of them loads, run as usual; the output is the same.

Call `install` before the first import from the provider package. `stacks/__init__.py` does.
"""

from __future__ import annotations

import importlib.util
import sys

PROVIDER_PACKAGE = "cdktf_cdktf_provider_aws"


def install(package: str = PROVIDER_PACKAGE) -> bool:
    """Register `package` unexecuted; True when it did, False when the package was imported before.

    Raises ModuleNotFoundError with the remedy when the package is not installed.
    """
    if package in sys.modules:
        return False
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"{package} is not installed; run `make setup`", name=package)
    sys.modules[package] = importlib.util.module_from_spec(spec)
    return True

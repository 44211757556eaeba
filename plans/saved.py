"""Plans from files: what `terraform plan -out` wrote, or what `terraform show -json` printed of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from plans.change import StackPlan
from plans.terraform import Terraform
from plans.terraform_json import BadPlanError, read_plan

ZIP = b"PK\x03\x04"  # a plan file is a zip archive


def read_files(files: Sequence[Path], terraform: Callable[[], Terraform]) -> tuple[StackPlan, ...]:
    """Read saved plans, each of another stack.

    Args:
        files: of either kind.
        terraform: called only when a file is not JSON.

    Raises:
        BadPlanError: a file is no plan, or two are of the same stack.
        MissingToolError: there is no Terraform to read a plan file with.
        TerraformError: it fails.
    """
    plans: dict[str, StackPlan] = {}
    for file in files:
        plan = read_plan(_text(file, terraform), _source(file))
        if plan.stack in plans:
            raise BadPlanError(f"{file}: a second plan of stack {plan.stack}; give one for each stack")
        plans[plan.stack] = plan
    return tuple(plans.values())


def _text(file: Path, terraform: Callable[[], Terraform]) -> bytes:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise BadPlanError(f"{file}: no such file; give what `terraform plan -out=FILE` wrote") from None
    except IsADirectoryError:
        raise BadPlanError(f"{file}: is a folder; name the plan files in it") from None
    except OSError as error:
        raise BadPlanError(f"{file}: cannot be read ({error.strerror})") from None
    if not content.startswith(ZIP):
        return content
    with tempfile.TemporaryDirectory(prefix="fleet-plan-") as scratch:
        return terraform().show(file, Path(scratch))


def _source(file: Path) -> str:
    """How messages name a file; also the stack's name when the plan does not tell it."""
    return str(file)

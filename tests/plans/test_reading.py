from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from plans.change import Action
from plans.saved import read_files
from plans.terraform import Terraform, first_error
from plans.terraform_json import BadPlanError, read_plan
from tests.plans.made_up import FIXTURES, change, document, plan

if TYPE_CHECKING:
    from pathlib import Path


def never() -> Terraform:
    pytest.fail("JSON needs no Terraform")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "neither a plan file nor JSON"),
        ("\x00\x01", "neither a plan file nor JSON"),
        ('{"resource_changes": ', "neither a plan file nor JSON"),
        ("[" * 100_000, "neither a plan file nor JSON"),
        ("[]", "not of a Terraform plan"),
        ('{"version": 4, "resources": []}', "not of a Terraform plan"),
        ('{"format_version": "1.0", "values": {}}', "holds no plan"),
        ('{"format_version": "2.0", "resource_changes": []}', "plan format 2.0"),
        ('{"format_version": "0.2", "resource_changes": []}', "plan format 0.2"),
        ('{"format_version": "1.2", "resource_changes": [{"address": 7}]}', "resource_changes.0.address"),
        ('{"format_version": "1.2", "resource_changes": [], "errored": true}', "Terraform failed while it planned"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(BadPlanError) as caught:
        read_plan(text, "a.json")
    assert str(caught.value).startswith("a.json: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_action_of_a_later_terraform_is_not_taken_for_none() -> None:
    with pytest.raises(BadPlanError, match="does dance"):
        plan("router", change("aws_instance", "dance"))


def test_members_of_a_later_format_are_passed_over() -> None:
    later = {**document("router"), "format_version": "1.9", "new_member": {"a": 1}}
    assert read_plan(json.dumps(later), "x").stack == "router"


def test_secrets_are_masked() -> None:
    found = plan(
        "router",
        change(
            "aws_ssm_parameter",
            "update",
            before={"value": "hunter1", "deep": [{"key": "hunter2"}]},
            after={"value": "hunter3", "deep": [{"key": "hunter4"}]},
            before_sensitive={"value": True, "deep": [{"key": True}]},
            after_sensitive={"value": True, "deep": [{"key": True}]},
        ),
    )
    assert "hunter" not in repr(found)


def test_reading_data_is_no_change() -> None:
    data: dict[str, Any] = {**change("aws_ami", "read"), "mode": "data"}
    assert plan("router", data).changes == ()


def test_what_reads_back_empty_in_another_way_has_not_drifted() -> None:
    def drifted(before: object, after: object) -> int:
        item = change("aws_launch_template", "update", before={"x": before}, after={"x": after})
        text = json.dumps({**document("router"), "resource_drift": [item]})
        return len(read_plan(text, "x").drifted)

    assert drifted([{"a": None, "b": 1}], [{"a": [], "b": 1}]) == 0
    assert drifted(None, ["rule of another resource"]) == 0
    assert drifted([{"a": None, "b": 1}], [{"a": None, "b": 2}]) == 1


def test_forgotten_resources_stay_in_the_account() -> None:
    (found,) = plan("router", change("aws_instance", "forget", before={})).changes
    assert found.action is Action.FORGET


def test_files_are_read_each_as_a_stack(tmp_path: Path) -> None:
    files = sorted((FIXTURES / "shrink").glob("*.json"))
    assert {found.stack for found in read_files(files, never)} == {file.stem for file in files}
    with pytest.raises(BadPlanError, match="a second plan of stack logs"):
        read_files([files[0], files[0]], never)
    with pytest.raises(BadPlanError, match="is a folder; name the plan files in it"):
        read_files([tmp_path], never)
    with pytest.raises(BadPlanError, match="no such file"):
        read_files([tmp_path / "none.json"], never)


def test_terraforms_error_becomes_one_line() -> None:
    text = """
╷
│ Error: Resource postcondition failed
│
│   on cdk.tf.json line 21, in data.aws_ami.image.lifecycle.postcondition[1]:
│   21:             "condition": "${self.x}",
│     ├────────────────
│     │ self.tags is map of string with 5 elements
│
│ The image that SSM parameter /a names has no volume; run `fleet bake`.
╵
"""
    assert first_error(text) == (
        "Resource postcondition failed The image that SSM parameter /a names has no volume; run `fleet bake`."
    )
    assert first_error(text * 2).endswith("(and 1 more)")

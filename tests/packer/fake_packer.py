#!/usr/bin/env python3
"""Stands for Packer: says what it says, makes in the emulated EC2 what it makes, and cleans up, or does not.

FAKE_PACKER holds how it behaves: `version`, `say` (lines after the connection), `fail` (the role whose build ends with
1 behind them), `hang` (wait for an interrupt), `stubborn` (do not even end on one), `tidy` (whether it cleans up),
`half_made` (an image is there when it fails).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

HOW: dict[str, Any] = {
    "version": "1.6.6",
    "say": [],
    "fail": None,
    "hang": False,
    "stubborn": False,
    "tidy": True,
    "half_made": False,
}
HOW |= json.loads(os.environ.get("FAKE_PACKER", "{}"))
BUILDER = "amazon-ebs.image"


class InterruptedRunError(Exception):
    pass


def write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(text: str, mark: str = "==>") -> None:
    write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ')}: {mark} {BUILDER}: {text}")


def on_interrupt(*_: object) -> None:
    with Path(os.environ["FAKE_PACKER_SIGNALS"]).open("a") as file:
        file.write("interrupt\n")
    if not HOW["stubborn"]:
        raise InterruptedRunError


def value_file(words: list[str]) -> dict[str, Any]:
    (name,) = [word.partition("=")[2] for word in words if word.startswith("-var-file=")]
    values: dict[str, Any] = json.loads(Path(name).read_text())
    return values


def client(values: dict[str, Any]) -> Any:
    import boto3  # noqa: PLC0415 - a second that `version` and `validate` need not take

    return boto3.client("ec2", region_name=values["region"])


def launch(ec2: Any, values: dict[str, Any]) -> tuple[str, str, str]:
    bake = values["run_tags"]["sglang-fleet:bake"]
    say("Prevalidating any provided VPC information")
    say(f"Creating temporary keypair: sglang-fleet-bake-{bake}")
    pair = ec2.create_key_pair(KeyName=f"sglang-fleet-bake-{bake}")["KeyName"]
    group = f"packer_{bake}"
    say(f"Creating temporary security group for this instance: {group}")
    group_id = ec2.create_security_group(GroupName=group, Description="Temporary group for Packer")["GroupId"]
    say("Launching a source AWS instance...")
    instance = ec2.run_instances(
        ImageId=values["base_image"],
        InstanceType=values["instance_type"],
        KeyName=pair,
        SecurityGroupIds=[group_id],
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": values["root_volume_gib"], "DeleteOnTermination": True}}
        ],
        MinCount=1,
        MaxCount=1,
    )["Instances"][0]["InstanceId"]
    say(f"Instance ID: {instance}", "   ")
    tags = [{"Key": key, "Value": value} for key, value in values["run_tags"].items()]
    ec2.create_tags(Resources=[instance], Tags=tags)
    return pair, group_id, instance


def provision() -> None:
    say("Using ssh communicator to connect: 127.64.0.9")
    say("Waiting for SSH to become available...")
    say("Connected to SSH!")
    say("Uploading staging/ => /tmp/sglang-fleet-bake/")
    for line in HOW["say"]:
        say(line, "   ")
    while HOW["hang"]:
        time.sleep(0.1)


def make_image(ec2: Any, values: dict[str, Any], instance: str) -> str:
    say("Stopping the source instance...")
    say(f"Creating AMI {values['ami_name']} from instance {instance}")
    image: str = ec2.create_image(InstanceId=instance, Name=values["ami_name"])["ImageId"]
    say(f"AMI: {image}", "   ")
    return image


def tag_image(ec2: Any, values: dict[str, Any], image: str) -> None:
    told = ec2.describe_images(ImageIds=[image])["Images"][0]
    snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in told["BlockDeviceMappings"] if "Ebs" in mapping]
    tags = [{"Key": key, "Value": value} for key, value in values["tags"].items()]
    ec2.create_tags(Resources=[image, *snapshots], Tags=tags)


def clean_up(ec2: Any, pair: str, group: str, instance: str) -> None:
    if HOW["tidy"]:
        say("Terminating the source AWS instance...")
        ec2.terminate_instances(InstanceIds=[instance])
        say("Deleting temporary security group...")
        ec2.delete_security_group(GroupId=group)
        say("Deleting temporary keypair...")
        ec2.delete_key_pair(KeyName=pair)


def manifest(values: dict[str, Any], image: str) -> None:
    say("Running post-processor: manifest")
    build = {"artifact_id": f"{values['region']}:{image}", "packer_run_uuid": "run"}
    output = Path(values["output"])
    (output / "packer-manifest.json").write_text(json.dumps({"builds": [build], "last_run_uuid": "run"}))
    (output / "sbom.cdx.json").write_text("{}")


def look_at_token(values: dict[str, Any]) -> None:
    token = values["token_file"]
    with Path(os.environ.get("FAKE_PACKER_TOKEN", os.devnull)).open("a") as file:
        told = f"{Path(token).stat().st_mode & 0o777:o} {Path(token).read_text()} {token}" if token else "none"
        file.write(f"{values['role']} {told}\n")


def build(values: dict[str, Any]) -> int:
    ec2 = client(values)
    look_at_token(values)
    made = launch(ec2, values)
    try:
        provision()
        if HOW["half_made"]:
            make_image(ec2, values, made[2])
        if HOW["fail"] == values["role"]:
            write(f"Build '{BUILDER}' errored after 3 seconds: Script exited with non-zero exit status: 1")
            return 1
        image = make_image(ec2, values, made[2])
        tag_image(ec2, values, image)
    except InterruptedRunError:
        write("Cancelling build after receiving interrupt")
        return 1
    finally:
        clean_up(ec2, *made)
    manifest(values, image)
    return 0


def main() -> int:
    command, *words = sys.argv[1:]
    with Path(os.environ.get("FAKE_PACKER_CALLS", os.devnull)).open("a") as file:
        file.write(
            f"{command} {json.dumps(sorted(path.name for path in Path(words[-1]).iterdir()) if words else [])}\n"
        )
    if command == "version":
        write(f"Packer v{HOW['version']}")
        return 0
    if command == "init":
        return 0
    values = value_file(words)
    if command == "validate":
        return 0
    signal.signal(signal.SIGINT, on_interrupt)
    return build(values)


if __name__ == "__main__":
    sys.exit(main())

"""What is read from Packer's output. `output/` holds what Packer 1.6.6 said to an emulated EC2, built.txt shortened."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer.transcript import Transcript

OUTPUT = Path(__file__).parent / "output"


def read(name: str) -> tuple[Transcript, list[str]]:
    transcript = Transcript()
    lines = (OUTPUT / name).read_text().splitlines()
    return transcript, [phase.name for line in lines if (phase := transcript.feed(line))]


def fed(*lines: str) -> Transcript:
    transcript = Transcript()
    for line in lines:
        transcript.feed(line)
    return transcript


def test_a_build_goes_through_packers_phases_and_those_of_the_scripts() -> None:
    transcript, phases = read("built.txt")
    packers = ["check", "launch", "connect", "upload"]
    scripts = ["base", "cloudwatch-agent", "nvidia", "python", "programs", "engine", "model-volume", "model"]
    assert phases == [*packers, *scripts, "sbom", "clean", "validate", "image", "manifest"]
    assert transcript.made == {
        "instances": {"i-44d90333d01e3ec22"},
        "key_pairs": {"sglang-fleet-bake-f0f68115-27f2-4625-b893-5a6148fe8d20"},
        "security_groups": {"packer_6b0589f8-db59-d4b4-516c-147d91f4811c"},
        "images": {"ami-00c9f5fc009e6d18a"},
    }


def test_a_failure_keeps_its_phase_and_its_words_through_the_clean_up() -> None:
    transcript, phases = read("ssh_timeout.txt")
    assert phases == ["check", "launch", "connect"]
    assert transcript.phase.name == "connect"
    assert transcript.last[-1] == "Timeout waiting for SSH."


def test_an_interrupt_keeps_the_phase_too() -> None:
    transcript, _ = read("interrupted.txt")
    assert (transcript.phase.name, transcript.last[-1]) == ("connect", "Cancelling build after receiving interrupt")


def test_a_script_that_fails_is_named_with_its_last_words() -> None:
    transcript = fed(
        "2026-11-24T11:46:00Z:     amazon-ebs.image: PHASE engine: installing SGLang",
        "2026-11-24T11:46:01Z: ==> amazon-ebs.image: ERROR: No matching distribution found for sglang==9",
        "2026-11-24T11:46:01Z: ==> amazon-ebs.image: Provisioning step had errors: Running the cleanup...",
        "2026-11-24T11:46:02Z: ==> amazon-ebs.image: Terminating the source AWS instance...",
        "Build 'amazon-ebs.image' errored after 9 seconds: Script exited with non-zero exit status: 1.",
    )
    assert (transcript.phase.name, transcript.phase.what) == ("engine", "installing SGLang")
    assert list(transcript.last) == ["ERROR: No matching distribution found for sglang==9"]


@pytest.mark.parametrize("builder", ["amazon-ebs.image", "fleet.amazon-ebs.image"])
@pytest.mark.parametrize("mark", ["==> ", "    "])
@pytest.mark.parametrize("stamp", ["", "2026-11-24T11:46:00Z: ", "2026-11-24T11:46:00+01:00: "])
def test_every_form_of_a_line_is_read(stamp: str, mark: str, builder: str) -> None:
    assert fed(f"{stamp}{mark}{builder}: PHASE base: packages").phase.name == "base"


def test_the_current_plugin_says_some_things_in_other_words() -> None:
    transcript = fed(
        "==> amazon-ebs.image: Creating temporary ED25519 SSH key for instance: sglang-fleet-bake-1",
        "==> amazon-ebs.image: Creating temporary security group for this instance: packer_2",
        "==> amazon-ebs.image: Instance ID: i-0a",
    )
    assert transcript.phase.name == "launch"
    assert transcript.made["key_pairs"] == {"sglang-fleet-bake-1"}
    assert transcript.made["instances"] == {"i-0a"}


def test_only_the_last_lines_are_kept() -> None:
    transcript = fed(*(f"==> amazon-ebs.image: line {number}" for number in range(1000)))
    assert list(transcript.last)[0::11] == ["line 988", "line 999"]

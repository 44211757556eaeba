"""What Packer's output tells: the phase it is in, the last words before it cleans up, and names of what it made."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

LAST_LINES: Final = 12
# `2026-11-24T11:45:34Z: ==> amazon-ebs.image: text`; standard output of scripts has blanks in place of the arrow.
_LINE: Final = re.compile(
    r"^(?:\d{4}-\d\d-\d\dT\S+: )?(?:(?:==>|-->) |\s+)?(?:[\w-]+\.)*amazon-ebs\.[\w-]+: ?(?P<text>.*)$"
)
_STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\dT\S+: ")
_SCRIPT_PHASE: Final = re.compile(r"^PHASE (?P<name>[\w.-]+): (?P<what>.+)$")
# Packer's own words, the same in 1.6.6 and in the plugin of today, and the phase that begins with them.
_PHASES: Final = (
    (re.compile(r"^Prevalidating"), "check", "the image's name and the base image"),
    (
        re.compile(r"^Creating temporary (key ?pair|ED25519|RSA)", re.IGNORECASE),
        "launch",
        "key pair, firewall, bake host",
    ),
    (re.compile(r"^(Waiting for SSH|Using ssh communicator)", re.IGNORECASE), "connect", "over SSH to the bake host"),
    (re.compile(r"^Uploading "), "upload", "programs, scripts and pins"),
    (re.compile(r"^(Stopping the source instance|Creating (un)?(encrypted )?AMI)"), "image", "snapshots and image"),
    (re.compile(r"^(Running post-processor|Post-processing)", re.IGNORECASE), "manifest", "image id and packages"),
)
_CLEANING: Final = re.compile(
    r"^(Terminating the source AWS instance|Cleaning up any extra volumes|No volumes to clean up|"
    r"Deleting temporary (security group|key ?pair)|Provisioning step had errors|Deregistering the AMI|"
    r"Pausing before cleanup)"
)
_MADE: Final = (
    ("instances", re.compile(r"\b(?:Instance ID: |instance \()(i-[0-9a-f]+)")),
    ("key_pairs", re.compile(r"^Creating temporary (?:keypair|key pair|\w+ SSH key for instance): (\S+)")),
    ("security_groups", re.compile(r"^Creating temporary security group for this instance: (\S+)")),
    ("images", re.compile(r"^AMI: (ami-[0-9a-f]+)")),
)


@dataclass(frozen=True)
class Phase:
    """A stretch of a build: one of Packer's own, or one that a provision script announces."""

    name: str
    what: str


@dataclass
class Transcript:
    """Reads Packer's output line by line."""

    phase: Phase = Phase("start", "Packer")
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    made: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name, _ in _MADE})
    cleaning: bool = False
    interrupted: bool = False  # set by whoever asked Packer to end: from then on, phases are its clean-up's

    def feed(self, raw: str) -> Phase | None:
        """Take one line in; returns a phase when one begins."""
        raw = raw.rstrip()
        matched = _LINE.match(raw)
        text = matched["text"] if matched else _STAMP.sub("", raw)
        for name, pattern in _MADE:
            self.made[name] |= set(pattern.findall(text))
        self.cleaning = self.cleaning or bool(_CLEANING.match(text))
        begun = self._begins(text)
        if text.strip() and not begun and not self.cleaning:
            self.last.append(text.strip())
        return begun

    def _begins(self, text: str) -> Phase | None:
        announced = _SCRIPT_PHASE.match(text.strip())
        if announced:
            phase = Phase(announced["name"], announced["what"])
        else:
            known = next((Phase(name, what) for pattern, name, what in _PHASES if pattern.match(text)), None)
            if known is None:
                return None
            phase = known
        if phase == self.phase or (self.cleaning and phase.name != "manifest"):
            return None
        if phase.name == "upload" and self.phase.name != "connect":
            return None  # scripts are uploaded one by one, in the phase that the one before has announced
        self.phase = phase
        self.last.clear()
        return phase

"""The parts of a CycloneDX 1.6 document: Python distributions, Debian packages, NVIDIA's driver, the model's files."""

from __future__ import annotations

import email.parser
import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from .facts import Model
from .model import MANIFEST, sha256_of

Component = dict[str, Any]
LockHashes = Mapping[str, tuple[str, ...]]
"""By canonical name and version: the hashes of a release's files in Pipfile.lock."""

PROPERTY: Final = "sglang-fleet:"
DPKG_INFO: Final = Path("/var/lib/dpkg/info")
DPKG_FORMAT: Final = "${Package}\t${Version}\t${Architecture}\t${db:Status-Abbrev}\n"


def component(kind: str, name: str, version: str, reference: str, digest: str) -> Component:
    """What every component has."""
    hashes = [{"alg": "SHA-256", "content": digest}]
    return {"type": kind, "bom-ref": reference, "name": name, "version": version, "hashes": hashes}


def properties(values: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Properties under this project's prefix."""
    return [{"name": f"{PROPERTY}{name}", "value": value} for name, value in values]


def canonical(name: str) -> str:
    """A distribution's name as indexes and purls spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(environment: Path, lock: LockHashes) -> Iterator[Component]:
    """The Python distributions of one virtual environment.

    An installed distribution does not say which file it came from. Its RECORD lists the SHA-256 of every file that was
    installed, so the hash of RECORD identifies the content; the lock's hashes, one of which pip found to be the
    archive's, are told as properties.
    """
    for folder in sorted(environment.glob("lib/python*/site-packages/*.dist-info")):
        told = email.parser.Parser().parsestr((folder / "METADATA").read_text(errors="replace"), headersonly=True)
        name, version = canonical(told["Name"]), told["Version"]
        hashed = next(path for path in (folder / "RECORD", folder / "METADATA") if path.is_file())
        purl = f"pkg:pypi/{name}@{quote(version)}"
        part = component("library", name, version, f"{purl}#{environment}", sha256_of(hashed))
        archives = [("archive-hash", value) for value in lock.get(f"{name}=={version}", ())]
        told_properties = [("environment", str(environment)), ("hash-of", hashed.name), *archives]
        yield {**part, "purl": purl, "properties": properties(told_properties)}


def lock_hashes(lock: Path) -> LockHashes:
    """Read the hashes of a Pipfile.lock."""
    sections: dict[str, dict[str, Any]] = json.loads(lock.read_text())
    return {
        f"{canonical(name)}{entry['version']}": tuple(sorted(entry.get("hashes", ())))
        for title, section in sections.items()
        if title != "_meta"
        for name, entry in section.items()
    }


def debian_packages(listing: str, distribution: str, info: Path = DPKG_INFO) -> Iterator[Component]:
    """The installed packages of `dpkg-query --show`.

    dpkg keeps the checksum of every file of a package; their list is hashed. Where a package has none, the list of its
    paths is.
    """
    for line in sorted(listing.splitlines()):
        name, version, architecture, status = line.split("\t")
        if not status.startswith("ii"):
            continue
        vendor = distribution.partition("-")[0]
        purl = f"pkg:deb/{vendor}/{quote(name)}@{_purl_version(version)}?arch={architecture}&distro={distribution}"
        hashed = _file_of(info, name, architecture)
        part = component("library", name, version, purl, sha256_of(hashed))
        yield {**part, "purl": purl, "properties": properties([("hash-of", hashed.suffix.removeprefix("."))])}


def _purl_version(version: str) -> str:
    return quote(version, safe=":")  # as the purl specification has it: a colon stays, a plus does not


def _file_of(info: Path, name: str, architecture: str) -> Path:
    stems = (f"{name}:{architecture}", name)
    paths = [info / f"{stem}.{suffix}" for suffix in ("md5sums", "list") for stem in stems]
    return next(path for path in paths if path.is_file())


def installed_packages() -> str:
    """Ask dpkg."""
    command = ["dpkg-query", "--show", f"--showformat={DPKG_FORMAT}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def distribution_of(os_release: str) -> str:
    """Such as ubuntu-24.04, from /etc/os-release."""
    values = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    name, version = (values.get(key, "unknown").strip('"') for key in ("ID", "VERSION_ID"))
    return f"{name}-{version}"


def driver(version: str, module: Path) -> Component:
    """NVIDIA's driver, which AWS's image holds without a Debian package; the kernel module stands for it."""
    part = component("device-driver", "nvidia", version, f"nvidia-driver@{version}", sha256_of(module))
    return {**part, "properties": properties([("hash-of", module.name)])}


def model_component(model: Model, folder: Path) -> Component:
    """The model with its files, whose SHA-256 the download has checked and written down."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    purl = f"pkg:huggingface/{quote(model.id)}@{model.revision}"
    files: dict[str, dict[str, Any]] = manifest["files"]
    parts = [_model_file(purl, name, entry) for name, entry in sorted(files.items())]
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    part = component("machine-learning-model", model.id, model.revision, purl, digest)
    told = [("hash-of", MANIFEST), ("folder", str(folder))]
    return {**part, "purl": purl, "properties": properties(told), "components": parts}


def _model_file(purl: str, name: str, entry: Mapping[str, Any]) -> Component:
    part = component("file", name, "", f"{purl}#{quote(name)}", entry["sha256"])
    del part["version"]  # a file has none
    return {**part, "properties": properties([("size", str(entry["size"]))])}

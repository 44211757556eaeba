from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from packer.host import components
from packer.host.components import Component, debian_packages, distribution_of, distributions, lock_hashes
from packer.host.model import check_files, sha256_of, write_manifest
from packer.host.sbom import document
from tests.packer.host.model_hub import FILES, REVISION, WEIGHTS, bake_of, model, sha256


def values(part: Component) -> list[tuple[str, str]]:
    return [(entry["name"].removeprefix("sglang-fleet:"), entry["value"]) for entry in part["properties"]]


def install(environment: Path, name: str, version: str, record: str | None = "a.py,sha256=x,1\n") -> Path:
    folder = environment / "lib/python3.12/site-packages" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\nName: of the text\n")
    if record is not None:
        (folder / "RECORD").write_text(record)
    return folder


def test_distributions(tmp_path: Path) -> None:
    folder = install(tmp_path, "Typing_Extensions", "4.16.0")
    lock = tmp_path / "Pipfile.lock"
    entry = {"version": "==4.16.0", "hashes": ["sha256:bb", "sha256:aa"]}
    lock.write_text(json.dumps({"_meta": {}, "router": {"typing-extensions": entry}}))
    [part] = distributions(tmp_path, lock_hashes(lock))
    assert (part["type"], part["name"], part["version"]) == ("library", "typing-extensions", "4.16.0")
    assert part["purl"] == "pkg:pypi/typing-extensions@4.16.0"
    assert part["hashes"] == [{"alg": "SHA-256", "content": sha256_of(folder / "RECORD")}]
    assert values(part) == [
        ("environment", str(tmp_path)),
        ("hash-of", "RECORD"),
        ("archive-hash", "sha256:aa"),
        ("archive-hash", "sha256:bb"),
    ]


def test_a_distribution_that_is_not_in_the_lock_and_has_no_record(tmp_path: Path) -> None:
    install(tmp_path, "pip", "24.0+local", record=None)
    [part] = distributions(tmp_path, {})
    assert part["purl"] == "pkg:pypi/pip@24.0%2Blocal"
    assert values(part) == [("environment", str(tmp_path)), ("hash-of", "METADATA")]


def test_debian_packages(tmp_path: Path) -> None:
    (tmp_path / "libc6:amd64.md5sums").write_text("0  lib/libc.so.6\n")
    (tmp_path / "g++.list").write_text("/.\n")
    listing = "libc6\t2:2.39-0ubuntu8.4\tamd64\tii \ng++\t4:13.2.0-7\tall\tii \nold\t1\tall\trc \n"
    gpp, libc = debian_packages(listing, "ubuntu-24.04", tmp_path)
    assert gpp["purl"] == "pkg:deb/ubuntu/g%2B%2B@4:13.2.0-7?arch=all&distro=ubuntu-24.04"
    assert values(gpp) == [("hash-of", "list")]
    assert libc["purl"] == "pkg:deb/ubuntu/libc6@2:2.39-0ubuntu8.4?arch=amd64&distro=ubuntu-24.04"
    assert libc["hashes"] == [{"alg": "SHA-256", "content": sha256_of(tmp_path / "libc6:amd64.md5sums")}]


def test_this_hosts_own_distribution() -> None:
    assert distribution_of('NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="24.04"\n') == "ubuntu-24.04"


def test_the_model_with_every_file(tmp_path: Path) -> None:
    wanted = model()
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    write_manifest(wanted, tmp_path, check_files(wanted, tmp_path).sha256)
    part = components.model_component(wanted, tmp_path)
    assert (part["type"], part["name"], part["version"]) == ("machine-learning-model", "org/Tiny", REVISION)
    assert [file["name"] for file in part["components"]] == sorted(FILES)
    weights = next(file for file in part["components"] if file["name"] == WEIGHTS)
    assert weights["hashes"] == [{"alg": "SHA-256", "content": sha256(FILES[WEIGHTS])}]
    assert values(weights) == [("size", "524288")]


def test_the_same_parts_give_the_same_bytes() -> None:
    parts = [components.component("library", name, "1", f"pkg:pypi/{name}@1", "00") for name in ("b", "a")]
    bake = bake_of("https://hub.example")

    def written(given: list[Component]) -> dict[str, Any]:
        return document(bake, given)

    assert json.dumps(written(parts)) == json.dumps(written(parts[::-1]))
    told = written(parts)
    assert (told["bomFormat"], told["specVersion"], told["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", told["serialNumber"]
    )
    assert [part["name"] for part in told["components"]] == ["a", "b"]
    assert "timestamp" not in told["metadata"]

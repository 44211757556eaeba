"""Tools are found and checked; a missing one is named with the remedy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal.places import WorkFolder
from rehearsal.tools import (
    PROVIDER_VERSION,
    MissingToolError,
    Tools,
    find_cdktf,
    find_node,
    find_provider,
    find_terraform,
    own_configuration,
    parse_version,
    provider_platform,
    write_terraform_configuration,
)

TARGET = "linux_amd64"
SH = shutil.which("sh") or "/bin/sh"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
    """Put a program that prints a text on a PATH of its own."""

    def make(name: str, output: str) -> dict[str, str]:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.out").write_text(output)
        path.write_text(f"#!{SH}\nwhile read -r line; do printf '%s\\n' \"$line\"; done < {tmp_path}/{name}.out\n")
        path.chmod(0o755)
        return {"PATH": str(path.parent), "HOME": str(tmp_path / "home")}

    return make


def version_json(version: str) -> str:
    return json.dumps({"terraform_version": version}) + "\n"


def provider(root: Path, host: str = "registry.terraform.io", version: str = PROVIDER_VERSION) -> Path:
    folder = root / host / "hashicorp" / "aws" / version / TARGET
    folder.mkdir(parents=True)
    (folder / "terraform-provider-aws").write_text("")
    return folder


@pytest.mark.parametrize(("text", "version"), [("v20.20.2\n", (20, 20, 2)), ("OpenTofu v1.10", (1, 10)), ("none", ())])
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_terraform_goes_before_tofu_and_the_variable_before_both(program: Callable[[str, str], dict[str, str]]) -> None:
    program("terraform", version_json("1.11.4"))
    environment = program("tofu", version_json("1.10.0"))
    assert find_terraform(environment)[0].name == "terraform"
    assert find_terraform({**environment, "TERRAFORM_BINARY_NAME": "tofu"}) == (
        Path(environment["PATH"]) / "tofu",
        "1.10.0",
    )


def test_a_missing_terraform_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match=r"terraform or tofu: not found on PATH; install .* 1\.10 or later"):
        find_terraform({"PATH": str(tmp_path)})


def test_an_old_terraform_is_refused(program: Callable[[str, str], dict[str, str]]) -> None:
    with pytest.raises(MissingToolError, match=r"is version 1\.9\.8; 1\.10 or later is needed"):
        find_terraform(program("terraform", version_json("1.9.8")))


def test_node(program: Callable[[str, str], dict[str, str]], tmp_path: Path) -> None:
    assert find_node(program("node", "v22.1.0\n")).name == "node"
    with pytest.raises(MissingToolError, match=r"is version 18\.2\.0; 20\.9 or later"):
        find_node(program("node", "v18.2.0\n"))
    with pytest.raises(MissingToolError, match="node: not found"):
        find_node({"PATH": str(tmp_path / "empty")})


def test_cdktf_must_be_installed_and_pinned(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="run `make setup`"):
        find_cdktf(tmp_path)
    package = tmp_path / "node_modules" / "cdktf-cli" / "package.json"
    package.parent.mkdir(parents=True)
    binary = tmp_path / "node_modules" / ".bin" / "cdktf"
    binary.parent.mkdir()
    binary.touch()
    package.write_text('{"version": "0.20.0"}')
    with pytest.raises(MissingToolError, match=r"version 0\.20\.0; 0\.21 is needed"):
        find_cdktf(tmp_path)
    package.write_text('{"version": "0.21.0"}')
    assert find_cdktf(tmp_path) == binary


def test_platform_names() -> None:
    assert provider_platform("Linux", "x86_64") == "linux_amd64"
    assert provider_platform("Linux", "aarch64") == "linux_arm64"


@pytest.mark.parametrize("place", ["", "a", "a/b"])
def test_a_provider_is_found_in_a_root_and_two_levels_below(tmp_path: Path, place: str) -> None:
    folder = provider(tmp_path / place)
    assert find_provider({"HOME": str(tmp_path / "home")}, TARGET, (str(tmp_path),)) == folder


def test_no_deeper_and_no_other_version(tmp_path: Path) -> None:
    provider(tmp_path / "a" / "b" / "c")
    provider(tmp_path / "old", version="5.99.1")
    assert find_provider({"HOME": str(tmp_path / "home")}, TARGET, (str(tmp_path),)) is None


def test_terraforms_own_mirror_folders_are_looked_at(tmp_path: Path) -> None:
    folder = provider(tmp_path / ".terraform.d" / "plugins", "registry.opentofu.org")
    assert find_provider({"HOME": str(tmp_path)}, TARGET, ()) == folder


def test_the_variable_decides(tmp_path: Path) -> None:
    provider(tmp_path / "elsewhere")
    given = provider(tmp_path / "given")
    environment = {"HOME": str(tmp_path), "SGLANG_FLEET_PROVIDER_DIR": str(tmp_path / "given")}
    assert find_provider(environment, TARGET, (str(tmp_path),)) == given
    with pytest.raises(MissingToolError, match=r"SGLANG_FLEET_PROVIDER_DIR=.* has no registry"):
        find_provider({**environment, "SGLANG_FLEET_PROVIDER_DIR": str(tmp_path / "empty")}, TARGET, ())


def tools(found: Path | None) -> Tools:
    return Tools(Path("terraform"), "1.11.4", Path("node"), Path("cdktf"), found)


def test_a_mirror_serves_both_registries(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    work.create()
    found = provider(tmp_path)
    file = write_terraform_configuration(work, tools(found), {})
    assert f'path = "{work.provider_mirror}"' in file.read_text()
    for host in ("registry.terraform.io", "registry.opentofu.org"):
        link = work.provider_mirror / host / "hashicorp" / "aws" / PROVIDER_VERSION / TARGET
        assert link.resolve() == found


def test_without_a_provider_one_download_is_kept(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    work.create()
    assert (
        f'plugin_cache_dir = "{work.plugin_cache}"' in write_terraform_configuration(work, tools(None), {}).read_text()
    )
    assert work.plugin_cache.is_dir()


def test_a_configuration_of_the_users_own_is_left_alone_when_it_exists(tmp_path: Path) -> None:
    file = tmp_path / "mine.tfrc"
    assert own_configuration({"TF_CLI_CONFIG_FILE": str(file)}) is None
    file.write_text("")
    assert own_configuration({"TF_CLI_CONFIG_FILE": str(file)}) == file
    assert write_terraform_configuration(WorkFolder(tmp_path), tools(None), {"TF_CLI_CONFIG_FILE": str(file)}) == file

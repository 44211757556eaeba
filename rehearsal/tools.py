"""The tools a rehearsal needs, found and checked: terraform or tofu, node, the cdktf CLI, the AWS provider."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.places import REPOSITORY, WorkFolder

PROVIDER_VERSION = "5.100.0"  # what cdktf-cdktf-provider-aws 20.1.0 is made from
TERRAFORM_MINIMUM = (1, 10)  # first with S3 state locking by lock file (use_lockfile)
NODE_MINIMUM = (20, 9)  # engines of cdktf-cli 0.21.0
CDKTF_VERSION = (0, 21)
REGISTRY_HOSTS = ("registry.terraform.io", "registry.opentofu.org")
PROVIDER_PATH = Path("hashicorp", "aws")
VERSION_TIMEOUT_SECONDS = 60.0

TERRAFORM_NAMES = ("terraform", "tofu")
# Where an unpacked provider may lie besides Terraform's own mirror folders.
SEARCH_ROOTS = ("/opt", "/usr/local", "/usr/share", "/usr/lib", "/srv")
SEARCH_DEPTH = 2


class MissingToolError(Exception):
    """A tool is not there or too old. The message names it, the version needed and the remedy."""


@dataclass(frozen=True)
class Tools:
    """Programs found, and the provider tree when one lies on this machine."""

    terraform: Path
    terraform_version: str
    node: Path
    cdktf: Path
    provider: Path | None

    @property
    def terraform_name(self) -> str:
        """Either terraform or tofu."""
        return self.terraform.name


def parse_version(text: str) -> tuple[int, ...]:
    """First dotted number of a text, as numbers; empty when there is none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part is not None) if found else ()


def _version_output(program: Path, arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_SECONDS,
            env=dict(environment),
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingToolError(f"{program.name}: {program} does not run ({error}); install it again") from error
    return done.stdout


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def find_terraform(environment: Mapping[str, str]) -> tuple[Path, str]:
    """Terraform or OpenTofu; TERRAFORM_BINARY_NAME, which the cdktf CLI reads too, decides when it is set.

    Raises:
        MissingToolError: none is there, or it is too old.
    """
    wanted = environment.get("TERRAFORM_BINARY_NAME")
    names = (wanted,) if wanted else TERRAFORM_NAMES
    found = next((path for name in names if (path := shutil.which(name, path=environment.get("PATH")))), None)
    need = _dotted(TERRAFORM_MINIMUM)
    if found is None:
        raise MissingToolError(
            f"{' or '.join(names)}: not found on PATH; install Terraform or OpenTofu {need} or later "
            "(https://developer.hashicorp.com/terraform/install, https://opentofu.org/docs/intro/install)"
        )
    quiet = {**environment, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    text = _version_output(Path(found), ("version", "-json"), quiet)
    version = str(json.loads(text)["terraform_version"])
    if parse_version(version) < TERRAFORM_MINIMUM:
        raise MissingToolError(
            f"{Path(found).name}: {found} is version {version}; {need} or later is needed (the state lock is a "
            "lock file in S3); install a newer one, or name one with TERRAFORM_BINARY_NAME"
        )
    return Path(found), version


def find_node(environment: Mapping[str, str]) -> Path:
    """Node.js, which runs the cdktf CLI and jsii.

    Raises:
        MissingToolError: it is not there, or too old.
    """
    found = shutil.which("node", path=environment.get("PATH"))
    need = _dotted(NODE_MINIMUM)
    if found is None:
        raise MissingToolError(f"node: not found on PATH; install Node.js {need} or later (https://nodejs.org)")
    version = parse_version(_version_output(Path(found), ("--version",), environment))
    if version < NODE_MINIMUM:
        raise MissingToolError(
            f"node: {found} is version {_dotted(version)}; {need} or later is needed (https://nodejs.org)"
        )
    return Path(found)


def find_cdktf(repository: Path) -> Path:
    """The cdktf CLI that `npm ci` puts into the repository.

    Raises:
        MissingToolError: it is not there, or of another version.
    """
    program = repository / "node_modules" / ".bin" / "cdktf"
    package = repository / "node_modules" / "cdktf-cli" / "package.json"
    if not program.exists() or not package.is_file():
        raise MissingToolError(f"cdktf: not in {program.parent}; run `make setup` (or `npm ci`) in {repository}")
    version = parse_version(json.loads(package.read_text())["version"])
    if version[: len(CDKTF_VERSION)] != CDKTF_VERSION:
        raise MissingToolError(
            f"cdktf: {program} is version {_dotted(version)}; {_dotted(CDKTF_VERSION)} is needed; "
            f"run `npm ci` in {repository}"
        )
    return program


def provider_platform(system: str, machine: str) -> str:
    """Terraform's name of a platform, as in `linux_amd64`."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"{system.lower()}_{names.get(machine.lower(), machine.lower())}"


def _holds_provider(mirror: Path, target: str) -> Path | None:
    """The provider's folder below an unpacked mirror (`HOST/hashicorp/aws/VERSION/PLATFORM`), when it is complete."""
    for host in REGISTRY_HOSTS:
        folder = mirror / host / PROVIDER_PATH / PROVIDER_VERSION / target
        if folder.is_dir() and any(folder.iterdir()):
            return folder
    return None


def _below(root: Path, depth: int) -> Iterator[Path]:
    yield root
    if depth == 0 or not root.is_dir():
        return
    try:
        children = sorted(child for child in root.iterdir() if child.is_dir() and not child.is_symlink())
    except PermissionError:
        return  # a folder that may not be read holds no provider for us
    for child in children:
        yield from _below(child, depth - 1)


def implied_mirrors(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Terraform's implied local mirror folders on Linux (CLI configuration, "Implied Local Mirror Directories")."""
    home = Path(environment.get("HOME", "/root"))
    data = Path(environment.get("XDG_DATA_HOME", home / ".local" / "share"))
    shared = environment.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share").split(":")
    roots = [
        Path("terraform.d"),
        home / ".terraform.d",
        data / "terraform",
        *(Path(item) / "terraform" for item in shared),
    ]
    return tuple(root / "plugins" for root in roots)


def find_provider(
    environment: Mapping[str, str], target: str, search_roots: tuple[str, ...] = SEARCH_ROOTS
) -> Path | None:
    """An unpacked AWS provider on this machine, or None (then Terraform downloads it).

    SGLANG_FLEET_PROVIDER_DIR, when set, is the only place looked at.

    Raises:
        MissingToolError: SGLANG_FLEET_PROVIDER_DIR does not hold the provider.
    """
    given = environment.get("SGLANG_FLEET_PROVIDER_DIR")
    if given:
        found = _holds_provider(Path(given), target)
        if found is None:
            wanted = Path(REGISTRY_HOSTS[0]) / PROVIDER_PATH / PROVIDER_VERSION / target
            raise MissingToolError(
                f"AWS provider: SGLANG_FLEET_PROVIDER_DIR={given} has no {wanted}; "
                f"unpack provider {PROVIDER_VERSION} there"
            )
        return found
    home = environment.get("HOME", "/root")
    searched = (folder for root in (*search_roots, home) for folder in _below(Path(root), SEARCH_DEPTH))
    places = (*implied_mirrors(environment), *searched)
    return next((found for place in places if (found := _holds_provider(place, target))), None)


def find_tools(environment: Mapping[str, str]) -> Tools:
    """Everything a rehearsal runs.

    Raises:
        MissingToolError: a tool is missing or too old.
    """
    terraform, version = find_terraform(environment)
    configured = own_configuration(environment) is not None
    target = provider_platform(platform.system(), platform.machine())
    return Tools(
        terraform=terraform,
        terraform_version=version,
        node=find_node(environment),
        cdktf=find_cdktf(REPOSITORY),
        provider=None if configured else find_provider(environment, target),
    )


def own_configuration(environment: Mapping[str, str]) -> Path | None:
    """The user's Terraform CLI configuration, when TF_CLI_CONFIG_FILE names a file that exists: then it is left alone.

    SGLANG_FLEET_PROVIDER_DIR goes before it.
    """
    if environment.get("SGLANG_FLEET_PROVIDER_DIR"):
        return None
    named = environment.get("TF_CLI_CONFIG_FILE")
    return Path(named) if named and Path(named).is_file() else None


def _mirror(work: WorkFolder, provider: Path) -> Path:
    """A mirror of links that serves the provider under both registries' host names."""
    for host in REGISTRY_HOSTS:
        link = work.provider_mirror / host / PROVIDER_PATH / PROVIDER_VERSION / provider.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(provider.resolve())
    return work.provider_mirror


def write_terraform_configuration(work: WorkFolder, tools: Tools, environment: Mapping[str, str]) -> Path:
    """The CLI configuration Terraform is to use: the user's own, a local mirror, or a cache so that one download does.

    Returns:
        The file for TF_CLI_CONFIG_FILE.
    """
    own = own_configuration(environment)
    if own is not None:
        return own
    if tools.provider is not None:
        path = json.dumps(str(_mirror(work, tools.provider)))
        text = f"provider_installation {{\n  filesystem_mirror {{\n    path = {path}\n  }}\n}}\n"
    else:
        work.plugin_cache.mkdir(parents=True, exist_ok=True)
        text = f"plugin_cache_dir = {json.dumps(str(work.plugin_cache))}\n"
    work.terraform_config.write_text(text)
    return work.terraform_config

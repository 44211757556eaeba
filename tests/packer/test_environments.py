"""`packer validate`, with the real Packer, for every image of every environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from packer.bake import REPOSITORY
from packer.program import PLUGINS_SINCE, find_packer, quiet_environment
from packer.runner import VARIABLES_FILE, prepare_work
from packer.site import BakeSite
from packer.staging import BAKE_FILE, StagedFile, staged_files, write_staging
from packer.targets import choose_needs, needs_of, targets_of
from packer.variables import Build, image_name, variables_of
from settings.load import load_settings
from tests.packer.made_up import recipes_of
from tests.settings.cases import ENVIRONMENTS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("packer") is None, reason="Packer is not installed")]


@pytest.mark.parametrize("environment", sorted(ENVIRONMENTS.glob("*.toml")), ids=lambda path: path.stem)
def test_packer_takes_what_a_bake_of_this_environment_tells_it(environment: Path, tmp_path: Path) -> None:
    settings, packer = load_settings(environment), find_packer(os.environ)
    if packer.version >= PLUGINS_SINCE:
        pytest.skip("a current Packer validates only with its plugin, which it must download")
    needs, _ = choose_needs(needs_of(settings), None)
    targets = targets_of(settings, recipes_of(settings), needs, REPOSITORY)
    assert targets
    for target in targets:
        work = tmp_path / target.label
        build = Build("11111111", image_name(target, "20261124-120000"), work / "staging", tmp_path)
        files = staged_files(REPOSITORY, target.recipe)
        files[BAKE_FILE] = StagedFile(target.recipe.describe(target.key, "https://hub"))
        write_staging(files, build.staging)
        prepare_work(work, REPOSITORY, packer, variables_of(settings, BakeSite(), target, build, ["192.0.2.7/32"]))
        command = [str(packer.path), "validate", f"-var-file={work / VARIABLES_FILE}", str(work)]
        environ = quiet_environment(os.environ)
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

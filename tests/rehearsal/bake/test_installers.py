"""pip on a build host reaches what this computer's pip reaches."""

from __future__ import annotations

from pathlib import Path

from rehearsal.bake.installers import host_variables, named_paths, pip_variables

LISTING = """\
:env:.cert='/etc/ssl/certs/mine.pem'
:env:.disable-pip-version-check='1'
global.cert='/etc/ssl/certs/ca.pem'
global.extra-index-url='file:///srv/pypi/simple file:///srv/more/simple'
global.find-links='\\n/srv/wheels\\n/home/a/wheels'
global.target='/somewhere'
"""


def test_files_and_variables_become_variables_and_variables_win() -> None:
    assert pip_variables(LISTING) == {
        "PIP_CERT": "/etc/ssl/certs/mine.pem",
        "PIP_EXTRA_INDEX_URL": "file:///srv/pypi/simple file:///srv/more/simple",
        "PIP_FIND_LINKS": "/srv/wheels /home/a/wheels",
    }


def test_only_what_says_where_things_are_is_handed_over() -> None:
    environ = {"HTTPS_PROXY": "http://proxy:3128", "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/root", "SSL_CERT_FILE": "/c"}
    variables = host_variables(environ, "")
    assert variables.keys() == {"HTTPS_PROXY", "SSL_CERT_FILE", "NO_PROXY", "no_proxy"}
    assert "127.0.0.0/8" in variables["NO_PROXY"]


def test_without_a_proxy_nothing_is_said_about_proxies() -> None:
    assert host_variables({"HOME": "/root"}, "") == {}


def test_folders_that_variables_name_are_shown_an_index_with_what_lies_beside_it(tmp_path: Path) -> None:
    for name in ("pypi/simple", "pypi/files", "wheels", "wheels/more"):
        (tmp_path / name).mkdir(parents=True)
    values = [
        f"file://{tmp_path}/pypi/simple https://example.invalid/simple",
        f"{tmp_path}/wheels {tmp_path}/wheels/more",
    ]
    assert named_paths([*values, "/etc/ssl/certs", f"{tmp_path}/absent", "http://proxy:3128"]) == (
        f"{tmp_path}/pypi",
        f"{tmp_path}/wheels",
    )

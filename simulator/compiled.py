"""The one place that knows numba: compiles a function on its first call and keeps the machine code on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar, cast

_HERE = Path(__file__).resolve().parent
_SOURCES = (_HERE / "histogram.py", *sorted((_HERE / "kernel").glob("*.py")))
_Function = TypeVar("_Function", bound=Callable[..., object])


def cache_folder() -> Path:
    """Where machine code is kept: .cache/numba of the checkout, or of the system's temporary folder if read-only.

    numba looks only at the file of the function that is called, not at those that it calls, so the folder's name holds
    a digest of all of them.
    """
    digest = blake2b(b"".join(path.read_bytes() for path in _SOURCES), digest_size=8).hexdigest()
    root = _HERE.parent / ".cache"
    nearest = root if root.exists() else root.parent
    # One folder for each user: in a shared temporary folder nobody else's machine code is to be loaded.
    fallback = Path(tempfile.gettempdir()) / f"sglang-fleet-{os.getuid()}"
    return (root if os.access(nearest, os.W_OK) else fallback) / "numba" / digest


os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder()))  # numba reads it once, while it is imported

from numba import njit  # noqa: E402  (see above)


def compiled(function: _Function) -> _Function:
    """The function as machine code for other compiled functions, with its types unchanged for the type checker."""
    return _machine_code(function, from_python=False)


def entry(function: _Function) -> _Function:
    """The same for a function that Python calls; each costs some compile time more."""
    return _machine_code(function, from_python=True)


def _machine_code(function: _Function, *, from_python: bool) -> _Function:
    # Without "nrt", numba doesn't count references to the arrays that are passed along, an atomic operation each, which
    # took half to four fifths of the time. The caller keeps them alive; what would make new ones doesn't compile.
    options = {"cache": True, "_nrt": False, "no_cpython_wrapper": not from_python}
    return cast("Callable[[_Function], _Function]", cast("Callable[..., object]", njit)(**options))(function)

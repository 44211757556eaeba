"""The one place that knows numba: compiles a function on its first call and keeps the machine code on disk."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar, cast

_HERE = Path(__file__).resolve().parent
_SOURCES = (_HERE / "histogram.py", *sorted((_HERE / "kernel").glob("*.py")))
_Function = TypeVar("_Function", bound=Callable[..., object])


def cache_folder(checkout: Path = _HERE.parent) -> Path | None:
    """Where machine code is kept: .cache/numba of the checkout, else of the temporary folder; None: nowhere.

    numba looks only at the file of the function that is called, not at those that it calls, so the folder's name holds
    a digest of all of them.
    """
    digest = blake2b(b"".join(path.read_bytes() for path in _SOURCES), digest_size=8).hexdigest()
    folder = checkout / ".cache" / "numba" / digest
    if _writable(folder):
        return folder
    try:
        # One folder for each user: in a shared temporary folder nobody else's machine code is to be loaded.
        own = Path(tempfile.gettempdir()) / f"sglang-fleet-{os.getuid()}"
    except OSError:  # there is no temporary folder that can be written
        return None
    folder = own / "numba" / digest
    return folder if _writable(folder) and own.stat().st_uid == os.getuid() else None


def _writable(folder: Path) -> bool:
    """Tried, not asked: permissions say nothing of a full or read-only disk, or of folders that root left there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


# numba reads it once, while it is imported. Left to itself it would try folders without a digest in their names.
_folder = os.environ.get("NUMBA_CACHE_DIR") or cache_folder()
_KEPT = _folder is not None and _writable(Path(_folder))
if _KEPT:
    os.environ["NUMBA_CACHE_DIR"] = str(_folder)

from numba import njit  # noqa: E402  (see above)
from numba.core.event import Event, Listener, register  # noqa: E402


class _Notice(Listener):
    """Tells people on standard error why nothing happens for a while."""

    def __init__(self) -> None:
        self._said = False

    def on_start(self, event: Event) -> None:  # noqa: ARG002  (numba calls it)
        if not self._said:
            often = "once" if _KEPT else "each time, as no folder to keep it in can be written"
            sys.stderr.write(f"Compiling the simulator for this machine, {often}: up to 20 s ...\n")
        self._said = True

    def on_end(self, event: Event) -> None:
        pass


register("numba:compile", _Notice())  # type: ignore[no-untyped-call]


def compiled(function: _Function) -> _Function:
    """The function as machine code for other compiled functions, with its types unchanged for the type checker."""
    return _machine_code(function, from_python=False)


def entry(function: _Function) -> _Function:
    """The same for a function that Python calls; each costs some compile time more."""
    return _machine_code(function, from_python=True)


def _machine_code(function: _Function, *, from_python: bool) -> _Function:
    # Without "nrt", numba doesn't count references to the arrays that are passed along, an atomic operation each, which
    # took half to four fifths of the time. The caller keeps them alive; what would make new ones doesn't compile.
    options = {"cache": _KEPT, "_nrt": False, "no_cpython_wrapper": not from_python}
    return cast("Callable[[_Function], _Function]", cast("Callable[..., object]", njit)(**options))(function)

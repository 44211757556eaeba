"""Declare the torchvision operators that its import needs, when its compiled ones cannot load.

torchvision from the package index is a CUDA build: next to the CPU build of torch its C++ operators do not load, and
`import torchvision` (SGLang's image code does that) dies at a decorator that names an operator which was never
declared. Declared only, they are enough: a text model never calls them.

Python runs a module of this name at start-up, so it must stay cheap and must never raise: it only puts an import hook
in place, which acts when torchvision is first imported.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

DECLARED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class TorchvisionOperators(importlib.abc.MetaPathFinder):
    """Import hook: the first import of torchvision declares the operators, then goes on as usual."""

    def __init__(self) -> None:
        self.library: Any = None  # torch withdraws a declaration when its Library object is collected

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  (the protocol of import hooks)
        target: types.ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Find nothing, ever: only notice the name."""
        if fullname == "torchvision" and self.library is None:
            import torch  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  (costs a second)

            self.library = torch.library.Library("torchvision", "DEF")
            for schema in DECLARED:
                self.library.define(schema)
        return None


sys.meta_path.insert(0, TorchvisionOperators())

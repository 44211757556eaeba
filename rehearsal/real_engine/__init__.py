"""Real SGLang on a CPU, with a tiny model made on the spot: the rehearsal's `--engine sglang` (docs/real-engine.md)."""

from rehearsal.real_engine.arguments import ENGINE_ARGUMENTS, ENVIRONMENT
from rehearsal.real_engine.preparation import PrepareError, RealEngine, prepare

__all__ = ["ENGINE_ARGUMENTS", "ENVIRONMENT", "PrepareError", "RealEngine", "prepare"]

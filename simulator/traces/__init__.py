"""Traces of requests: read from files, scaled, cut and repeated, always as a stream of chunks."""

from simulator.traces.trace import Chunk, Trace

__all__ = ["Chunk", "Trace"]

"""Traces of requests: read from files, scaled, cut and repeated, always as a stream of chunks."""

from simulator.traces.chunk import Chunk
from simulator.traces.files import read
from simulator.traces.rates import RateTrace
from simulator.traces.trace import Trace

__all__ = ["Chunk", "RateTrace", "Trace", "read"]

"""The router and its workers as compiled code on arrays: rehearsal.engine.batch and prefix_cache, for millions.

The meaning of every step is explained there and is not repeated here; tests hold the two against each other.
"""

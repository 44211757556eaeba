"""A deterministic simulator of arrivals, router, workers and scaling. Pure: no clock, no environment, no network."""

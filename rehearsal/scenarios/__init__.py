"""Scenarios of a fleet's life under load, each ending with a ledger of every request that was sent."""

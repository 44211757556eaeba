"""The scenarios, a page each."""

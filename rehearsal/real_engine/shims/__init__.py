"""Files copied into the CPU environment; none is imported from here."""

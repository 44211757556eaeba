"""Everything that runs on a host, and the contract between the laptop and the host."""

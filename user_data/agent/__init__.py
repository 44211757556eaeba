"""Programs that run on the hosts: discovery, router, worker, check. Each also runs on a laptop (`--config file://…`)."""

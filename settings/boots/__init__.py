"""How long a worker takes from launch to its first token, phase by phase, for each way its weights can come."""

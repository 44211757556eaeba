"""Makes `vllm` importable for the one function beside it; nothing of vLLM is here."""

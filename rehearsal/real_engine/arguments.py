"""What SGLang has to be told to run on a CPU: settings-style keys for a pool's `[workers.engine]`."""

from collections.abc import Mapping
from types import MappingProxyType

ENGINE_ARGUMENTS: Mapping[str, str | int | float | bool] = MappingProxyType(
    {
        "device": "cpu",
        "attention_backend": "torch_native",
        "sampling_backend": "pytorch",
        "grammar_backend": "none",
        # --disable-cuda-graph is deprecated in 0.5.23; these two are its present names.
        "cuda_graph_backend_decode": "disabled",
        "cuda_graph_backend_prefill": "disabled",
        "skip_server_warmup": True,
        "mem_fraction_static": 0.15,
        "max_total_tokens": 20_000,
        "enable_metrics": True,
        "enable_cache_report": True,
        # Without it the random seed differs at each start, and so does the text at temperature above 0.
        "random_seed": 0,
    }
)

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "HF_HUB_OFFLINE": "1",  # model and tokenizer are local: never ask the hub
        "TRANSFORMERS_OFFLINE": "1",
        # One intra-op thread: with two models on two cores, more threads only fight (torch's default is all cores).
        "OMP_NUM_THREADS": "1",
    }
)
"""Environment variables that help; none is required."""

"""Metrics of SGLang 0.5.23 that the emulator does not have, by reason. A family is either here or in the emulator."""

OMITTED: dict[str, tuple[str, ...]] = {
    "processor time of SGLang's own processes and scheduler stages: the emulator has neither": (
        "process_cpu_seconds_total", "scheduler_process_cpu_seconds_total", "scheduler_idle_seconds_total",
        "scheduler_stage_seconds_total", "fwd_occupancy",
    ),
    "speculative decoding, which the emulator does not model (always 0 without it)": (
        "spec_accept_length", "spec_accept_rate", "spec_cap_length", "spec_block_accept_length", "spec_num_steps",
        "spec_num_draft_tokens",
    ),
    "data-parallel attention, which the emulator does not model": (
        "dp_attention_tokens_total", "dp_attention_steps_total", "dp_attention_pairs_total",
        "dp_attention_token_imbalance_ratio", "dp_attention_sync_wait_seconds",
    ),
    "sliding-window and Mamba caches, which plain transformers do not have": (
        "swa_token_usage", "swa_available_tokens", "swa_evictable_tokens", "swa_used_tokens", "mamba_usage",
        "mamba_available_tokens", "mamba_evictable_tokens", "mamba_used_tokens",
    ),
    "prefill/decode disaggregation, outside the product": (
        "num_prefill_bootstrap_queue_reqs", "num_prefill_inflight_queue_reqs", "num_decode_prealloc_queue_reqs",
        "num_decode_transfer_queue_reqs", "num_decode_host_receive_queue_reqs", "num_decode_deferred_kv_release_reqs",
        "pending_prealloc_token_usage", "prealloc_full_token_usage", "prealloc_swa_token_usage",
    ),
    "CUDA graphs and GPU memory in GB: there is no GPU": (
        "cuda_graph_passes_total", "is_cuda_graph", "startup_cuda_graph_time_seconds", "graph_memory_usage_gb",
        "weight_memory_usage_gb", "kv_cache_memory_usage_gb", "startup_available_gpu_memory_gb",
    ),
    "routing keys, which nothing in the product sends": (
        "routing_keys_active", "num_unique_running_routing_keys", "routing_key_running_req_count",
        "routing_key_all_req_count",
    ),
    "inner state of SGLang's scheduler without a counterpart in the model": (
        "new_token_ratio", "num_grammar_queue_reqs", "prefill_effective_tokens_total",
    ),
}  # fmt: skip

NAMES = {f"sglang:{name}" for names in OMITTED.values() for name in names}

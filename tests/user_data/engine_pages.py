"""Pages of engines, as the tests need them."""

from __future__ import annotations

GOOD = """\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{engine_type="unified",model_name="m, {\\"x\\"} 1",tp_rank="0"} 3.0
sglang:num_queue_reqs{engine_type="unified",model_name="m",tp_rank="0"} 2.0
sglang:token_usage{engine_type="unified",model_name="m",tp_rank="0"} 0.25
sglang:gen_throughput{engine_type="unified",model_name="m",tp_rank="0"} 120.5
sglang:realtime_tokens_total{mode="prefill_compute",tp_rank="0"} 30.0
sglang:realtime_tokens_total{mode="prefill_cache",tp_rank="0"} 10.0
sglang:realtime_tokens_total{mode="decode",tp_rank="0"} 999.0
sglang:num_requests_total{is_streaming="true"} 5.0
sglang:num_requests_total{is_streaming="false"} 99.0
sglang:prompt_tokens_total{is_streaming="true"} 35.0
sglang:generation_tokens_total{is_streaming="true"} 60.0
sglang:time_to_first_token_seconds_bucket{is_streaming="true",le="0.1"} 1.0
sglang:time_to_first_token_seconds_bucket{is_streaming="true",le="+Inf"} 2.0
sglang:time_to_first_token_seconds_bucket{is_streaming="false",le="0.1"} 4.0
sglang:time_to_first_token_seconds_bucket{is_streaming="false",le="+Inf"} 4.0
sglang:inter_token_latency_seconds_bucket{le="0.06"} 7.0
sglang:inter_token_latency_seconds_bucket{le="+Inf"} 7.0
sglang:another_metric{le="x"} nothing
"""

GARBAGE = {
    "html": "<html><body>502 Bad Gateway</body></html>",
    "empty": "",
    "a word": GOOD.replace('_reqs{engine_type="unified",model_name="m",tp_rank="0"} 2.0', "_reqs{} many"),
    "negative": GOOD.replace("} 2.0", "} -2.0"),
    "NaN": GOOD.replace("} 0.25", "} NaN"),
    "endless": GOOD.replace("} 120.5", "} +Inf"),
    "huge": GOOD.replace("} 10.0", "} 1e300"),
    "too many requests": GOOD.replace("} 3.0", "} 3e9"),
    "more memory than there is": GOOD.replace("} 0.25", "} 1.25"),
    "counts that fall": GOOD.replace('"true",le="+Inf"} 2.0', '"true",le="+Inf"} 0').replace("} 4.0", "} 0"),
    "no edge": GOOD.replace('le="0.06"', 'edge="0.06"'),
}

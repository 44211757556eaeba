"""How long prefill and decode take: pure arithmetic, in seconds of model time.

The defaults stand for one NVIDIA L40S with a 32B model in 4-bit AWQ (Qwen2.5-32B shape, the product's default model):

- Decode reads the weights once per step and each sequence's KV cache once. L40S: 864 GB/s (NVIDIA's data sheet); 18.0
  GiB of weights; 64 layers x 8 KV heads x 128 x 2 (K, V) x 2 bytes = 262,144 bytes of KV per token (the model's
  config.json). At 75 % of the bandwidth (assumption): 30 ms per step and 0.40 us per token of context.
- Per sequence and step 0.15 ms (assumption: sampling, de-quantisation in wider GEMMs, detokenizing).
- Prefill computes 2 x 32.8e9 FLOP per token. L40S: 362 TFLOPS dense FP16 (data sheet); at 40 % of it (assumption):
  2,200 tokens/s, and 15 ms for each batch started (assumption).
- Tensor parallelism over n GPUs divides each time by n**0.9 (assumption: 7 % lost per doubling).

Measured figures replace them through `EmulatorConfig`; the labels above stay honest until then.
"""

from dataclasses import dataclass
from math import sqrt

TENSOR_PARALLEL_EXPONENT = 0.9


@dataclass(frozen=True, slots=True)
class Rates:
    """Speeds of one engine."""

    prefill_tokens_per_second: float = 2200.0
    prefill_batch_seconds: float = 0.015
    decode_step_seconds: float = 0.030
    decode_sequence_seconds: float = 0.00015
    decode_context_token_seconds: float = 0.40e-6

    def parallel(self, gpus: int) -> "Rates":
        """The speeds of the same engine spread over `gpus` GPUs."""
        speedup = gpus**TENSOR_PARALLEL_EXPONENT
        return Rates(
            self.prefill_tokens_per_second * speedup,
            self.prefill_batch_seconds,
            self.decode_step_seconds / speedup,
            self.decode_sequence_seconds,
            self.decode_context_token_seconds / speedup,
        )

    def prefill_seconds(self, tokens: int) -> float:
        """Time to compute `tokens` prompt tokens that no cache holds, in one batch."""
        return self.prefill_batch_seconds + tokens / self.prefill_tokens_per_second

    def step_seconds(self, batch: int, context_tokens: int) -> float:
        """Time of one decode step: one token for each of `batch` sequences that hold `context_tokens` together."""
        return (
            self.decode_step_seconds
            + batch * self.decode_sequence_seconds
            + context_tokens * self.decode_context_token_seconds
        )

    def steps_seconds(self, steps: int, batch: int, context_tokens: int) -> float:
        """Time of `steps` decode steps in a row; the context grows by `batch` tokens with each."""
        growth = self.decode_context_token_seconds * batch
        return steps * self.step_seconds(batch, context_tokens) + growth * steps * (steps - 1) / 2

    def steps_within(self, seconds: float, batch: int, context_tokens: int) -> int:
        """How many whole decode steps fit into `seconds` (inverse of `steps_seconds`)."""
        half_growth = self.decode_context_token_seconds * batch / 2
        linear = self.step_seconds(batch, context_tokens) - half_growth
        if half_growth <= 0:
            return int(seconds / linear)
        steps = int((sqrt(linear * linear + 4 * half_growth * seconds) - linear) / (2 * half_growth))
        # The root can fall a hair short of a whole number; time that is exactly n steps must give n.
        return steps + (self.steps_seconds(steps + 1, batch, context_tokens) <= seconds)

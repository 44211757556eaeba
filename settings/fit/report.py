"""The sentences: why a model does not fit, and what a worker holds when it does."""

from __future__ import annotations

from settings.catalogue import GpuInstance
from settings.fit.budget import Fit
from settings.fit.facts import GIB


def reason(fit: Fit, instance: GpuInstance) -> str:
    """Return why a model does not fit, with the numbers in GiB of one GPU."""
    place = f"{fit.gpus} x {instance.gpu} of {instance.instance_type}"
    room = (
        f"{fit.static:.1f} GiB for weights and cache (mem_fraction_static {fit.fraction:.3g} of {fit.usable:.1f} GiB)"
    )
    if fit.verdict == "weights":
        return f"does not fit {place}: on each GPU its weights take {fit.weights:.1f} GiB, and there are {room}"
    if fit.verdict == "reserve":
        return (
            f"does not fit {place}: mem_fraction_static {fit.fraction:.3g} leaves {fit.reserve:.1f} GiB of "
            f"{fit.usable:.1f} GiB on each GPU, and activations and CUDA graphs need {fit.needed:.1f} GiB"
        )
    wanted = fit.context if fit.verdict == "context" else min(4096, fit.context)
    needed = wanted * fit.token_bytes / GIB
    return (
        f"does not fit {place}: on each GPU its weights take {fit.weights:.1f} GiB of {room}, which leaves "
        f"{max(fit.cache, 0):.1f} GiB of cache, and a request of {wanted} tokens needs {needed:.1f} GiB"
    )


def holds(fit: Fit) -> str:
    """Return in one line what a worker holds."""
    return (
        f"{fit.weights:.1f} GiB of weights and {fit.cache:.1f} GiB of cache on each of {fit.gpus} GPU(s): "
        f"{fit.tokens:,} tokens, {fit.requests:,} requests of {fit.context:,} tokens at once"
    )

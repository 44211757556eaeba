"""What a client asks: request bodies read into `Ask`, or refused with the body that SGLang 0.5.23 would send.

The emulator honours length, seed, streaming, usage and ids. It takes and ignores sampling (temperature, top_p, …), stop
strings, logprobs, tools and images: its text is made up anyway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rehearsal.engine import tokens

SAMPLING_PARAMETERS = (
    "max_new_tokens", "stop", "stop_token_ids", "stop_regex", "temperature", "top_p", "top_k", "min_p",
    "frequency_penalty", "presence_penalty", "repetition_penalty", "min_new_tokens", "n", "json_schema",
    "regex", "ebnf", "structural_tag", "ignore_eos", "skip_special_tokens", "spaces_between_special_tokens",
    "no_stop_trim", "stream_interval", "logit_bias", "sampling_seed", "custom_params", "beam_width",
    "watermark", "choice",
)  # fmt: skip
NATIVE_LENGTH = 128  # SGLang's default of max_new_tokens in /generate
COMPLETION_LENGTH = 16  # OpenAI's default of max_tokens in /v1/completions


class RefusedError(Exception):
    """The request is answered with an error: an HTTP status and a JSON body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Ask:
    """One generation request; `prompts` has one text per wanted answer (n times each)."""

    native: bool
    chat: bool
    prompts: tuple[str, ...]
    listed: bool
    max_tokens: int | None
    ignore_eos: bool
    seed: int
    stream: bool
    include_usage: bool
    continuous_usage: bool
    model: str
    rid: str | None


def openai_error(message: str, kind: str = "BadRequestError", code: int = 400) -> dict[str, Any]:
    """SGLang's error body on its OpenAI endpoints."""
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def refuse(message: str, *, native: bool) -> RefusedError:
    """A 400 in the shape of the endpoint's family."""
    return RefusedError(400, {"error": {"message": message}} if native else openai_error(message))


def read_body(body: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object of a request. Raises RefusedError as SGLang's validation does."""
    if content_type.split(";", maxsplit=1)[0].strip().lower() != "application/json":
        raise _invalid("Unsupported Media Type: Only 'application/json' is allowed")
    return read_json(body)


def read_json(body: bytes) -> dict[str, Any]:
    """As `read_body`, whatever the content type says."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise _invalid(f"JSON decode error: {error}") from error
    if not isinstance(value, dict):
        raise _invalid("Input should be an object")
    return value


def read_generate(body: dict[str, Any], default_model: str) -> Ask:
    """POST /generate. Raises RefusedError."""
    sampling = body.get("sampling_params") or {}
    for name in sampling:
        if name not in SAMPLING_PARAMETERS:
            choices = ", ".join(f"`{item}`" for item in SAMPLING_PARAMETERS)
            raise RefusedError(400, {"error": f"unknown field `{name}`, expected one of {choices}"})
    prompt = body.get("text") if body.get("text") is not None else body.get("input_ids")
    if prompt is None:
        raise refuse("Either text, input_ids or input_embeds should be provided.", native=True)
    return _ask(
        body | {"max_tokens": sampling.get("max_new_tokens", NATIVE_LENGTH), "model": default_model},
        sampling,
        _texts(prompt),
        native=True,
    )


def read_completion(body: dict[str, Any], default_model: str) -> Ask:
    """POST /v1/completions. Raises RefusedError."""
    if "prompt" not in body:
        raise _invalid("prompt: Field required")
    if not body["prompt"]:
        raise refuse("Prompt cannot be empty", native=False)
    defaults = {"model": default_model, "max_tokens": COMPLETION_LENGTH}
    return _ask(defaults | body, body, _texts(body["prompt"]))


def read_chat(body: dict[str, Any], default_model: str) -> Ask:
    """POST /v1/chat/completions. Raises RefusedError."""
    if "messages" not in body:
        raise _invalid("messages: Field required")
    if not body["messages"]:
        raise refuse("Messages cannot be empty.", native=False)
    length = body.get("max_completion_tokens", body.get("max_tokens"))
    return _ask(
        {"model": default_model} | body | {"max_tokens": length}, body, [_template(body["messages"])], chat=True
    )


def check_length(ask: Ask, context_length: int, memory_tokens: int) -> None:
    """Refuse what fits into neither context nor KV memory. Raises RefusedError with SGLang's sentences."""
    longest = min(context_length, memory_tokens)
    for prompt in ask.prompts:
        size, wanted = tokens.count(prompt), ask.max_tokens
        if size >= longest:
            raise refuse(
                f"The input ({size} tokens) is longer than the model's context length ({longest} tokens).",
                native=ask.native,
            )
        if wanted is not None and size + wanted > context_length:
            raise refuse(
                f"Requested token count exceeds the model's maximum context length of {context_length} tokens. You "
                f"requested a total of {size + wanted} tokens: {size} tokens from the input messages and {wanted} "
                "tokens for the completion. Please reduce the number of tokens in the input messages or the "
                "completion to fit within the limit.",
                native=ask.native,
            )


def _ask(
    body: dict[str, Any], sampling: dict[str, Any], texts: list[str], *, native: bool = False, chat: bool = False
) -> Ask:
    length = body["max_tokens"]
    if length is not None and length < 0:
        raise refuse(f"max_new_tokens must be at least 0, got {length}.", native=native)
    options = body.get("stream_options") or {}
    seed = sampling.get("sampling_seed", body.get("seed"))
    copies = int(sampling.get("n") or 1)
    return Ask(
        native=native,
        chat=chat,
        prompts=tuple(text for text in texts for _ in range(copies)),
        listed=isinstance(body.get("text"), list) or copies > 1,
        max_tokens=length,
        ignore_eos=bool(sampling.get("ignore_eos")),
        seed=int(seed or 0),
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        continuous_usage=bool(options.get("continuous_usage_stats")),
        model=str(body["model"]),
        rid=body.get("rid") if isinstance(body.get("rid"), str) else None,
    )


def _texts(prompt: object) -> list[str]:
    """A prompt may be a text, token ids, or a list of either."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt and all(isinstance(item, int) for item in prompt):
        return [tokens.text_of_ids(prompt)]
    if isinstance(prompt, list) and prompt:
        return [text for item in prompt for text in _texts(item)]
    raise _invalid("prompt: Input should be a valid string or a list")


def _template(messages: list[dict[str, Any]]) -> str:
    turns = "".join(f"<|im_start|>{item.get('role')}\n{_content(item.get('content'))}<|im_end|>\n" for item in messages)
    return turns + "<|im_start|>assistant\n"


def _content(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def _invalid(message: str) -> RefusedError:
    return RefusedError(400, openai_error(f"1 validation error:\n  {message}", "Bad Request"))

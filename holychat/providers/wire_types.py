"""The JSON of chat completions: what is sent, and what servers really answer.

Fields that holychat does not use are not declared, so they may hold anything. A declared field of a wrong type is a
`WireError` that names it. Token counts may hold anything as well: a reply that was paid for is not lost to a number.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from holychat.domain.usage import Usage
from holychat.text import replace_surrogates
from holychat.typed import convert, decoder

if TYPE_CHECKING:
    from holychat.domain.request import ReplyRequest

_T = TypeVar("_T")

MOST_TOKENS = 100_000_000
"""More than any model reads or writes: a count beyond it is a mistake, and would hold every limit for good."""


class WireError(Exception):
    """The data is not JSON, or a field has a wrong type; the message names the field."""


# What is sent


class MessageBody(msgspec.Struct):
    """One message of the prompt."""

    role: str
    content: str


class StreamOptions(msgspec.Struct):
    """Asks for a last chunk with the token counts."""

    include_usage: bool


class ChatRequest(msgspec.Struct, omit_defaults=True):
    """Body of POST /chat/completions; what is None is left out."""

    model: str
    messages: list[MessageBody]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class Dialect(msgspec.Struct, frozen=True):
    """What a model's endpoint was found to want otherwise than most do."""

    stream_options: bool = True
    max_completion_tokens: bool = False
    """Newer models of OpenAI refuse `max_tokens` under its old name."""

    def after_refusal(self, message: str, body: bytes) -> Dialect | None:
        """The dialect to try after a 400 with this message, or None where the wording of `body` is not to blame."""
        if "stream_options" in message and b'"stream_options"' in body:
            return msgspec.structs.replace(self, stream_options=False)
        if "max_completion_tokens" in message and b'"max_tokens"' in body:
            return msgspec.structs.replace(self, max_completion_tokens=True)
        return None


def encode_request(request: ReplyRequest, *, stream: bool, dialect: Dialect) -> bytes:
    """The body of a request, UTF-8 JSON."""
    renamed = dialect.max_completion_tokens
    body = ChatRequest(
        model=replace_surrogates(request.model),
        messages=[MessageBody(part.role.value, replace_surrogates(part.text)) for part in request.messages],
        stream=stream,
        stream_options=StreamOptions(include_usage=True) if stream and dialect.stream_options else None,
        temperature=request.temperature,
        max_tokens=None if renamed else request.max_tokens,
        max_completion_tokens=request.max_tokens if renamed else None,
    )
    if not request.parameters:
        return msgspec.json.encode(body)
    further = {name: msgspec.Raw(value.encode()) for name, value in request.parameters}
    return msgspec.json.encode(further | msgspec.to_builtins(body))


# What comes back


class ContentPart(msgspec.Struct):
    """A piece of `content` where a server sends a list; Mistral nests its thinking in one."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    thinking: list[ContentPart | str] | str | None = None


class Delta(msgspec.Struct):
    """What a chunk adds, or the message of a whole reply."""

    content: str | list[ContentPart | str] | None = None
    reasoning_content: str | None = None
    """DeepSeek and servers that follow it."""
    reasoning: str | None = None
    """OpenRouter, Ollama, vLLM since 2026."""
    refusal: str | None = None


class Choice(msgspec.Struct):
    """One of the replies; holychat asks for one and reads the first."""

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    usage: Any = None
    """Moonshot puts the counts here; see `usage_of`."""


class Completion(msgspec.Struct):
    """A chunk of a stream, or a whole reply: they differ only in `delta` and `message`."""

    id: str | int | None = None
    object: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    """See `usage_of`."""
    error: Any = None
    """Anything that is not null is an error, whatever else the chunk holds."""
    message: Any = None
    code: Any = None
    """With `object` "error" the whole chunk is the error (vLLM)."""

    def first(self) -> Choice | None:
        """The choice with index 0."""
        for choice in self.choices or ():
            if choice.index == 0:
                return choice
        return None


class ModelEntry(msgspec.Struct):
    """One line of a model list."""

    id: str
    owned_by: str | None = None


class ModelList(msgspec.Struct):
    """Body of GET /models."""

    data: list[ModelEntry] | None


_COMPLETION: msgspec.json.Decoder[Completion] = decoder(Completion)
_MODELS: msgspec.json.Decoder[ModelList | list[ModelEntry]] = decoder(ModelList | list[ModelEntry])


def decode_completion(data: str | bytes) -> Completion:
    """A chunk or a whole reply. Text in it may hold halves of surrogate pairs.

    Raises:
        WireError: It is not JSON, not an object, or a field has a wrong type.
    """
    return decode(_COMPLETION, data)


def decode_models(data: bytes) -> list[ModelEntry]:
    """A model list; some servers send it bare.

    Raises:
        WireError: It is not JSON, no list, or a field has a wrong type.
    """
    models = decode(_MODELS, data)
    return models if isinstance(models, list) else models.data or []


def decode(form: msgspec.json.Decoder[_T], data: str | bytes) -> _T:
    """Some JSON as what the decoder makes of it. Text in it may hold halves of surrogate pairs.

    Raises:
        WireError: It is not JSON, or a field has a wrong type.
    """
    try:
        return form.decode(data)
    except msgspec.ValidationError as error:
        problem = str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = f"not JSON: {error}"
    if _is_read_by_others(problem, data):
        try:
            kind: type[_T] = cast("Any", form.type)  # msgspec 0.23 describes it in another way than 0.22
            return convert(json.loads(data), kind)
        except msgspec.ValidationError as error:
            problem = str(error)
        except (ValueError, RecursionError) as error:
            problem = f"not JSON: {error}"
    raise WireError(problem)


def _is_read_by_others(problem: str, data: str | bytes) -> bool:
    """Whether Python's own reader may know what to do with what msgspec refused.

    Halves of surrogate pairs as escapes, which servers send when they cut a pair in two; numbers that are none, which
    servers in Python send; numbers that are too large.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    if "out of range" in problem:
        return True
    return problem.startswith("not JSON") and any(mark in text for mark in ("\\u", "NaN", "Infinity"))


def usage_of(body: object) -> Usage:
    """The token counts of a reply. One that cannot be true is left out, and the rest is marked as an estimate.

    Args:
        body: What stands under `usage`, anything at all.
    """
    found = [value_at(body, path) for path in _COUNTS]
    given, made, cached, cache_hit, reasoning = (token_count(value) for value in found)
    odd = any(value is not None and token_count(value) is None for value in found)
    return Usage(given, made, cache_hit if cached is None else cached, reasoning, estimated=odd)


_COUNTS = (
    ("prompt_tokens",),
    ("completion_tokens",),
    ("prompt_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),  # DeepSeek's name for cached tokens
    ("completion_tokens_details", "reasoning_tokens"),
)
"""Where the counts stand."""


def value_at(value: object, path: tuple[str, ...]) -> object:
    """What stands at a path of names in decoded JSON; None: nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def token_count(value: object) -> int | None:
    """A number of tokens that can be true, or None."""
    # JSON does not tell 12.0 from 12.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


class HalfJoiner:
    """Joins surrogate pairs that were cut over two deltas; a half that stays alone becomes U+FFFD."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def join(self, text: str) -> str:
        """The text with earlier half in front and a trailing first half held back."""
        if text.isascii() and not self._half:
            return text
        text = self._half + text
        self._half = ""
        if "\ud800" <= text[-1:] <= "\udbff":
            self._half = text[-1]
            text = text[:-1]
        return replace_surrogates(text)

    def rest(self) -> str:
        """What is left at the end: U+FFFD for a half that never found its other one."""
        text, self._half = replace_surrogates(self._half), ""
        return text


def texts_of(delta: Delta) -> tuple[str, str]:
    """(answer, reasoning) of a delta. A refusal is answer text: it is what the model says."""
    content = delta.content
    reasoning = delta.reasoning_content or delta.reasoning or ""
    if type(content) is str and not delta.refusal:
        return content, reasoning
    answer: list[str] = []
    thoughts = [reasoning]
    if isinstance(content, str):
        answer.append(content)
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            answer.append(part)
        else:
            answer.append((part.text or "") + (part.refusal or ""))
            thoughts.append(_thinking(part))
    answer.append(delta.refusal or "")
    return "".join(answer), "".join(thoughts)


def _thinking(part: ContentPart) -> str:
    if isinstance(part.thinking, list):
        return "".join(piece if isinstance(piece, str) else piece.text or "" for piece in part.thinking)
    return part.thinking or ""

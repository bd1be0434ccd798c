"""The method table: every method of a service with its message types and REST rules, read from its client library.

A client library's gRPC transport asks its channel for a stub of each method when it is built, naming path, serializer
and deserializer; a channel that only takes notes therefore yields the whole service. The REST rules come from the
`_get_http_options` of the same library. Nothing is written down here twice.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from google.auth.credentials import AnonymousCredentials
from google.protobuf import descriptor_pool, message_factory

# The end of a path: a colon there starts the custom verb, unless it is the one within a digest.
_LAST = "[^/:]+(?::[0-9a-f]{64})?"
_VARIABLE = re.compile(r"\{([^=}]+)=([^}]+)\}")


@dataclass(frozen=True)
class Source:
    """Where a service is described: the package of its client, and the prefix of its transports' class names."""

    module: str
    prefix: str


@dataclass(frozen=True)
class Rule:
    """One REST form of a method: verb, compiled path and the request field that the body fills ("*" is all)."""

    verb: str
    pattern: re.Pattern[str]
    variables: tuple[str, ...]
    body: str

    def match(self, verb: str, path: str) -> dict[str, str] | None:
        """Return the path's variables by their field path, or None when this is another rule's request."""
        if verb != self.verb or (found := self.pattern.fullmatch(path)) is None:
            return None
        return dict(zip(self.variables, map(unquote, found.groups()), strict=True))


@dataclass(frozen=True)
class Method:
    """One method: `path` is gRPC's "/package.Service/Name", `request` and `response` are raw protobuf classes.

    `request` is None where the library does not say it (IAM methods of some services): such a method cannot be served.
    `streaming` says that requests and responses are streams.
    """

    path: str
    request: Any
    response: Any
    rules: tuple[Rule, ...]
    streaming: bool = False

    @property
    def service(self) -> str:
        """The full service name, "google.cloud.kms.v1.KeyManagementService"."""
        return self.path.split("/")[1]

    @property
    def name(self) -> str:
        """The method's own name, "CreateKeyRing"."""
        return self.path.split("/")[2]


class _NoteTaker:
    """Stands where the channel stands and writes down every stub that the transport asks for."""

    def __init__(self) -> None:
        self.stubs: dict[str, tuple[Any, Any]] = {}
        self.streams: set[str] = set()
        self._unary_unary_interceptors: list[Any] = []

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any) -> Callable[..., None]:
        """Note one method."""
        self.stubs[path] = (request_serializer, response_deserializer)
        return lambda *_args, **_kwargs: None

    def stream_stream(self, path: str, request_serializer: Any, response_deserializer: Any) -> Callable[..., None]:
        """Note one method whose requests and responses are streams."""
        self.streams.add(path)
        return self.unary_unary(path, request_serializer, response_deserializer)


def read(source: Source) -> list[Method]:
    """Every method of *source*'s client library, the mixins (locations, IAM, operations) included."""
    module, prefix = source.module, source.prefix
    notes = _NoteTaker()
    transport = getattr(importlib.import_module(f"{module}.transports.grpc_asyncio"), f"{prefix}GrpcAsyncIOTransport")
    transport(channel=lambda *_args, **_kwargs: notes, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # google-auth has no types
    rest = getattr(importlib.import_module(f"{module}.transports.rest_base"), f"_Base{prefix}RestTransport")
    return [
        Method(
            path,
            _type(path, serializer, "input_type"),
            _type(path, deserializer, "output_type"),
            tuple(_rules(rest, path)),
            path in notes.streams,
        )
        for path, (serializer, deserializer) in notes.stubs.items()
    ]


def merge(methods: Iterable[Method]) -> dict[str, Method]:
    """Return the methods by path; a mixin that several services of one API describe keeps the rules of all."""
    merged: dict[str, Method] = {}
    for method in methods:
        known = merged.get(method.path)
        merged[method.path] = replace(method, rules=known.rules + method.rules) if known else method
    return merged


def compile_rule(verb: str, uri: str, body: str = "") -> Rule:
    """Return the rule of one google.api.http binding; *uri* is a path template such as "/v1/{name=projects/*}"."""
    variables: list[str] = []
    pattern, end = "", 0
    for found in _VARIABLE.finditer(uri):
        variables.append(found.group(1))
        # A colon is legal inside (domain-scoped projects).
        last = "[^/]+" if uri[found.end() :].startswith("/") else _LAST
        pattern += re.escape(uri[end : found.start()]) + "(" + _segments(found.group(2), last) + ")"
        end = found.end()
    pattern += re.escape(uri[end:])
    return Rule(verb.upper(), re.compile(pattern), tuple(variables), body)


def _rules(rest: Any, path: str) -> Iterator[Rule]:
    name = path.rsplit("/", 1)[1]
    for class_name in (f"_Base{name}", f"_Base{name[0].lower()}{name[1:]}"):
        bindings = getattr(rest, class_name, None)
        if bindings is not None and hasattr(bindings, "_get_http_options"):
            for option in bindings._get_http_options():  # noqa: SLF001 - the rules exist nowhere else in the package
                yield compile_rule(option["method"], option["uri"], option.get("body", ""))
            return


def _segments(template: str, last: str) -> str:
    parts = [{"*": "[^/]+", "**": ".+"}.get(segment, re.escape(segment)) for segment in template.split("/")]
    if parts[-1] == "[^/]+":
        parts[-1] = last
    return "/".join(parts)


def _type(path: str, converter: Any, side: str) -> Any:
    """Return the message class of a method's *side*, "input_type" or "output_type"."""
    owner = getattr(converter, "__self__", None)
    if owner is not None:
        return _raw(owner)
    # A mixin's serializer is the unbound SerializeToString of all messages, and where it answers Empty it has no
    # deserializer; its file knows the service.
    service, name = path[1:].split("/")
    try:
        descriptor = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return None
    return message_factory.GetMessageClass(getattr(descriptor.FindMethodByName(name), side))


def _raw(message: Any) -> Any:
    """Return the protobuf class below a proto-plus class; protobuf classes are returned as they are."""
    return message.pb() if hasattr(message, "pb") else message

"""Applies a mapping to a message: which event it means, if any."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.catalogue import CATALOGUE
from schemas.events import Event
from schemas.explanations import explain
from schemas.feeds import PubSubMessage
from workers import subscriptions
from workers.bridge.built_in import built_in
from workers.expressions import Expression, ExpressionError, compiled, holds
from workers.failures import Invalid
from workers.subscriptions import Case, Subscriptions

_LARGEST = 1 << 20
"""Bytes of a body that is read. Pub/Sub takes ten times as many: as JSON, they might become more than memory holds."""
_Rule = tuple[Expression | None, Callable[[Mapping[str, Any]], Event] | None]


class Mappings:
    """The mappings of all subscriptions, ready to be applied."""

    def __init__(self, configured: Subscriptions) -> None:
        self._rules = {
            one.subscription: _Mapping(built_in(one.mapping) if isinstance(one.mapping, str) else one.mapping)
            for one in configured.subscriptions
        }

    def apply(self, message: PubSubMessage) -> Event | None:
        """Return the event that a message means, None if it means none.

        Raises Invalid when it cannot be understood, or its subscription has no mapping.
        """
        mapping = self._rules.get(message.subscription)
        if mapping is None:
            raise Invalid(
                f"nothing says what a message of {message.subscription} means: list the subscription in SEALANE_FEEDS"
            )
        return mapping.apply(message)


class _Mapping:
    """One mapping, its expressions compiled."""

    def __init__(self, mapping: subscriptions.Mapping) -> None:
        self._body = mapping.body
        self._is_timed = any("publishTime" in text for case in mapping.cases for text in _expressions(case))
        self._rules: list[_Rule] = [
            (compiled(case.when) if case.when else None, _emission(number, case) if case.emit else None)
            for number, case in enumerate(mapping.cases, start=1)
        ]

    def apply(self, message: PubSubMessage) -> Event | None:
        content = message.message
        seen = {
            "data": _read(self._body, content.data),
            "attributes": content.attributes,
            "messageId": content.message_id,
            "publishTime": content.publish_time.isoformat() if self._is_timed else None,
            "orderingKey": content.ordering_key,
            "subscription": message.subscription,
        }
        try:
            for when, emit in self._rules:
                if when is None or holds(when(seen)):
                    return None if emit is None else emit(seen)
        except ExpressionError as error:
            raise Invalid(str(error)) from None
        raise Invalid(
            "no case of its mapping is about this message: it is malformed (drop it), or of a kind nobody thought of"
            " (add a case to the mapping in SEALANE_FEEDS, and replay it)"
        )


def _expressions(case: Case) -> tuple[str, ...]:
    return (case.when or "", *case.fields.values())


def _read(body: str, data: bytes) -> Any:
    if body == "none":
        return None
    if len(data) > _LARGEST:
        raise Invalid(f"the body has {len(data)} bytes: a notification has at most {_LARGEST}, no more is read")
    try:
        return from_json(data, allow_inf_nan=False) if body == "json" else data.decode()
    except ValueError as error:
        wanted = "JSON" if body == "json" else "UTF-8 text"
        raise Invalid(f"the body of {len(data)} bytes is not {wanted}: {_without_content(error)}") from None


def _without_content(error: ValueError) -> str:
    return error.reason if isinstance(error, UnicodeDecodeError) else str(error)


def _emission(number: int, case: Case) -> Callable[[Mapping[str, Any]], Event]:
    """Return what makes the event of a case, whose fields are checked as those of any event from outside."""
    model = CATALOGUE[case.emit or ""]
    fields = [(name, compiled(text)) for name, text in case.fields.items()]

    def emit(seen: Mapping[str, Any]) -> Event:
        found = {name: value for name, field in fields if (value := field(seen)) is not None}
        try:
            return model.model_validate_json(to_json(found))
        except ValidationError as error:
            raise Invalid(f"by case {number} of its mapping, {explain(model, error)}") from None

    return emit

"""The door described for programs (OpenAPI 3.1), made from the catalogue: to each principal what it may bring."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from schemas.catalogue import CATALOGUE, example_of
from schemas.envelope import MAX_ATTRIBUTE, STRUCTURED_CONTENT_TYPE
from schemas.identity import ID_PATTERN
from workers.gateway.live.listing import Wanted
from workers.gateway.live.progress import PLACE_PATTERN
from workers.gateway.live.wire import MEDIA_TYPE as EVENTS_MEDIA_TYPE
from workers.gateway.principals import Principal
from workers.gateway.problems import MEDIA_TYPE
from workers.gateway.reading import BATCH_CONTENT_TYPE, MOST_EVENTS
from workers.gateway.webhooks import description as webhooks

_REF = "#/components/schemas/"
_PROBLEMS = {
    "400": "An attribute or field is wrong; it is named.",
    "401": "Nobody we know: the header Authorization is missing, or a claim of the token is wrong; it is named.",
    "403": "Not for this principal: the claim, attribute or field is named.",
    "408": "The body did not arrive in time.",
    "409": "Another event with this type, source and id is stored, and its content differs.",
    "413": "The body, or the batch, is too large.",
    "415": "Not JSON, or not a CloudEvent.",
    "422": "The bus will never take this: its data and attributes together are too large.",
    "429": "More than this principal's rate, or than its open streams.",
    "431": "The headers are too large.",
    "503": "The bus, or the issuer of the token, does not answer for now: send it again.",
}
_LATER = {"429", "503"}
_PRINTED = r"^[^\u0000-\u001f\u007f-\u009f]+$"
_IN_HEADER = r"^(?:[!-$&-~]|%[2-6][0-9A-Fa-f])+$"
_TIME = {"type": "string", "format": "date-time", "minLength": 20}
_SECURITY_SCHEMES = {"bearer": {"type": "http", "scheme": "bearer"}, "github": webhooks.SECURITY_SCHEME}


def document(principal: Principal) -> dict[str, Any]:
    """Return the OpenAPI document for one principal."""
    types = sorted({grant.type for grant in principal.may_publish})
    models = [CATALOGUE[event_type] for event_type in types]
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=f"{_REF}{{model}}")
    schemas = found.get("$defs", {}) | {f"CloudEvent.{name}": _structured(name) for name in types}
    schemas["Receipt"] = _texts("type", "source", "id", "run")
    schemas["Problem"] = _problem()
    return {
        "openapi": "3.1.0",
        "info": {"title": "sealane", "version": "1", "description": f"What {principal.name} may bring."},
        "security": [{"bearer": []}],
        "paths": {
            "/events": {"post": _post(types)},
            "/openapi.json": {"get": _get("This document.", public=False)},
            "/runs": {"get": _runs()},
            "/runs/{run}": {"get": _run()},
            "/progress/{run}": {"get": _progress()},
            "/events/{id}": {"get": _event()},
            "/tickets": {"post": _tickets()},
            "/webhooks/github": webhooks.path_item({"$ref": f"{_REF}Problem"}),
            "/livez": {"get": _get("Whether the door is alive.", public=True)},
            "/readyz": {"get": _get("Whether an event brought here would be stored.", public=True)},
        },
        "components": {"schemas": schemas, "securitySchemes": _SECURITY_SCHEMES},
    }


def _post(types: list[str]) -> dict[str, Any]:
    plain = {"anyOf": [{"$ref": f"{_REF}{CATALOGUE[name].__name__}"} for name in types]}
    structured = {"anyOf": [{"$ref": f"{_REF}CloudEvent.{name}"} for name in types]}
    batch = {"type": "array", "minItems": 1, "maxItems": MOST_EVENTS, "items": structured}
    receipt = {"$ref": f"{_REF}Receipt"}
    stored = {"anyOf": [receipt, {"type": "array", "items": receipt}]}
    return {
        "operationId": "bringEvents",
        "summary": "Bring events: CloudEvents 1.0 in binary, structured or batched mode.",
        "parameters": [_attribute(name) for name in ("specversion", "id", "source", "type", "time")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": plain, "examples": {name: {"value": _example(name)} for name in types}},
                STRUCTURED_CONTENT_TYPE: {"schema": structured},
                BATCH_CONTENT_TYPE: {"schema": batch},
            },
        },
        "responses": {
            "202": {
                "description": "Stored. The same event again is the same answer.",
                "content": {"application/json": {"schema": stored}},
            }
        }
        | _refusals(_PROBLEMS),
    }


def _refusals(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers other than success: status → what it means here."""
    after = {"headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}}
    problem = {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}Problem"}}}
    return {
        status: {"description": text, "content": problem} | (after if status in _LATER else {})
        for status, text in texts.items()
    }


def _runs() -> dict[str, Any]:
    operation = _get(
        "Runs that you may see, newest word first; live by Server-Sent Events, if asked for.", public=False
    )
    fields = Wanted.model_json_schema()["properties"].items()
    operation["parameters"] = [
        {"name": name, "in": "query", "required": False, "schema": next(iter(schema.get("anyOf", [schema])))}
        for name, schema in fields
    ]
    found = {"type": "object", "required": ["runs", "complete"]}
    told = {"application/json": {"schema": found}, EVENTS_MEDIA_TYPE: {}}
    next_page = {"Link": {"description": 'The next page (rel="next").', "schema": {"type": "string"}}}
    operation["responses"]["200"] = {"description": "A page of them.", "content": told, "headers": next_page}
    texts = {"400": "There is no such filter, or it cannot be so.", "429": _PROBLEMS["429"]}
    operation["responses"] |= _refusals(texts)
    return operation


def _run() -> dict[str, Any]:
    run = {"type": "string", "pattern": ID_PATTERN}
    texts = {"400": "This is no run.", "404": "Nothing is heard of it yet, or it is somebody else's."}
    operation = _get("What became of an event that you brought; `complete` once nothing of it goes on.", public=False)
    operation["parameters"] = [{"name": "run", "in": "path", "required": True, "schema": run}]
    operation["responses"] |= _refusals(texts)
    return operation


def _progress() -> dict[str, Any]:
    operation = _run()
    operation["summary"] = "A run, live: Server-Sent Events whose ids are where to go on."
    place = {"type": "string", "pattern": PLACE_PATTERN}
    operation["parameters"] += [
        {"name": "Last-Event-ID", "in": "header", "description": "The id of the last event heard.", "schema": place},
        {"name": "after", "in": "query", "description": "The same, where no header can be set.", "schema": place},
        {"name": "ticket", "in": "query", "description": "Instead of the bearer token.", "schema": {"type": "string"}},
    ]
    told = {"description": "What is told, until the run is complete.", "content": {EVENTS_MEDIA_TYPE: {}}}
    operation["responses"] |= {"200": told, "204": {"description": "All was told, the end included: stop asking."}}
    operation["responses"] |= _refusals({"429": _PROBLEMS["429"]})
    return operation


def _event() -> dict[str, Any]:
    operation = _progress()
    operation["summary"] = "The run that an event opened, live, by the id that whoever brought it gave it."
    text = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE}
    kept = [parameter for parameter in operation["parameters"] if parameter["name"] not in {"run", "ticket"}]
    source = {"name": "source", "in": "query", "description": "Of this very event; else the newest.", "schema": text}
    operation["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": text}, *kept, source]
    return operation


def _tickets() -> dict[str, Any]:
    operation = _run()
    del operation["parameters"]
    operation["summary"] = "A ticket for one run, good once and for a minute: for EventSource, which sends no header."
    run = {"type": "string", "pattern": ID_PATTERN}
    asked = {"type": "object", "required": ["run"], "properties": {"run": run}}
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": asked}}}
    given = {
        "type": "object",
        "required": ["ticket", "run", "expires_in"],
        "properties": {"ticket": {"type": "string"}},
    }
    del operation["responses"]["200"]
    operation["responses"]["201"] = {"description": "The ticket.", "content": {"application/json": {"schema": given}}}
    operation["responses"] |= _refusals({"413": "That is no id of a run."})
    return operation


def _attribute(name: str) -> dict[str, Any]:
    text = f"The CloudEvents attribute {name}, in binary mode; percent-encoded."
    schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE, "pattern": _IN_HEADER}
    if name == "time":
        schema = _TIME
    return {"name": f"ce-{name}", "in": "header", "required": False, "description": text, "schema": schema}


def _structured(event_type: str) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE, "pattern": _PRINTED}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": {"const": event_type},
            "time": {"anyOf": [_TIME, {"type": "null"}]},
            "datacontenttype": {"enum": ["application/json", None]},
            "data": {"$ref": f"{_REF}{CATALOGUE[event_type].__name__}"},
        },
    }


def _example(event_type: str) -> dict[str, Any]:
    return example_of(CATALOGUE[event_type])


def _get(summary: str, *, public: bool) -> dict[str, Any]:
    answer = {"description": summary, "content": {"application/json": {"schema": {"type": "object"}}}}
    operation: dict[str, Any] = {"summary": summary, "responses": {"200": answer}}
    if public:
        return operation | {"security": [], "responses": {"200": answer, "503": answer | {"description": "Not now."}}}
    operation["responses"] |= _refusals({status: _PROBLEMS[status] for status in ("401", "403", "431", "503")})
    return operation


def _texts(*names: str) -> dict[str, Any]:
    return {"type": "object", "required": list(names), "properties": {name: {"type": "string"} for name in names}}


def _problem() -> dict[str, Any]:
    schema = _texts("type", "title", "detail", "status")
    named = {name: {"type": "string"} for name in ("attribute", "field", "claim")}
    places = {"status": {"type": "integer"}, "index": {"type": "integer", "minimum": 0}}
    schema["description"] = "RFC 9457; `index` is the place in a batch, `not_stored` what of it was not taken."
    schema["properties"] |= named | places | {"not_stored": {"type": "array", "items": {"type": "object"}}}
    return schema

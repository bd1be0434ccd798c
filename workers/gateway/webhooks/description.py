"""The door for webhooks described for programs (OpenAPI 3.1)."""

from typing import Any

from workers.gateway.problems import MEDIA_TYPE

SECURITY_SCHEME: dict[str, Any] = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Hub-Signature-256",
    "description": "sha256= and the HMAC-SHA256 of the body under a secret of the webhook, in hex.",
}
_PROBLEMS = {
    "400": "The body is not what X-GitHub-Event says; the field is named.",
    "401": "The signature is missing, or no secret of ours made it.",
    "404": "No webhook is taken here: none of its secrets is named.",
    "408": "The body did not arrive in time.",
    "413": "The body is larger than GitHub sends at most.",
    "415": "The body is not JSON.",
    "422": "The bus will never take this.",
    "431": "The headers are too large.",
    "503": "The bus does not answer for now, or too much arrives at once: deliver it again.",
}
_OUTCOMES = {
    "200": "A ping, or a body that was taken before: with the run of then.",
    "202": "Stored; or ignored, with the reason.",
}


def path_item(problem: dict[str, Any]) -> dict[str, Any]:
    """Return what POST /webhooks/github is; `problem` is the schema of problem details."""
    texts = {name: {"type": "string"} for name in ("type", "source", "id", "run", "detail")}
    outcome = {"type": "string", "enum": ["accepted", "known", "ignored", "pong"]}
    answer = {"type": "object", "required": ["outcome"], "properties": {"outcome": outcome} | texts}
    after = {"headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}}
    responses: dict[str, Any] = {
        status: {"description": text, "content": {"application/json": {"schema": answer}}}
        for status, text in _OUTCOMES.items()
    }
    responses |= {
        status: {"description": text, "content": {MEDIA_TYPE: {"schema": problem}}} | (after if status == "503" else {})
        for status, text in _PROBLEMS.items()
    }
    return {
        "post": {
            "operationId": "takeDelivery",
            "summary": "Take a delivery of GitHub's webhook: push, package, registry_package or ping.",
            "security": [{"github": []}],
            "parameters": [_header("X-GitHub-Event"), _header("X-GitHub-Delivery")],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": responses,
        }
    }


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string", "maxLength": 64}}

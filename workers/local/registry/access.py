"""Who may do this: the middleware in front of every request. Faults are played here too, before anything else."""

import asyncio
import re

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from workers.local.registry.errors import RegistryError
from workers.local.registry.faults import Faults
from workers.local.registry.tokens import Grants, TokenAuthority, challenge

GRANTS: web.RequestKey[Grants | None] = web.RequestKey("grants")
"""What the caller's token grants; None where no credentials are asked for."""

_KINDS = (
    (re.compile(r"/v2/(?P<name>.+)/blobs/uploads/[^/]*"), "upload"),
    (re.compile(r"/v2/(?P<name>.+)/blobs/[^/]+"), "blob"),
    (re.compile(r"/v2/(?P<name>.+)/manifests/[^/]+"), "manifest"),
    (re.compile(r"/v2/(?P<name>.+)/tags/list"), "tags"),
    (re.compile(r"/v2/(?P<name>.+)/referrers/[^/]+"), "referrers"),
    (re.compile(r"/token(?P<name>)"), "token"),
    (re.compile(r"/v2/?(?P<name>)"), "base"),
)
_SAFE = frozenset({"GET", "HEAD"})


def classify(path: str) -> tuple[str, str]:
    """Return the kind of a request and the repository it is about (empty: none). Raises NAME_INVALID."""
    for pattern, kind in _KINDS:
        if found := pattern.fullmatch(path):
            return kind, found["name"]
    raise RegistryError("NAME_INVALID", "there is nothing at this address", status=404)


def may(grants: Grants | None, name: str, action: str) -> bool:
    """Whether the grants allow an action on a repository; no grants at all means that nothing is guarded."""
    return grants is None or action in grants.get(name, frozenset())


def errors_as_json() -> Middleware:
    """Answer what was refused with the body that the specification asks for."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except RegistryError as error:
            response = error.response()
        except web.HTTPMethodNotAllowed:
            response = RegistryError("UNSUPPORTED", f"{request.method} is not supported here").response()
        except web.HTTPNotFound:
            response = RegistryError("NAME_INVALID", "there is nothing at this address", status=404).response()
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        return response

    return answer


def play_faults(faults: Faults) -> Middleware:
    """Count the request, be late, and fail if a failure is due."""

    @web.middleware
    async def play(request: web.Request, handler: Handler) -> web.StreamResponse:
        kind, _ = classify(request.path)
        faults.calls[f"{request.method} {kind}"] += 1
        if faults.latency:
            await asyncio.sleep(faults.latency)
        if failure := faults.next_failure(kind):
            code = "TOOMANYREQUESTS" if failure.status == web.HTTPTooManyRequests.status_code else "UNKNOWN"
            headers = {"Retry-After": failure.retry_after} if failure.retry_after else {}
            raise RegistryError(code, "this failure was asked for", status=failure.status, headers=headers)
        return await handler(request)

    return play


def ask_for_token(authority: TokenAuthority | None, faults: Faults) -> Middleware:
    """Let nobody in without a token that grants what the request needs, when there are credentials."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        kind, name = classify(request.path)
        if authority is None or kind == "token":
            request[GRANTS] = None
            return await handler(request)
        action = _action(request.method, kind)
        grants = authority.read(request.headers.get("Authorization", ""))
        request[GRANTS] = grants
        if grants is not None and (not name or may(grants, name, action)):
            return await handler(request)
        realm = faults.token_realm or f"{request.scheme}://{request.host}/token"
        wanted = "pull,push" if action == "push" else action
        scope = f"repository:{name}:{wanted}" if name else None
        error = "insufficient_scope" if grants is not None else None
        raise challenge(realm, request.host, scope, error)

    return guard


def _action(method: str, kind: str) -> str:
    if method in _SAFE and kind != "upload":
        return "pull"
    return "delete" if method == "DELETE" and kind != "upload" else "push"

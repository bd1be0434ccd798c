"""The REST form: proto3 JSON over HTTP/1.1, routed by Host first and by path second.

Requests may name a production host (as `gcloud` does through a plain proxy, with absolute-form targets, RFC 9112
section 3.2.2) or this server's own address. Answers 404 for what is in no API and 501 for what is not served here.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from workers.local.google.api import Api, Apis
from workers.local.google.calls import Calls
from workers.local.google.faults import Faults
from workers.local.google.status import ApiError, invalid_argument
from workers.local.google.table import Method, Rule
from workers.local.google.transcode import to_json, to_message
from workers.local.loopback import Loopback

FAULTS_PATH = "/__faults__"
_LARGEST_BODY = 10 * 1024 * 1024


class RestHandler:
    """Answers HTTP requests; also the door to *faults* for tests in other processes."""

    def __init__(self, apis: Apis, calls: Calls, faults: Faults) -> None:
        self._apis = apis
        self._calls = calls
        self._faults = faults

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        pretty = request.query.get("prettyPrint", "true") != "false"
        try:
            if request.rel_url.raw_path == FAULTS_PATH:
                return await self._answer_faults(request)
            api, method, rule, variables = await self._route(request)

            async def read() -> Any:
                return to_message(method, rule, variables, request.query.items(), await _body(request))

            header = request.headers.get("Authorization", "")
            response = await self._calls.answer(api, method, "rest", header, read)
        except ApiError as error:
            return _json(json.dumps(error.body(), indent=2 if pretty else None), error.http_status)
        return _json(to_json(response, pretty=pretty))

    async def _route(self, request: web.Request) -> tuple[Api, Method, Rule, dict[str, str]]:
        verb, path = request.method, request.rel_url.raw_path
        found = []
        for api in await self._apis.at_host(request.host):
            match = api.route(verb, path)
            if match is not None:
                found.append((api, *match))
        if not found:
            raise ApiError("NOT_FOUND", f"No local Google service answers {verb} {path} on {request.host}.")
        return next((match for match in found if match[1].path in match[0].handlers), found[0])

    async def _answer_faults(self, request: web.Request) -> web.Response:
        self._calls.authenticate(request.headers.get("Authorization", ""))
        if request.method == "POST":
            try:
                self._faults.apply(json.loads(await request.read()))
            except (ValueError, TypeError, AttributeError) as error:
                raise invalid_argument(f"The order of faults cannot be read: {error}") from error
        answer = self._faults.snapshot()
        count = request.query.get("log", "0")
        if count.isdecimal() and int(count):
            answer["log"] = self._faults.recent(int(count))
        return _json(json.dumps(answer, indent=2))


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise invalid_argument(f"The request body exceeds {_LARGEST_BODY} bytes.") from None


def _json(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json")


async def serve(handler: RestHandler, port: int) -> Loopback:
    """Start the server on 127.0.0.1 and return it. Raises OSError when the port is taken."""
    application = web.Application(client_max_size=_LARGEST_BODY)
    application.router.add_route("*", "/{path:.*}", handler.answer)
    server = Loopback("the REST form of Google's services")
    await server.start(application, port)
    return server

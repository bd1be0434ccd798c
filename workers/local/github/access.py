"""The middlewares in front of every request of the REST API, and what a caller may see and do.

Sources: https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api (User-Agent, versions),
https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps.
"""

import asyncio
import hashlib
import uuid

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from workers.local.github.credentials import Caller, Credentials
from workers.local.github.directory import Directory
from workers.local.github.errors import GithubError, bad_credentials, not_found
from workers.local.github.faults import Faults
from workers.local.github.rates import Rates, describe
from workers.local.github.records import App, Repository

CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
VERSIONS = ("2022-11-28", "2026-03-10")
_AGENT = (
    "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header"
    " (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required)."
)


def kind_of(request: web.Request) -> str:
    """Return the kind of a request: the name of its route up to a dot, or unknown."""
    return (request.match_info.route.name or "unknown").partition(".")[0]


def errors_as_json() -> Middleware:
    """Answer what was refused with GitHub's body, and name every request."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except GithubError as error:
            response = error.response()
        except web.HTTPRequestEntityTooLarge:
            response = GithubError(413, "Payload Too Large").response()
        if not response.prepared:
            response.headers["X-GitHub-Request-Id"] = ":".join(
                uuid.uuid4().hex[start : start + 4] for start in range(5)
            )
        return response

    return answer


def play_faults(faults: Faults) -> Middleware:
    """Count each request, and let it wait or fail as a test has planned."""

    @web.middleware
    async def play(request: web.Request, handler: Handler) -> web.StreamResponse:
        kind = kind_of(request)
        faults.calls[f"{request.method} {kind}"] += 1
        if faults.latency:
            await asyncio.sleep(faults.latency)
        failure = faults.next_failure(kind)
        if failure is None:
            return await handler(request)
        await asyncio.sleep(failure.wait)
        headers = {} if failure.retry_after is None else {"Retry-After": failure.retry_after}
        raise GithubError(failure.status, failure.message, headers=headers)

    return play


def authenticate(credentials: Credentials, rates: Rates) -> Middleware:
    """Find out who asks, and count the request against the caller's hour; git has its own way, see `smart_http`."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if kind_of(request) == "git":
            return await handler(request)
        _check_headers(request)
        caller = _caller(credentials, request.headers.get("Authorization", ""))
        window = rates.window(caller)
        if window.used >= window.limit:
            message = f"API rate limit exceeded for {describe(caller)}."
            raise GithubError(403, message, headers=window.headers())
        window.used += 1
        request[CALLER] = caller
        try:
            response = await handler(request)
        except GithubError as error:
            error.headers.update(window.headers())
            raise
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            raise GithubError(404, "Not Found", headers=window.headers()) from error
        response = _unless_unchanged(request, response)
        window.used -= response.status == web.HTTPNotModified.status_code
        response.headers.update(window.headers())
        response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
        response.headers["X-GitHub-Api-Version-Selected"] = _version(request)
        return response

    return check


def _version(request: web.Request) -> str:
    return request.headers.get("X-GitHub-Api-Version", VERSIONS[0])


def _check_headers(request: web.Request) -> None:
    if not request.headers.get("User-Agent"):
        raise web.HTTPForbidden(text=_AGENT)
    if _version(request) not in VERSIONS:
        raise GithubError(400, f"The API version {_version(request)!r} is not supported: {', '.join(VERSIONS)} are")


def _caller(credentials: Credentials, authorization: str) -> Caller:
    scheme, _, credential = authorization.partition(" ")
    if not authorization:
        return Caller()
    if scheme.lower() not in {"bearer", "token"}:
        raise bad_credentials()
    return credentials.identify(scheme.lower(), credential.strip())


def _unless_unchanged(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Add an ETag, and answer 304 to who has it already; that counts against no limit."""
    if request.method != "GET" or not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    etag = f'W/"{hashlib.sha256(response.body).hexdigest()}"'
    if etag in request.headers.get("If-None-Match", ""):
        response = web.Response(status=304)
    response.headers["ETag"] = etag
    return response


def require_app(request: web.Request) -> App:
    """Return the App that asks. Raises GithubError 401 for anybody else."""
    app = request[CALLER].app
    if app is None:
        raise GithubError(401, "A JSON web token could not be decoded")
    return app


def visible(caller: Caller, repository: Repository, directory: Directory) -> bool:
    """Whether a caller may know that a repository is there."""
    if caller.installation is None:
        return caller.user is not None or not repository.private
    within = caller.repositories is None or repository.id in caller.repositories
    return within and directory.sees(caller.installation, repository)


def allow(caller: Caller, repository: Repository | None, directory: Directory, permission: str, level: str) -> None:
    """Refuse what the caller may not see (404) or may not do (403). Raises GithubError."""
    if caller.app is not None:
        raise bad_credentials()
    if repository is None or not visible(caller, repository, directory):
        raise not_found()
    if level == "read" and not repository.private:
        return
    if not caller.grants(permission, level):
        headers = {"X-Accepted-GitHub-Permissions": f"{permission}={level}"}
        raise GithubError(403, "Resource not accessible by integration", headers=headers)

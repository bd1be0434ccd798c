"""The issuers as one server: discovery, key sets, jobs, their tokens, the metadata server, and rotation of keys."""

import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from workers.local.loopback import Loopback
from workers.local.oidc.jobs import GITHUB_EARLIER, GITHUB_SECONDS, GITLAB_SECONDS, GitHubJob, GitLabJob
from workers.local.oidc.keys import ALGORITHM, IssuerKeys
from workers.local.oidc.metadata import MetadataServer

KEY_SETS = {"github": "/.well-known/jwks", "gitlab": "/oauth/discovery/keys", "google": "/oauth2/v3/certs"}
"""Where each issuer has its key set, below its own URL."""
REPOSITORIES = {"acme/shop": ("1296269", "583231")}
"""Repositories that are known from the start: id, and id of the owner."""
_MOST_JOBS = 1000
_LONGEST_BODY = 64 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Job = TypeVar("Job", bound=BaseModel)


class OidcIssuers:
    """The issuers `github`, `gitlab` and `google` on 127.0.0.1, each at a path of its own.

    `folder`: their keys, made where missing. `token`: who bears it may start jobs and rotate keys. `account`: the
    service account that the metadata server speaks for. `clock`: seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str,
        account: str = "builder@sealane-local.iam.gserviceaccount.com",
        repositories: Mapping[str, tuple[str, str]] = REPOSITORIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = {name: IssuerKeys(folder / name) for name in KEY_SETS}
        self._token = token
        self._repositories = dict(repositories)
        self._clock = clock
        self._jobs: dict[str, GitHubJob] = {}
        self._metadata = MetadataServer(account, lambda claims: self.signed("google", claims))
        self._server = Loopback("the server of the issuers")

    @property
    def url(self) -> str:
        """Where it listens. Raises RuntimeError before `start`."""
        return self._server.url

    def issuer(self, name: str) -> str:
        """Return the claim `iss` of an issuer."""
        return f"{self.url}/{name}"

    def key_set_url(self, name: str) -> str:
        """Return where the key set of an issuer is."""
        return f"{self.issuer(name)}{KEY_SETS[name]}"

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one. Raises OSError if the port is taken."""
        await self._server.start(self._application(), port)

    async def stop(self) -> None:
        """Stop listening; stopped already is fine."""
        await self._server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def signed(self, name: str, claims: Mapping[str, Any], *, seconds: int = 3600, earlier: int = 0) -> str:
        """Return a token of an issuer that is valid from `earlier` seconds ago, for `seconds` from now."""
        now = int(self._clock())
        times = {"iat": now, "nbf": now - earlier, "exp": now + seconds}
        return self.keys[name].sign({"iss": self.issuer(name)} | times | dict(claims))

    def start_job(self, job: GitHubJob) -> dict[str, str]:
        """Return the environment of a job that may ask for tokens (`permissions: id-token: write`)."""
        job = job.identified(self._repositories, _number())
        token = secrets.token_urlsafe(32)
        while len(self._jobs) >= _MOST_JOBS:
            del self._jobs[next(iter(self._jobs))]
        self._jobs[token] = job
        where = f"{self.issuer('github')}/idtoken/{job.run_id}/{_number()}?api-version=2.0"
        return job.variables() | {"ACTIONS_ID_TOKEN_REQUEST_URL": where, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token}

    def start_gitlab_job(self, job: GitLabJob) -> dict[str, str]:
        """Return the environment of a job with the tokens that it names in `id_tokens`."""
        host, pipeline, number = self.url.removeprefix("http://"), _number(), _number()
        claims = job.claims(host, pipeline, number)
        tokens = {
            variable: self.signed("gitlab", claims | {"aud": audience, "jti": _jti()}, seconds=GITLAB_SECONDS)
            for variable, audience in job.id_tokens.items()
        }
        return job.variables(host, pipeline, number) | tokens

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_LONGEST_BODY)
        for name, path in KEY_SETS.items():
            application.router.add_get(f"/{name}/.well-known/openid-configuration", self._discovery(name))
            application.router.add_get(f"/{name}{path}", self._key_set(name))
        application.add_routes(
            [
                web.get("/github/idtoken/{run}/{job}", self._id_token),
                web.post("/github/jobs", self._guarded(self._start_github_job)),
                web.post("/gitlab/jobs", self._guarded(self._start_gitlab_job)),
                web.post("/{issuer}/keys", self._guarded(self._rotate)),
                web.delete("/{issuer}/keys/{key}", self._guarded(self._withdraw)),
                *self._metadata.routes(),
            ]
        )
        return application

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not hmac.compare_digest(_bearer(request).encode(), self._token.encode()):
                raise web.HTTPUnauthorized(text="only who bears the token of this world may do that")
            return await handler(request)

        return guarded

    def _discovery(self, name: str) -> Handler:
        async def discovery(_: web.Request) -> web.StreamResponse:
            return web.json_response(
                {
                    "issuer": self.issuer(name),
                    "jwks_uri": self.key_set_url(name),
                    "subject_types_supported": ["public"],
                    "response_types_supported": ["id_token"],
                    "id_token_signing_alg_values_supported": [ALGORITHM],
                    "scopes_supported": ["openid"],
                }
            )

        return discovery

    def _key_set(self, name: str) -> Handler:
        async def key_set(_: web.Request) -> web.StreamResponse:
            return web.json_response(self.keys[name].key_set())

        return key_set

    async def _id_token(self, request: web.Request) -> web.StreamResponse:
        job = self._jobs.get(_bearer(request))
        if job is None or job.run_id != request.match_info["run"]:
            raise web.HTTPUnauthorized(text=json.dumps({"message": "the job is not known"}))
        audience = request.query.get("audience") or f"https://github.com/{job.owner}"
        claims = job.claims() | {"aud": audience, "jti": _jti()}
        token = self.signed("github", claims, seconds=GITHUB_SECONDS, earlier=GITHUB_EARLIER)
        return web.json_response({"count": len(token), "value": token})

    async def _start_github_job(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.start_job(await _read(request, GitHubJob)), status=201)

    async def _start_gitlab_job(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.start_gitlab_job(await _read(request, GitLabJob)), status=201)

    async def _rotate(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"kid": self._keys(request).rotate()}, status=201)

    async def _withdraw(self, request: web.Request) -> web.StreamResponse:
        try:
            self._keys(request).withdraw(request.match_info["key"])
        except KeyError:
            raise web.HTTPNotFound(text="there is no such key") from None
        except ValueError as error:
            raise web.HTTPConflict(text=str(error)) from None
        return web.Response(status=204)

    def _keys(self, request: web.Request) -> IssuerKeys:
        keys = self.keys.get(request.match_info["issuer"])
        if keys is None:
            raise web.HTTPNotFound(text=f"the issuers are {', '.join(self.keys)}")
        return keys


async def _read(request: web.Request, form: type[Job]) -> Job:
    try:
        return form.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise web.HTTPBadRequest(text=f"{place}: {first['msg']}") from None


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _number() -> str:
    return str(secrets.randbelow(10**10) + 1)


def _jti() -> str:
    return secrets.token_hex(16)

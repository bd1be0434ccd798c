"""The console put together: its pages, and what they stand on."""

from functools import partial
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.bus.claims.ledger import Ledger
from workers.bus.rooms import consumers_of
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.failures import Unavailable
from workers.gateway.console.attention import Attention
from workers.gateway.console.guard import Guard
from workers.gateway.console.kit import ConsoleKit
from workers.gateway.console.lanes import WorkerPages
from workers.gateway.console.letters import LetterPages
from workers.gateway.console.pace import Pace
from workers.gateway.console.providers import ProvidersDoor
from workers.gateway.console.proxy import ProxyDoor
from workers.gateway.console.rendering import problem_page, static
from workers.gateway.console.runs import RunPages
from workers.gateway.console.seal import Seal
from workers.gateway.console.sessions import Address, Session, Sessions
from workers.gateway.console.signed_out import SignedOut
from workers.gateway.console.signing_in import SignIn
from workers.gateway.live.progress import LiveDoor
from workers.gateway.live.wire import OVER
from workers.gateway.principals import Policy, Principal
from workers.gateway.problems import Problem
from workers.gateway.runs import RunsDoor
from workers.gateway.tokens import Tokens


class Console:
    """The pages below /console. `await start()` before, `await close()` after; the kit's connection is its owner's."""

    def __init__(
        self,
        kit: ConsoleKit,
        connection: Connection,
        policy: Policy,
        ledger: Ledger,
        runs: RunsDoor,
        live: LiveDoor,
        tokens: Tokens,
    ) -> None:
        settings = kit.settings
        address, seal = Address(settings.url), Seal(kit.secret)
        self._signed_out = SignedOut(connection, ledger)
        self._sessions = Sessions(seal, policy, address, settings.session, self._signed_out)
        providers = ProvidersDoor(settings.providers, kit.ask, seal, policy, tokens, address)
        proxy = ProxyDoor(settings.proxy, policy, tokens) if settings.proxy else None
        self._sign_in = SignIn(seal, self._sessions, address, ledger, providers, proxy)
        self._publisher = Publisher(kit.operator)
        self._pace = Pace(live.fanout)
        attention = Attention(connection, kit.operator)
        pages = RunPages(connection, runs, live.index, consumers_of, attention)
        letters = LetterPages(kit.operator, self._publisher, attention, address)
        lanes = WorkerPages(kit.operator, self._publisher, attention, self._pace, address)
        self.routes = _routes(Guard(address, self._sign_in.who), self._sign_in, pages, letters, lanes)

    async def start(self) -> None:
        """Begin to act and to count."""
        await self._publisher.start()
        self._signed_out.start()
        self._pace.start()

    async def close(self) -> None:
        """End what was begun."""
        await self._pace.close()
        await self._signed_out.close()
        await self._publisher.close()

    async def principal(self, request: Request) -> Principal | None:
        """Return who is signed in: with the session, /runs and /progress are followed as well, until it is over.

        Raises Problem: 401, 403, 503.
        """
        try:
            session = await self._sign_in.who(request)
        except Unavailable as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), after=1) from None
        if session is None:
            return None
        if session.id is not None:
            request.scope[OVER] = partial(self._sessions.over, session)
        return session.principal


def _routes(guard: Guard, sign_in: SignIn, runs: RunPages, letters: LetterPages, lanes: WorkerPages) -> list[Route]:
    closed, post = guard.closed, ["POST"]
    return [
        Route("/console", closed(runs.newest)),
        Route("/console/runs/{run}", closed(runs.one)),
        Route("/console/dead", closed(letters.list)),
        Route("/console/dead/{sequence}", closed(letters.one)),
        Route("/console/dead/{sequence}/{act}", closed(letters.ask)),
        Route("/console/dead/{sequence}/{act}", closed(letters.act), methods=post),
        Route("/console/workers", closed(lanes.list)),
        Route("/console/workers/{worker}/{act}", closed(lanes.ask)),
        Route("/console/workers/{worker}/{act}", closed(lanes.act), methods=post),
        Route("/console/login", guard.open(sign_in.login)),
        Route("/console/login/{provider}", guard.open(sign_in.begin)),
        Route("/console/login/{provider}/callback", guard.open(sign_in.finish)),
        Route("/console/logout", closed(sign_in.logout), methods=post),
        Route("/console/static/{name}", static),
        Route("/console/{rest:path}", closed(_nowhere)),
    ]


async def _nowhere(_: Request, session: Session) -> Response:
    return problem_page(Problem(HTTPStatus.NOT_FOUND, "there is no such page: look at the runs"), session)

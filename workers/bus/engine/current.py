"""Which event this task is handling, for whatever is logged meanwhile, however deep below."""

from contextvars import ContextVar

from schemas.envelope import Envelope

handled: ContextVar[Envelope | None] = ContextVar("handled", default=None)

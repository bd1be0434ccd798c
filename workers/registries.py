"""Placeholder until the registry adapter lands."""

from pydantic import BaseModel


class RegistryAccess(BaseModel):
    """One registry that may be asked."""

    host: str

"""Placeholder until the signing rules land."""

from pydantic import BaseModel


class SigningRules(BaseModel):
    """Which attestor signs what."""

"""Attestors as data: what is wanted of them, what would change, and changing it without losing what others did."""

from workers.attestors.amending import amend

__all__ = ["amend"]

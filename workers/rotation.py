"""How patiently the signing key of an attestor is rotated."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class RotationPace(BaseModel):
    """The times of a rotation; a plain number is seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settle: timedelta = Field(default=timedelta(minutes=2), ge=timedelta(0))
    """From listing the new key until nothing is signed with the old one any more: longer than `attestor_age`, with time
    for what was begun before."""
    soonest: timedelta = Field(default=timedelta(seconds=10), gt=timedelta(0))
    """Until the next look at what was attested; later looks are further apart."""
    latest: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0))
    """The longest time between two looks."""
    patience: timedelta = Field(default=timedelta(hours=6), gt=timedelta(0))
    """How long images may stay without the new key before the rotation is given up; many images are given longer."""

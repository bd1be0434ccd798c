"""What a subscription of another message system delivered: never an event of the bus, but what the bridge reads."""

from base64 import b64encode
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_serializer
from pydantic.alias_generators import to_camel

from schemas.events import Event

SUBSCRIPTION_PATTERN = r"^projects/[a-z0-9][a-z0-9.:-]{0,127}/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$"


class PubSubContent(BaseModel):
    """A Pub/Sub message as the Pub/Sub API writes it in JSON (`google.pubsub.v1.PubsubMessage`)."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        val_json_bytes="base64",
    )

    data: Annotated[bytes, Field(examples=["eyJhY3Rpb24iOiJJTlNFUlQifQ=="])] = b""
    """The body; base64 in JSON."""
    attributes: Annotated[dict[str, str], Field(examples=[{"origin": "ci"}])] = Field(default_factory=dict)
    """What the publisher said beside the body."""
    message_id: Annotated[str, Field(min_length=1, max_length=255, examples=["7612043987654321"])]
    """The server's id of the message, the same at each delivery."""
    publish_time: Annotated[AwareDatetime, Field(examples=["2026-11-02T09:30:00Z"])]
    """When the server took it from its publisher."""
    ordering_key: Annotated[str, Field(max_length=1024, examples=[""])] = ""
    """Messages with the same key are delivered in order."""

    @field_serializer("data", when_used="json")
    def _as_google_writes_it(self, data: bytes) -> str:
        return b64encode(data).decode()


class PubSubMessage(Event):
    """A subscription delivered a message. Google's own CloudEvents type for it (Eventarc, `MessagePublishedData`)."""

    event_type: ClassVar[str] = "google.cloud.pubsub.topic.v1.messagePublished"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("subscription",)
    subject_field: ClassVar[str] = "subscription"
    door: ClassVar[Literal["events", "webhook", "feed"]] = "feed"

    subscription: Annotated[
        str, Field(pattern=SUBSCRIPTION_PATTERN, examples=["projects/acme/subscriptions/gcr-bridge"])
    ]
    """The subscription that delivered it."""
    message: Annotated[PubSubContent, Field(examples=[{"messageId": "1", "publishTime": "2026-11-02T09:30:00Z"}])]
    """What it delivered."""


def feed_source(subscription: str) -> str:
    """Return the CloudEvents source of what a subscription delivers."""
    return f"//pubsub.googleapis.com/{subscription}"

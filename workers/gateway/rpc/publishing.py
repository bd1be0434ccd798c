"""`sealane.v1.Events/Publish`: events come in as over HTTP, as a batch of structured CloudEvents."""

from base64 import b64encode
from http import HTTPStatus
from typing import Any

import grpc
from pydantic_core import from_json

from workers.gateway.events import EventsDoor
from workers.gateway.pb.io.cloudevents.v1.cloudevents_pb2 import CloudEvent
from workers.gateway.pb.sealane.v1 import events_pb2
from workers.gateway.problems import Problem
from workers.gateway.reading import Delivery, batch_of
from workers.gateway.rpc.calls import Call, Calls, Context, text_of

PUBLISH = "sealane.v1.Events/Publish"


class EventsService:
    """Lets events in through the door of HTTP: its places, checks, rates and receipts."""

    def __init__(self, calls: Calls, events: EventsDoor) -> None:
        self._calls = calls
        self._events = events

    @property
    def methods(self) -> "dict[str, grpc.RpcMethodHandler[bytes, Any]]":
        """The methods of the service, by name."""
        write = events_pb2.PublishResponse.SerializeToString
        return {"Publish": grpc.unary_unary_rpc_method_handler(self.publish, response_serializer=write)}

    async def publish(self, request: bytes, context: Context) -> events_pb2.PublishResponse:
        """Store the events of a request, and return a receipt for each."""
        async with self._calls.answered(PUBLISH, context) as call:
            receipts = await self._calls.finished(self._bring(call, request))
        return events_pb2.PublishResponse(receipts=(events_pb2.Receipt(**receipt) for receipt in receipts))

    async def _bring(self, call: Call, request: bytes) -> list[dict[str, str]]:
        async with self._events.place():
            bearer, asked = await self._calls.known_with(call, events_pb2.PublishRequest, request)

            async def read() -> Delivery:
                if not asked.events:
                    raise Problem(HTTPStatus.BAD_REQUEST, "there is no event: send at least one", attribute="events")
                records = [_record(event, index) for index, event in enumerate(asked.events)]
                return Delivery(batch_of(records), batch=True)

            return await self._events.bring(bearer, read)


def _record(event: CloudEvent, index: int) -> dict[str, Any]:
    """Return an event in the structured mode (CloudEvents JSON format). Raises Problem (400)."""
    record: dict[str, Any] = {name: _value(name, value, index) for name, value in event.attributes.items()}
    record |= {"specversion": event.spec_version, "id": event.id, "source": event.source, "type": event.type}
    # Without one it has none, whatever an extension of that name says.
    record.pop("data_base64", None)
    record.pop("data", None)
    kind = event.WhichOneof("data")
    if kind == "proto_data":
        sentence = "the data of an event is JSON: send it as text_data or binary_data"
        raise Problem(HTTPStatus.BAD_REQUEST, sentence, attribute="proto_data", index=index)
    if kind is not None:
        try:
            record["data"] = from_json(getattr(event, kind), allow_inf_nan=False)
        except (ValueError, RecursionError) as error:
            sentence = f"the data is not JSON: {error}"
            raise Problem(HTTPStatus.BAD_REQUEST, sentence, attribute=kind, index=index) from None
    return record


def _value(name: str, value: CloudEvent.CloudEventAttributeValue, index: int) -> Any:
    kind = value.WhichOneof("attr")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "ce_timestamp":
        return text_of(found, name, index=index)
    return b64encode(found).decode() if kind == "ce_bytes" else found

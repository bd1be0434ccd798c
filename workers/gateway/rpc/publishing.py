"""`sealane.v1.Events/Publish`: events come in as over HTTP, as a batch of structured CloudEvents."""

from http import HTTPStatus
from typing import Any

from pydantic_core import from_json

from workers.gateway.events import EventsDoor
from workers.gateway.pb.io.cloudevents.v1.cloudevents_pb2 import CloudEvent
from workers.gateway.pb.sealane.v1 import events_pb2, events_pb2_grpc
from workers.gateway.problems import Problem
from workers.gateway.reading import Delivery, batch_of
from workers.gateway.rpc.calls import Call, Calls, Context

PUBLISH = "sealane.v1.Events/Publish"


class EventsService(events_pb2_grpc.EventsServicer):
    """Lets events in through the door of HTTP: its places, checks, rates and receipts."""

    def __init__(self, calls: Calls, events: EventsDoor) -> None:
        self._calls = calls
        self._events = events

    async def Publish(  # noqa: N802 - the name is that of the service
        self, request: events_pb2.PublishRequest, context: Context
    ) -> events_pb2.PublishResponse:
        """Store the events of a request, and return a receipt for each."""
        async with self._calls.answered(PUBLISH, context) as call:
            receipts = await self._calls.finished(self._bring(call, request))
        return events_pb2.PublishResponse(receipts=(events_pb2.Receipt(**receipt) for receipt in receipts))

    async def _bring(self, call: Call, request: events_pb2.PublishRequest) -> list[dict[str, str]]:
        async def read() -> Delivery:
            if not request.events:
                raise Problem(HTTPStatus.BAD_REQUEST, "there is no event: send at least one", attribute="events")
            records = [_record(event, index) for index, event in enumerate(request.events)]
            return Delivery(batch_of(records), batch=True)

        async with self._events.place():
            return await self._events.bring(await self._calls.known(call), read)


def _record(event: CloudEvent, index: int) -> dict[str, Any]:
    """Return an event in the structured mode (CloudEvents JSON format). Raises Problem (400)."""
    record: dict[str, Any] = {name: _value(value) for name, value in event.attributes.items()}
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


def _value(value: CloudEvent.CloudEventAttributeValue) -> Any:
    kind = value.WhichOneof("attr")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "ce_timestamp":
        return found.ToJsonString()
    return found.hex() if kind == "ce_bytes" else found

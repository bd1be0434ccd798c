"""`sealane.v1.Runs/List`: the page of runs that `GET /runs` gives."""

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from workers.gateway.live.listing import ListDoor, wanted_of
from workers.gateway.pb.sealane.v1 import runs_pb2, runs_pb2_grpc
from workers.gateway.rpc.calls import Calls, Context

LIST = "sealane.v1.Runs/List"


class RunsService(runs_pb2_grpc.RunsServicer):
    """Lists runs to those who may see them."""

    def __init__(self, calls: Calls, runs: ListDoor) -> None:
        self._calls = calls
        self._runs = runs

    async def List(  # noqa: N802 - the name is that of the service
        self, request: runs_pb2.ListRequest, context: Context
    ) -> runs_pb2.ListResponse:
        """Return a page of runs."""
        async with self._calls.answered(LIST, context) as call:
            bearer = await self._calls.known(call)
            given = {field.name: value for field, value in request.ListFields()}
            texts = {name: value.ToJsonString() for name, value in given.items() if isinstance(value, Timestamp)}
            wanted = wanted_of(given | texts)
            rows = self._runs.rows(bearer.principal, wanted)
            answer = runs_pb2.ListResponse(complete=self._runs.complete)
            for row in rows:
                json_format.ParseDict(row.as_json(), answer.runs.add(), ignore_unknown_fields=True)
            if len(rows) == wanted.limit:
                answer.next_before = rows[-1].sequence
        return answer

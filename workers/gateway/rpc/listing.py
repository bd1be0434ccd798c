"""`sealane.v1.Runs/List`: the page of runs that `GET /runs` gives."""

from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from workers.gateway.live.listing import ListDoor, wanted_of
from workers.gateway.pb.sealane.v1 import runs_pb2
from workers.gateway.rpc.calls import Calls, Context, text_of

LIST = "sealane.v1.Runs/List"


class RunsService:
    """Lists runs to those who may see them."""

    def __init__(self, calls: Calls, runs: ListDoor) -> None:
        self._calls = calls
        self._runs = runs

    @property
    def methods(self) -> "dict[str, grpc.RpcMethodHandler[bytes, Any]]":
        """The methods of the service, by name."""
        write = runs_pb2.ListResponse.SerializeToString
        return {"List": grpc.unary_unary_rpc_method_handler(self.list, response_serializer=write)}

    async def list(self, request: bytes, context: Context) -> runs_pb2.ListResponse:
        """Return a page of runs."""
        async with self._calls.answered(LIST, context) as call:
            bearer, asked = await self._calls.known_with(call, runs_pb2.ListRequest, request)
            given = {field.name: value for field, value in asked.ListFields()}
            texts = {name: text_of(value, name) for name, value in given.items() if isinstance(value, Timestamp)}
            wanted = wanted_of(given | texts)
            rows = self._runs.rows(bearer.principal, wanted)
            answer = runs_pb2.ListResponse(complete=self._runs.complete)
            for row in rows:
                json_format.ParseDict(row.as_json(), answer.runs.add(), ignore_unknown_fields=True)
            if len(rows) == wanted.limit:
                answer.next_before = rows[-1].sequence
        return answer

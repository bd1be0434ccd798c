import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from workers.gateway.pb.sealane.v1 import runs_pb2 as _runs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TailRequest(_message.Message):
    __slots__ = ("run", "after")
    RUN_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    run: str
    after: str
    def __init__(self, run: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class TailResponse(_message.Message):
    __slots__ = ("id", "progress", "gap", "completed", "waiting")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    id: str
    progress: ProgressMessage
    gap: Gap
    completed: _runs_pb2.Run
    waiting: Waiting
    def __init__(self, id: _Optional[str] = ..., progress: _Optional[_Union[ProgressMessage, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., completed: _Optional[_Union[_runs_pb2.Run, _Mapping]] = ..., waiting: _Optional[_Union[Waiting, _Mapping]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("reason", "after", "first", "last", "before")
    REASON_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    after: int
    first: int
    last: int
    before: int
    def __init__(self, reason: _Optional[str] = ..., after: _Optional[int] = ..., first: _Optional[int] = ..., last: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class ProgressMessage(_message.Message):
    __slots__ = ("sequence", "kind", "worker", "run", "event", "attempt", "n", "at", "actor", "step", "state", "seconds", "message", "outcome", "error", "retry_at", "emitted", "steps", "logs", "dead")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    EMITTED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    kind: str
    worker: str
    run: str
    event: _runs_pb2.EventRef
    attempt: int
    n: int
    at: _timestamp_pb2.Timestamp
    actor: str
    step: str
    state: str
    seconds: float
    message: str
    outcome: str
    error: str
    retry_at: _timestamp_pb2.Timestamp
    emitted: _containers.RepeatedCompositeFieldContainer[_runs_pb2.EventRef]
    steps: _containers.RepeatedCompositeFieldContainer[StepTaken]
    logs: _containers.RepeatedScalarFieldContainer[str]
    dead: _runs_pb2.EventRef
    def __init__(self, sequence: _Optional[int] = ..., kind: _Optional[str] = ..., worker: _Optional[str] = ..., run: _Optional[str] = ..., event: _Optional[_Union[_runs_pb2.EventRef, _Mapping]] = ..., attempt: _Optional[int] = ..., n: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., step: _Optional[str] = ..., state: _Optional[str] = ..., seconds: _Optional[float] = ..., message: _Optional[str] = ..., outcome: _Optional[str] = ..., error: _Optional[str] = ..., retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., emitted: _Optional[_Iterable[_Union[_runs_pb2.EventRef, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[StepTaken, _Mapping]]] = ..., logs: _Optional[_Iterable[str]] = ..., dead: _Optional[_Union[_runs_pb2.EventRef, _Mapping]] = ...) -> None: ...

class StepTaken(_message.Message):
    __slots__ = ("name", "state", "seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    seconds: float
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

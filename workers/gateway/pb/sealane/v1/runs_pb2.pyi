import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListRequest(_message.Message):
    __slots__ = ("worker", "state", "type", "subject", "actor", "run", "since", "until", "before", "limit")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    worker: str
    state: str
    type: str
    subject: str
    actor: str
    run: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    before: int
    limit: int
    def __init__(self, worker: _Optional[str] = ..., state: _Optional[str] = ..., type: _Optional[str] = ..., subject: _Optional[str] = ..., actor: _Optional[str] = ..., run: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., before: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("runs", "complete", "next_before")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    NEXT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Row]
    complete: bool
    next_before: int
    def __init__(self, runs: _Optional[_Iterable[_Union[Row, _Mapping]]] = ..., complete: _Optional[bool] = ..., next_before: _Optional[int] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("run", "sequence", "state", "worker", "step", "cause", "dead", "started_at", "at", "seconds", "type", "subject", "source", "id", "actor")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    run: str
    sequence: int
    state: str
    worker: str
    step: str
    cause: str
    dead: int
    started_at: _timestamp_pb2.Timestamp
    at: _timestamp_pb2.Timestamp
    seconds: float
    type: str
    subject: str
    source: str
    id: str
    actor: str
    def __init__(self, run: _Optional[str] = ..., sequence: _Optional[int] = ..., state: _Optional[str] = ..., worker: _Optional[str] = ..., step: _Optional[str] = ..., cause: _Optional[str] = ..., dead: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., seconds: _Optional[float] = ..., type: _Optional[str] = ..., subject: _Optional[str] = ..., source: _Optional[str] = ..., id: _Optional[str] = ..., actor: _Optional[str] = ...) -> None: ...

class EventRef(_message.Message):
    __slots__ = ("type", "source", "id", "subject", "stream", "sequence")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    type: str
    source: str
    id: str
    subject: str
    stream: str
    sequence: int
    def __init__(self, type: _Optional[str] = ..., source: _Optional[str] = ..., id: _Optional[str] = ..., subject: _Optional[str] = ..., stream: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run", "state", "complete", "started_at", "seconds", "roots", "branches", "branches_left_out")
    RUN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    ROOTS_FIELD_NUMBER: _ClassVar[int]
    BRANCHES_FIELD_NUMBER: _ClassVar[int]
    BRANCHES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    run: str
    state: str
    complete: bool
    started_at: _timestamp_pb2.Timestamp
    seconds: float
    roots: _containers.RepeatedCompositeFieldContainer[EventRef]
    branches: _containers.RepeatedCompositeFieldContainer[Branch]
    branches_left_out: int
    def __init__(self, run: _Optional[str] = ..., state: _Optional[str] = ..., complete: _Optional[bool] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., seconds: _Optional[float] = ..., roots: _Optional[_Iterable[_Union[EventRef, _Mapping]]] = ..., branches: _Optional[_Iterable[_Union[Branch, _Mapping]]] = ..., branches_left_out: _Optional[int] = ...) -> None: ...

class Branch(_message.Message):
    __slots__ = ("worker", "event", "state", "attempt", "at", "seconds", "message", "error", "retry_at", "dead", "emitted")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    EMITTED_FIELD_NUMBER: _ClassVar[int]
    worker: str
    event: EventRef
    state: str
    attempt: int
    at: _timestamp_pb2.Timestamp
    seconds: float
    message: str
    error: str
    retry_at: _timestamp_pb2.Timestamp
    dead: EventRef
    emitted: _containers.RepeatedCompositeFieldContainer[EventRef]
    def __init__(self, worker: _Optional[str] = ..., event: _Optional[_Union[EventRef, _Mapping]] = ..., state: _Optional[str] = ..., attempt: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., seconds: _Optional[float] = ..., message: _Optional[str] = ..., error: _Optional[str] = ..., retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dead: _Optional[_Union[EventRef, _Mapping]] = ..., emitted: _Optional[_Iterable[_Union[EventRef, _Mapping]]] = ...) -> None: ...

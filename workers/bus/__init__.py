"""THE RUNTIME: what carries events between the streams and the workers, and keeps the promises of the bus.

Law of this room: only here are nats and faststream imported, and only here is a message acknowledged. FastStream
declares (AsyncAPI, handler tests); the engine carries, on nats-py's public API. Rooms import downward only:

    declaration   the lane as FastStream declares it: declared, asyncapi
    doors         for the doors and for people: entrance, follow, history, runs, graveyard
    engine        one worker in one process: pull, hold, heart; handling, followups; progress, metrics, tracing, health
    judgement     what becomes of a failure: verdict, retry, deadletters, rescue; line and its guard
    claims        one owner at a time, the result remembered; the rates that the outside imposes
    topology      the server's side as data: streams, ticks, drift, provision, permissions, identities, check, fullness
    transport     reconnect for ever, store in a pipeline: connection, publisher, jetstream, stored,
                  headers, delivery; library
    wiring, rooms what a worker's signature says; which workers there are
"""

from workers.bus.transport import library

library.load()

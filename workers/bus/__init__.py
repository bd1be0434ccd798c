"""THE RUNTIME: what carries events between the streams and the workers, and keeps the promises of the bus.

Law of this room: only here are nats and faststream imported, and only here is a message acknowledged. FastStream
declares (AsyncAPI, handler tests); the engine carries, on nats-py's public API.

    wiring, rooms          what a worker's signature says; which workers there are
    connection, publisher  reconnect for ever; store in a pipeline under repeatable ids
    pull, delivery, hold   continuous pull; one delivery; bounded work, suspects alone
    engine, handling       carry; read, work, store, answer
    verdict, retry         judge what was raised; wait as a schedule
    deadletters, rescue    poison, and what cannot even be read
    line, lineguard        stop when most of it goes wrong, for all replicas
    claims                 one owner at a time, and the result remembered
    progress, metrics, tracing, current   say what happens
    streams, provision, permissions   the server's side, as data
"""

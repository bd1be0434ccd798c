"""THE RUNTIME: what carries events between the streams and the workers, and keeps the promises of the bus.

Law of this room: only here are nats and faststream imported, and only here is a message acknowledged. FastStream
declares (AsyncAPI, handler tests); the engine carries, on nats-py's public API.

    wiring, rooms                  what a worker's signature says; which workers there are
    connection, publisher          reconnect for ever; store in a pipeline under repeatable ids
    pull, delivery, hold           continuous pull; one delivery; bounded work, suspects alone
    engine, handling, followups    carry; read, work, answer; store what is emitted
    verdict, retry                 judge what was raised; wait as a schedule
    heart                          leases on messages, progress that is due, handlers that are stuck: one timer
    deadletters, rescue            poison, and what cannot even be read
    line, lineguard                stop when most of it goes wrong, for all replicas
    claim, claims                  one owner at a time, and the result remembered
    progress, metrics, tracing     say what happens
    health, check, fullness        say whether it works
    streams, ticks, drift, provision, permissions, identities   the server's side, as data, and who may do what
    entrance, follow, stored, history, runs, graveyard          for the doors and for people: in, along, and back
    declared, asyncapi             the declaration by FastStream
"""

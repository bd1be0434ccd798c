"""THE DOOR: the only way in for those who hold no bus identity, over HTTP and gRPC.

Law of this room: one file per concern. It knows the bus, never a cloud or a worker.

    server, rpc                  HTTP and gRPC
    health, page                 what is alive, for programs and for people
    events, reading, problems    events in: what comes, in which form, and what is wrong with it
    principals, limits           who may publish what, and how much: policy as data
    callers, tokens, keysets     who calls: API keys, signed tokens, the keys of their issuers
    openapi                      the door described for programs
"""

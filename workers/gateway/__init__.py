"""THE DOOR: the only way in for those who hold no bus identity, over HTTP and gRPC.

Law of this room: one file per concern. It knows the bus, never a cloud or a worker.

    server, rpc                  HTTP and gRPC
    protocol, heads, patience    how a client is read, what its head must be, and when it is ended
    health, page, metrics        what is alive and what was answered, for programs and for people
    events, reading, problems    events in: what comes, in which form, and what is wrong with it
    webhooks                     what GitHub signed
    runs, live                   what became of an event: asked, listed, and told live without a gap
    recent                       what was let in and no worker has heard of: replicas ask each other
    principals, explanation      who may publish and see what: policy as data, and in words
    patterns, wrong_policy       its patterns; its mistakes, in words
    limits                       how much, and what a token is used for: known to all replicas together
    sparing                      the log, where anybody may cause its lines
    callers, tokens, keysets     who calls: API keys, signed tokens, the keys of their issuers
    certificates                 who calls over gRPC: client certificates
    viewers                      who follows runs: also by a session of the console, or by a ticket
    openapi                      the door described for programs
    console                      the pages for the person on call
"""

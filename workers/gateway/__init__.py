"""THE DOOR: the only way in for those who hold no bus identity, over HTTP and gRPC.

Law of this room: one file per concern. `health` gathers what is alive, `page` shows it to people, `server` is HTTP,
`rpc` is gRPC. It knows the bus, never a cloud or a worker.
"""

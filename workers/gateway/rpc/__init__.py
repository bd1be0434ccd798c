"""The door over gRPC (`proto/sealane/v1`): the same principals, checks and answers as over HTTP.

server, health               listens, says whether it serves, ends streams at its end
publishing, telling, listing Events.Publish, Progress.Tail, Runs.List
calls, refusals              who calls, and what a call that is refused is told
certificates                 TLS, renewed without a restart
"""

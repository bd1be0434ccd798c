"""THE RUNTIME: wiring by signature, the engine, streams, identities, claims, dead letters, progress. Only this room imports nats and faststream."""

"""THE WORLD IN A BOX: embedded nats-server and wire-level emulators. Imports nothing of ours."""

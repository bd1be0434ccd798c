"""The server's side as data: streams, consumers, ticks, permissions; made, compared and checked."""

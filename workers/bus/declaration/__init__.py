"""The lane as FastStream declares it, and the AsyncAPI document that comes of it."""

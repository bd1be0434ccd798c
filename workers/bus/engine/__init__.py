"""Carries messages between the streams and one worker: pull, hold, handle, store, acknowledge, report."""

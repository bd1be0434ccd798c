"""The routes of the REST API, one file for each part of its reference."""

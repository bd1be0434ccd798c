"""Google's services behind our ports: Cloud KMS, Binary Authorization, Artifact Analysis.

Law of this room: requests are plain dictionaries and clients are imported when first used, so that a process starts
quickly; every call has a deadline and is made once; what goes wrong is read from one table (`errors.py`).
"""

"""Local signing keys: PEM and OpenPGP private keys that a secret reference names, and what can be told of any key.

Law of this room: private halves stay here, in memory; what leaves is a signature or a public half. No sentence repeats
what was read. Whatever knows OpenPGP is in `openpgp.py`, and imported when such a key is met, since a worker whose keys
are all in Cloud KMS needs none of it.
"""

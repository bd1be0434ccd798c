"""The door for GitHub's webhooks: what GitHub signed comes onto the bus as one small fact, whatever it is repeated.

    POST /webhooks/github
      signature.py   who says so: an HMAC over the body as it arrives, under every secret that is good now
      keyring.py     the secrets, read again while the door is open
      arrival.py     the body, at most 25 MB, few large ones at a time
      payloads.py    what GitHub's documentation says is in it
      facts.py       the event that it becomes (schemas/github.py)
      github.py      the answer; the ledger knows each signed body for 90 days

Nothing is decided here: what a push means is the business of workers behind the bus. Headers are not signed, so that
none of them is believed further than the body bears it out, and none is ever written to a log as it came.
"""

"""A private key that nobody can use without its passphrase."""

from workers.failures import Invalid


class PassphraseMissing(Invalid):
    """A private key is encrypted, and its reference names no passphrase; *place* is what sentences call the key."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"{place} is encrypted: name its passphrase in the key's reference, ?passphrase=env://NAME or"
            " ?passphrase=file:///PATH"
        )
        self.place = place

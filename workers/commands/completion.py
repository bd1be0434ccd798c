"""What the shell offers when somebody presses Tab; `sealane --install-completion` teaches it to ask."""


def event_types(incomplete: str) -> list[str]:
    """Return the types of event that begin so."""
    from schemas.catalogue import CATALOGUE

    return sorted(event_type for event_type in CATALOGUE if event_type.startswith(incomplete))


def workers(incomplete: str) -> list[str]:
    """Return the workers whose name begins so."""
    from workers.bus.rooms import cards

    return sorted(name for name in cards() if name.startswith(incomplete))

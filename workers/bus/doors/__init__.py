"""For the doors and for people: events in, runs followed, dead letters read and brought back."""

"""sealane: small stateless workers on a message bus.

The floors, imports go downward only (import-linter holds them):

    __main__, app, commands   the `sealane` command; the composition root
    attest, bridge, … gateway worker rooms (card, worker, rules) and the door
    bus, adapters, local      the runtime on NATS; the clouds; the world in a box
    ports, settings, card     what a worker may ask of the outside; every setting; what a worker says of itself
    signing, attestors        the signing rules; attestors as data; beside them policy (what admits an image), pacing
                              (rates that the outside imposes), registries, retention and rotation
    subscriptions, github_rules   what feeds and pushes mean, as data; expressions, path_patterns: how that is said
    manifests                 what a registry's manifest says
    failures, redaction       the words for going wrong; what must never be written; references of keys
    schemas                   the event catalogue, a package of its own
"""

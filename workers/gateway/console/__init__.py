"""THE CONSOLE: one page for the person on call. What runs, what is broken, what to do.

Law of this room: pages are rendered here and work without the script, which only keeps them fresh. No inline script or
style, nothing from elsewhere. What is shown is what the policy lets a principal see; what is done goes over a bus
connection of its own under the identity `operator`, and says who did it.

    console, guard               the pages put together; what holds for every one of them
    seal, sessions, signed_out   who somebody is: signed cookies, good until they expire or somebody signs out
    link                         the one-time link, for whoever prints one
    signing_in, providers, proxy the ways in: one-time links, providers, a proxy that vouches
    runs, timeline               all runs, and one from cause to effect
    letters, lanes, pace         dead letters, workers, and how fast they are
    forms, rendering             what a browser sends, and what it gets
"""

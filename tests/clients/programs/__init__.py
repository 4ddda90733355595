"""One program a client; each runs in that client's own environment and prints its results."""

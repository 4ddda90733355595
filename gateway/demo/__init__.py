"""The whole thing on loopback, with nothing else installed."""

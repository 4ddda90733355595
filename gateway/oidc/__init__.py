"""OpenID Connect: providers and their quirks, the code flow, the rules of tokens."""

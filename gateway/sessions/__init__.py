"""A browser's session: sealed into a cookie, renewed, ended."""

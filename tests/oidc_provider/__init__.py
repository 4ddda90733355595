"""The certified OpenID provider of npm, driven for real."""

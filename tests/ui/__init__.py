"""The file browser, driven in Chromium."""

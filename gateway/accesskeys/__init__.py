"""Access keys: temporary, personal and of service accounts; and the STS query API."""

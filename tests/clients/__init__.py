"""Every S3 client, installed from its registry and run against a real gateway process."""

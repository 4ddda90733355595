"""AWS Signature Version 4, in both directions, and the payloads it covers."""

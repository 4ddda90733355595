"""S3 as it is spoken: requests, operations, errors, and the rewriting of names."""

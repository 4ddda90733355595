"""What the gateway costs, beside nginx on the same upstream in the same run."""

"""The operator's files: read with positions, checked whole, every problem at once."""

"""What is told of the work: metrics, audit lines, logs, traces."""

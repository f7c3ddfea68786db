"""Models adapted to a target without its labels: each a protocol of its own."""

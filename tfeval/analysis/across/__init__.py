"""Models on several test sets: gaps, ranks, measures of the sets' authors."""

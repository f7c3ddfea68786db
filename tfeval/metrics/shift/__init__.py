"""Whether two sets of images differ: pure functions over features and outputs."""

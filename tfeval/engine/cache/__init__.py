"""Preprocessed images on disk: what lies in a cache, and what of it can be used.

A cache is a directory with `CACHEDIR.TAG`; an entry of it is a directory named by the
digest of what its images are of, `entry.json`. Its chunks each hold a fixed range of
positions and are named by it and by their own SHA-256: renamed into place, a chunk is
whole or it does not match its name, whoever else writes there.

A chunk is a TFRecord file. Its first record names entry and range, the others are each
the SHA-256 of an encoded image and the pixels that became of it. So an image is known
by its content; ids and labels are not in a cache at all, they come from the dataset.
"""

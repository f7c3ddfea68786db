"""Several runs on the same images as one: their mean, or what most of them say."""

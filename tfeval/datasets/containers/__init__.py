"""Images in files of many: Parquet, tar shards, TFRecords and arrays.

What is in the files is found when they are opened, without TensorFlow: an id, a label
and a place for each image. Images themselves are read when their turn comes.
"""

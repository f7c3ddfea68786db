"""How much of what strangers hand us is ever held, in bytes unless said otherwise.

What a file declares is compared with these before anything of it is decoded. The guide
`security` says them to users.
"""

MIB = 1 << 20

# Text files that are read whole: flagfiles, manifests, results, indexes.
TEXT_FILE = 64 * MIB
# A flagfile, with those that it names.
FLAGFILES = 1 * MIB
# JSON costs ten times its size and more as Python's objects.
JSON_FILE = 64 * MIB
# A row group, record batch or array, as it is once decoded.
DECODED = 256 * MIB
# What all ids of a table may take; 50,000 of ImageNet take 2 MB.
IDS = 256 * MIB
# One id; file systems allow 4,096 bytes a path.
ID = 4096
# The graph of a SavedModel, with its constants and without its variables.
GRAPH_FILE = 256 * MIB
# So many times the bytes of a file are what its arrays may unpack to, and `DECODED`
# more. Weights of real models hardly compress: 1.1 for float32.
UNPACKED_RATIO = 8
# Arrays and groups of HDF5; NASNetLarge has 6,000.
OBJECTS = 200_000
# The description of a model's layers; that of NASNetLarge has 1 MiB.
MODEL_CONFIG = 16 * MIB

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
# Rows of a table; ImageNet's training images are 1.3 million.
ROWS = 2_000_000
# Classes of a label space, outputs of a model; ImageNet-21k has 21,841.
CLASSES = 1 << 18
# A header of CSV; 1000 columns named by wnid take 10 kB.
CSV_HEADER = 1 * MIB
# A page of Parquet as it is once unpacked; writers make pages of 1 MiB.
PAGE = 64 * MIB
# What Parquet says of itself at its end; 1000 columns take 300 kB a row group.
PARQUET_FOOTER = 8 * MIB
# Parquet's pages; each is looked at before any is read.
PAGES = 100_000
# Values in JSON, its lists and objects among them, and how deep these are nested.
JSON_VALUES = 4_000_000
JSON_CONTAINERS = 2_000_000
JSON_DEPTH = 100
# A class for each output of a model; 21,843 of ImageNet-21k take 220 kB.
CLASS_MAP = 4 * MIB
# meta.mat of the development kit has 177 kB, unpacked 1.3 MB.
META_FILE = 4 * MIB
META_UNPACKED = 16 * MIB

# Weights of PyTorch, which are read whole; those of EfficientNet-Lite have 17 to 52.
PICKLE = 1024 * MIB


def decoded(size: int) -> int:
  """Returns how many bytes a file may become in memory, a row group or array at once.

  Args:
    size: of the file. Who hands us a large one has the memory that it needs.
  """
  return DECODED + UNPACKED_RATIO * size

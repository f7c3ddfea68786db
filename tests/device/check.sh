#!/bin/sh
# What only a device can show, in at most six minutes: answers that flip against the
# CPU, the self-test, and speeds beside a peer. Arguments are those of check.py:
#
#     sh tests/device/check.sh --photos=FOLDER
#
# FOLDER has photos in one folder for each class. PYTHON=... chooses a Python that has
# tfeval; with torch and timm there the peer is PyTorch. Without a GPU all of it runs on
# the CPU, with fewer photos.
here=$(dirname "$0")
PYTHON=${PYTHON:-python3}
exec timeout -k 10 "${LIMIT:-360}" "$PYTHON" "$here/check.py" "$@"

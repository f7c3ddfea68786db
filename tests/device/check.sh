#!/bin/sh
# What only a device can show, in at most six minutes: answers that flip against the
# CPU, the self-test, and speeds beside a peer. Arguments are those of check.py:
#
#     sh tests/device/check.sh --photos=FOLDER
#
# FOLDER has photos in one folder for each class. PYTHON=... chooses a Python that has
# tfeval; with torch and timm there the peer is PyTorch. Without a GPU all of it runs on
# the CPU, with fewer photos and a smaller model. What does not end in LIMIT seconds (360)
# is cut, with a line that says so.
here=$(dirname "$0")
PYTHON=${PYTHON:-python3}
LIMIT=${LIMIT:-360}
timeout -k 10 "$LIMIT" "$PYTHON" "$here/check.py" "$@"
status=$?
if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
  echo "cut after $LIMIT s: give fewer photos (--count, --flip_count), or a higher LIMIT" >&2
fi
exit "$status"

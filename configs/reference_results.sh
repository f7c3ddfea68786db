#!/bin/bash
# Makes tfeval/analysis/reference_results.tsv of the predictions that a benchmark of
# 2019 published (MODEL_FRAMEWORK_imagenet_top5preds.npy beside top5probs.npy, in any
# number of folders), scored on original, ReaL and cleaned labels:
#
#   configs/reference_results.sh PREDICTIONS real.json >tfeval/analysis/reference_results.tsv
#
# The runs are kept in a third argument, a folder, if there is one.
set -euo pipefail
predictions=$1 real=$2
if [ $# -gt 2 ]; then
  runs=$3
else
  runs=$(mktemp -d)
  trap 'rm -r "$runs"' EXIT
fi
tfeval import --predictions="$predictions" --order=class_folder \
  --labels=original --labels="$real" --output_dir="$runs/runs" >&2
cat <<'END'
# What public models get right of the 50,000 validation images of ILSVRC2012, made by
# configs/reference_results.sh of the top-5 predictions that the benchmark
# cgnorthcutt/benchmarking-keras-pytorch published in 2019 (Keras 2 and torchvision, by
# their own preprocessing). Labels: original, those of TFDS; real, real.json of Beyer et
# al. (2020, arXiv:2006.07159); label_errors, corrected by the votes of Northcutt et al.
# (2021, arXiv:2103.14749). Of count images with such labels top1 and top5 are right;
# rank: by top1, models share one whose difference from the best of them is not
# significant (McNemar's exact test, Holm's correction, 5 %).
END
tfeval leaderboard "$runs/runs" --labels=original --labels="$real" \
  --labels=label_errors --format=tsv

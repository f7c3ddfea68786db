#!/bin/bash
# Makes tfeval/analysis/reference_results.tsv of the predictions that a benchmark of
# 2019 published, scored on original, ReaL and cleaned labels:
#
#   configs/reference_results.sh PREDICTIONS real.json >reference_results.tsv
#
# PREDICTIONS is a clone of cgnorthcutt/benchmarking-keras-pytorch, whose folders
# *_imagenet hold NAME_top5preds.npy beside NAME_top5probs.npy of any number of models,
# or a folder with such files. The runs are kept in a third argument, a folder, if there
# is one. The file of ReaL labels has to be called real.json, as its authors call it.
set -euo pipefail
if [ $# -lt 2 ] || [ "$(basename "$2")" != real.json ]; then
  echo "usage: $0 PREDICTIONS PATH/real.json [RUNS]" >&2
  exit 2
fi
predictions=$1 real=$2
if [ $# -gt 2 ]; then
  runs=$3
else
  runs=$(mktemp -d)
  trap 'rm -r "$runs"' EXIT
fi
shopt -s nullglob
folders=("$predictions"/*_imagenet)
for folder in "${folders[@]:-$predictions}"; do
  tfeval import --predictions="$folder" --order=class_folder \
    --labels=original --labels="$real" --output_dir="$runs/runs" >&2
done
cat <<'END'
# What public models get right of the 50,000 validation images of ILSVRC2012, made by
# configs/reference_results.sh of the top-5 predictions that the benchmark
# cgnorthcutt/benchmarking-keras-pytorch published in 2019 (keras.applications and
# torchvision), one line for each model whose files were given. Labels: original, those
# of TFDS; real, real.json of Beyer et al. (2020, arXiv:2006.07159); label_errors,
# corrected by the votes of Northcutt et al. (2021, arXiv:2103.14749). Of count images
# with such labels top1 and top5 are right; rank: by top1, models share one whose
# difference from the best of them is not significant (McNemar's exact test, Holm's
# correction, 5 %).
END
tfeval leaderboard "$runs/runs" --labels=original --labels="$real" \
  --labels=label_errors --format=tsv

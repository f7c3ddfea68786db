#!/bin/bash
# Does the pieces of a plan as an array of SLURM jobs, each a share of them:
#
#   tfeval plan --model=ResNet50 --suite=natural --data_dir=/shared/tfds \
#       --output_dir=/shared/study
#   job=$(sbatch --parsable --array=0-63 --gpus=1 configs/slurm_array.sh /shared/study)
#   sbatch --dependency="afterany:${job%;*}" --time=01:00:00 \
#       --output=tfeval-join-%j.log --wrap='tfeval join /shared/study'
#
# What follows the script is the plan and flags of `tfeval work`; options before it
# replace the #SBATCH lines below. Submit with the environment of tfeval activated. What
# all nodes have to see: that environment, the data of the plan, and its folder. Fetch
# weights once before (`tfeval work /shared/study --most=1`), so that not all jobs do.
#
# An array may have any size; one larger than the plan has pieces leaves jobs idle. A
# job takes half a minute before its first image, so let its share last for minutes. Any
# range is a set of shares (--array=0-63, 1-64%8, 10-20:2), as SLURM's limit of array
# sizes asks for. A list (--array=3,17) is none: for it, and for nodes that differ in
# speed, give --claim behind the plan: jobs take pieces that no other has, until all
# are done.
#
# The results are beside the plan, in MODEL/result.json; what is printed, in
# tfeval-ARRAY_INDEX.log. A piece that failed is named there, and by the join.
#
# Time limit: 3 minutes before it a job is asked to end, and goes back into the queue,
# where it goes on with the next piece. Preemption and failing nodes: SLURM does the
# same (--requeue), if the cluster's PreemptMode is REQUEUE; at most one piece is lost.
# To redo what is missing, submit the array again, of any size: what is done is skipped.
#
#SBATCH --job-name=tfeval
#SBATCH --output=%x-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --array=0-15
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@180
set -euo pipefail

: "${1:?the plan, such as /shared/study}" "${SLURM_ARRAY_TASK_ID:?is set by --array}"
first=$SLURM_ARRAY_TASK_MIN step=$SLURM_ARRAY_TASK_STEP count=$SLURM_ARRAY_TASK_COUNT
share=(--piece="$(((SLURM_ARRAY_TASK_ID - first) / step))/$count")
if [[ " $* " == *' --claim '* ]]; then
  share=()
elif ((first + (count - 1) * step != SLURM_ARRAY_TASK_MAX)); then
  echo "--array is a list, whose indices tell no shares: give a range, or --claim" >&2
  exit 2
fi

tfeval work "$@" "${share[@]}" &
worker=$!

time_is_up=
trap 'time_is_up=yes; kill -TERM "$worker"' USR1

code=0
wait "$worker" || code=$?
if [[ $time_is_up ]]; then
  # The signal has ended the first wait, not the worker.
  code=0
  wait "$worker" || code=$?
  if ((code > 2)); then
    echo "time is up (exit code $code): back into the queue" >&2
    # Of the first task, SLURM_JOB_ID may name the whole array.
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
  fi
fi
exit "$code"

#!/bin/bash
# Evaluates on the nodes of a SLURM job, one process on each:
#
#   sbatch --nodes=4 --gpus-per-node=8 configs/slurm.sh \
#       --model=ResNet50 --data_dir=/shared/tfds --output_dir=/shared/runs
#
# What follows the script are flags of `tfeval evaluate`; options before it replace
# the #SBATCH lines below. Submit with the environment of tfeval activated. What all
# nodes have to see: that environment, --data_dir (prepared), and --output_dir (by
# default tfeval_runs where sbatch was called). Prepare data and fetch weights once
# before, so that the nodes do not all do it:
#
#   tfeval evaluate --model=ResNet50 --data_dir=/shared/tfds --manual_dir=DIR \
#       --limit=1 --preflight=off --output_dir=/tmp/first
#
# Several GPUs of a node are one process (--strategy=auto, which is mirrored). For a
# process on each half of a node's 8 GPUs:
#
#   sbatch --nodes=4 --ntasks-per-node=2 --gpus-per-task=4 configs/slurm.sh ...
#
# The result is in OUTPUT_DIR/MODEL/result.json; what is printed, in tfeval-JOB.log.
#
# Time limit: 3 minutes before it the processes are asked to end, keep what is done,
# and the job goes back into the queue, where it goes on. Preemption and failing nodes:
# SLURM does the same (--requeue), if the cluster's PreemptMode is REQUEUE; after
# SIGKILL it goes on after the last whole part (--rows_per_part). scancel ends it.
# A job that ended otherwise goes on when it is submitted again with the same flags and
# the same number of tasks; for another number, delete OUTPUT_DIR/MODEL first.
#
#SBATCH --job-name=tfeval
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@180
set -euo pipefail

# srun does not take --cpus-per-task from sbatch (since SLURM 22.05).
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"

# A host that fails leaves the others to do their shares: they are kept.
# shellcheck disable=SC2016  # Of each task, not of this shell.
srun --kill-on-bad-exit=0 bash -c 'exec tfeval evaluate "$@" \
    --num_hosts="$SLURM_NTASKS" --host_index="$SLURM_PROCID"' tfeval "$@" &
step=$!

# srun passes the signal on to all tasks.
time_is_up=
trap 'time_is_up=yes; kill -TERM "$step"' USR1

code=0
wait "$step" || code=$?
if [[ $time_is_up ]]; then
  # The signal has ended the first wait, not srun.
  code=0
  wait "$step" || code=$?
  if ((code != 0)); then
    echo "time is up (exit code $code): back into the queue" >&2
    scontrol requeue "$SLURM_JOB_ID"
  fi
fi
exit "$code"

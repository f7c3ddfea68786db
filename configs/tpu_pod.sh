#!/bin/bash
# Does the pieces of a plan on the hosts of Cloud TPU VMs and slices, and joins them:
#
#   TPUS='eval-0 eval-1' ZONE=us-west4-a configs/tpu_pod.sh /mnt/study
#
# What follows the script is the plan and flags of `tfeval work`. Environment, TPU VMs,
# what hosts have to see, and what could not be checked without TPUs: see tpu_vm.sh,
# which starts the hosts (STRATEGY is of the plan here). And
#
#   JOIN       flags of `tfeval join`; default none
#
# The plan is made on a host, where the data are, for its chips; no chip is taken:
#
#   gcloud compute tpus tpu-vm ssh eval-0 --zone=us-west4-a --worker=0 --command='
#       env -u TPU_NAME TPU_LOAD_LIBRARY=0 tfeval/bin/tfeval plan --model=ResNet50 \
#           --suite=natural --data_dir=/mnt/tfds --output_dir=/mnt/study \
#           --strategy=tpu --tpu=local'
#
# Hosts take pieces that no other has (--claim), so they may differ in speed and number.
# The results are beside the plan, in MODEL/result.json, and the table is printed here.
#
# Preemption: a host that is lost is started again as in tpu_vm.sh; its piece goes to
# another after --claim_timeout, and the join needs one host that is left. If pieces are
# missing then, or other TPU VMs are to help, give this command again: what is done is
# skipped. Exit codes: those of the join; 2, where pieces failed or are missing.
set -euo pipefail

: "${1:?the plan, such as /mnt/study}"
: "${TPUS:?names of TPU VMs, such as TPUS='eval-0 eval-1'}" "${ZONE:?of the TPU VMs}"

worked=0
TFEVAL_PLAN=$1 "$(dirname "$0")/tpu_vm.sh" "${@:2}" || worked=$?
if ((worked != 0)); then
  echo "hosts ended with exit code $worked: joining what is done" >&2
fi

read -ra names <<<"$TPUS"
read -ra flags <<<"${JOIN:-}"
printf -v command '%q ' "${TFEVAL:-tfeval/bin/tfeval}" join "$1" "${flags[@]}"
for name in "${names[@]}"; do
  code=0
  gcloud compute tpus tpu-vm ssh "$name" --zone="$ZONE" --worker=0 \
      --command="env -u TPU_NAME TPU_LOAD_LIBRARY=0 $command" </dev/null || code=$?
  if ((code <= 2)); then
    break
  fi
  echo "join on $name: exit code $code" >&2
done
exit "$code"

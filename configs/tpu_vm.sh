#!/bin/bash
# Evaluates on Cloud TPU VMs, each host on its own TPU chips:
#
#   TPUS='eval-0 eval-1' ZONE=us-west4-a configs/tpu_vm.sh \
#       --model=ResNet50 --data_dir=/mnt/tfds --output_dir=/mnt/runs
#
# What follows the script are flags of `tfeval evaluate`; it runs where gcloud is set up
# (best in tmux: a lost connection may end the hosts; Ctrl-C does not). Environment:
#
#   TPUS       names of TPU VMs, single hosts (v4-8, v5litepod-8) or slices. Several
#              single hosts serve as well as a slice: hosts need no interconnect.
#   ZONE       where they are
#   TFEVAL     tfeval on the TPU VMs; default tfeval/bin/tfeval, below the home there
#   STRATEGY   default tpu
#   ATTEMPTS   how often a host that is lost is started; default 3
#   PAUSE      seconds before it is started again; default 30
#   CHIPS_PER_HOST_BOUNDS  of slices; default 2,2,1, the 4 chips of v4, v5p and most v5e
#
# Every host has to see --data_dir (prepared) and --output_dir at the same place: a
# mounted file system (Filestore), or gs://BUCKET/... The result is in
# OUTPUT_DIR/MODEL/result.json, and the table is printed here. To make a TPU VM and
# install tfeval on it, from the top of this repository:
#
#   gcloud compute tpus tpu-vm create eval-0 --zone=us-west4-a --spot \
#       --accelerator-type=v5litepod-8 --version=v2-alpha-tpuv5-lite
#   gcloud compute tpus tpu-vm scp --recurse . eval-0:tfeval-src --zone=us-west4-a \
#       --worker=all
#   gcloud compute tpus tpu-vm ssh eval-0 --zone=us-west4-a --worker=all --command='
#       sudo apt-get install -y python3.11-venv && python3.11 -m venv tfeval &&
#       tfeval/bin/pip install ./tfeval-src && tfeval/bin/pip uninstall -y tensorflow &&
#       tfeval/bin/pip install tensorflow-tpu==2.20.0 \
#           -f https://storage.googleapis.com/libtpu-tf-releases/index.html'
#
# The package `tensorflow` has no TPU kernels ("No OpKernel was registered to support Op
# ConfigureDistributedTPU"), `tensorflow-tpu` has; 2.20.0 was its newest when this was
# written, older than what tfeval asks for.
#
# Preemption: a host whose connection breaks or that a signal ends is started again, and
# goes on where it was. A spot TPU VM that is gone is to be deleted, made again under
# its name, and this command given again: finished hosts are not redone. Exit codes 1
# and 2 of a host are told and not tried again.
#
# Slices: libtpu of each host waits for all hosts of the slice, since it takes the
# topology from the VM's metadata. The variables set below describe a slice of one host
# instead, so that --tpu=local is the chips of this host alone. If they do not hold for
# a TPU version, tfeval ends after a minute with "TPU 'local' cannot be used".
#
# What could not be checked without TPUs: those variables, taken from libtpu's users
# (JAX: gist skye/f82ba45d2445bb19d53545538754f9a3; pytorch/xla issue 7714), gcloud
# itself, and tensorflow-tpu. Everything else runs in the tests, on CPUs.
set -euo pipefail

: "${TPUS:?names of TPU VMs, such as TPUS='eval-0 eval-1'}" "${ZONE:?of the TPU VMs}"
TFEVAL=${TFEVAL:-tfeval/bin/tfeval}
STRATEGY=${STRATEGY:-tpu}
ATTEMPTS=${ATTEMPTS:-3}
PAUSE=${PAUSE:-30}
CHIPS_PER_HOST_BOUNDS=${CHIPS_PER_HOST_BOUNDS:-2,2,1}

read -ra names <<<"$TPUS"
# Of each host: the name of its TPU VM, its worker number there, and its environment.
tpus=() workers=() environments=()
for name in "${names[@]}"; do
  addresses=$(gcloud compute tpus tpu-vm describe "$name" --zone="$ZONE" \
      --format="value[delimiter=' '](networkEndpoints.ipAddress)")
  IFS=' ,;' read -ra addresses <<<"$addresses"
  if ((${#addresses[@]} == 0)); then
    echo "TPU VM $name has no hosts: is it ready?" >&2
    exit 2
  fi
  # Where images set them, TPU_NAME and TPU_LOAD_LIBRARY are for slices as a whole.
  environment='env -u TPU_NAME -u TPU_LOAD_LIBRARY'
  if ((${#addresses[@]} > 1)); then
    environment+=" TPU_PROCESS_BOUNDS=1,1,1 CLOUD_TPU_TASK_ID=0"
    environment+=" TPU_CHIPS_PER_PROCESS_BOUNDS=$CHIPS_PER_HOST_BOUNDS"
    environment+=" TPU_PROCESS_ADDRESSES=localhost:8476 TPU_PROCESS_PORT=8476"
  fi
  for worker in "${!addresses[@]}"; do
    tpus+=("$name") workers+=("$worker") environments+=("$environment")
  done
done

given=("$@")
flags=("$@" --strategy="$STRATEGY" --num_hosts="${#tpus[@]}")
if [[ $STRATEGY == tpu ]]; then
  flags+=(--tpu=local)
fi

run_host() {  # host
  local attempt code=0 command
  printf -v command '%q ' "$TFEVAL" evaluate "${flags[@]}" --host_index="$1"
  if [[ ${TFEVAL_PLAN:-} ]]; then  # Of tpu_pod.sh.
    printf -v command '%q ' "$TFEVAL" work "$TFEVAL_PLAN" --claim "${given[@]}"
  fi
  for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
    code=0
    gcloud compute tpus tpu-vm ssh "${tpus[$1]}" --zone="$ZONE" \
        --worker="${workers[$1]}" --command="${environments[$1]} $command" \
        </dev/null || code=$?
    if ((code <= 2)); then
      break
    fi
    echo "host $1 on ${tpus[$1]}, worker ${workers[$1]}: exit code $code," \
        "attempt $attempt of $ATTEMPTS" >&2
    if ((attempt < ATTEMPTS)); then
      sleep "$PAUSE"
    fi
  done
  return "$code"
}

processes=()
for host in "${!tpus[@]}"; do
  run_host "$host" &
  processes+=("$!")
done
worst=0
for host in "${!processes[@]}"; do
  code=0
  wait "${processes[$host]}" || code=$?
  if ((code != 0)); then
    echo "host $host ended with exit code $code" >&2
  fi
  worst=$((code > worst ? code : worst))
done
exit "$worst"

#!/bin/bash
# hpsearch on several nodes of a Slurm cluster. What follows the file are arguments of `hpsearch run`:
#
#   sbatch slurm.sh spaces/char_lm.yaml --name long
#
# Submitted again, it goes on with the experiment. Near its time limit the job lets the running trials save a checkpoint
# and queues itself again; it is over when the search is. Whatever is marked CHANGE depends on your cluster.

#SBATCH --job-name=hpsearch
#SBATCH --nodes=2                   # CHANGE: machines
#SBATCH --cpus-per-task=16          # CHANGE: cores of each
##SBATCH --gpus-per-node=4          # CHANGE: GPUs of each; remove one # to ask for them
##SBATCH --mem=64G                  # CHANGE: memory of each
##SBATCH --partition=main           # CHANGE: if your cluster wants one
#SBATCH --time=12:00:00             # CHANGE: of one stretch; the whole search may take longer (search.time)
#SBATCH --ntasks-per-node=1
#SBATCH --output=hpsearch-%j.out
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180         # so many seconds before the limit
#SBATCH --requeue
#SBATCH --no-kill                   # the loss of a node other than the first ends neither job nor search

# CHANGE: the environment with hpsearch, at the same path on all nodes; or activate it before `sbatch`
# source "$HOME/hpsearch/.venv/bin/activate"

set -euo pipefail
: "${SLURM_JOB_ID:?this file is to be submitted: sbatch slurm.sh SPACE}"
for program in hpsearch ray srun; do
    command -v "$program" >/dev/null || { echo "slurm.sh: no $program here: is its environment active?" >&2; exit 2; }
done

# Without this token nobody can use the job's Ray, which otherwise obeys everyone who reaches its ports.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0 RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0

nodes=$SLURM_JOB_NUM_NODES
cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
head=$SLURMD_NODENAME               # this script runs on the job's first node
address=$(python -c '
import socket, ray.util
with socket.create_server(("", 0)) as free:
    print(f"{ray.util.get_node_ip_address()}:{free.getsockname()[1]}")')
folder=/tmp/ray-$SLURM_JOB_ID       # sockets and logs, on each node
ray_log=hpsearch-$SLURM_JOB_ID-ray.out
# any free ports, since other jobs may run on the same nodes
common=(--num-cpus="$cpus" --temp-dir="$folder" --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0)

running=()
end() {
    trap '' USR1
    kill "${running[@]}" 2>/dev/null || true
    wait
    running=()
}
trap end EXIT
trap 'exit 143' TERM

on_nodes() {  # NUMBER, further options of srun and the command: in the background, a lost node does not end the others
    srun --nodes="$1" --ntasks="$1" --cpus-per-task="$cpus" --no-kill --kill-on-bad-exit=0 --wait=0 \
        "${@:2}" &>>"$ray_log" &
    running+=("$!")
}

on_nodes 1 --nodelist="$head" ray start --head --node-ip-address="${address%:*}" --port="${address##*:}" \
    --include-dashboard=false "${common[@]}" --block
if ((nodes > 1)); then
    on_nodes "$((nodes - 1))" --exclude="$head" ray start --address="$address" "${common[@]}" --block
fi

# wait until all have joined, though not for ever: the search takes those that come later too
python -c '
import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
while True:
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        break
    except OSError:
        time.sleep(1)
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    time.sleep(1)' "$address" "$nodes" &
waiting=$!
running+=("$waiting")
deadline=$((SECONDS + ${HPSEARCH_JOIN_SECONDS:-300}))
while kill -0 "$waiting" 2>/dev/null && ((SECONDS < deadline)); do
    kill -0 "${running[0]}" 2>/dev/null || { echo "slurm.sh: Ray did not start on $head; see $ray_log" >&2; exit 1; }
    sleep 1
done
if kill "$waiting" 2>/dev/null; then
    echo "slurm.sh: not all of the $nodes nodes have joined; the search begins without them; see $ray_log" >&2
fi

hpsearch run "$@" --engine ray --address "$address" &
search=$!
running+=("$search")
near_limit=
trap 'near_limit=yes; kill -INT "$search"' USR1  # as Ctrl-C once
status=0
wait "$search" || status=$?
if [[ $near_limit ]]; then  # the signal has ended the waiting, not the search
    status=0
    wait "$search" || status=$?
fi

end
if ((status == 0)); then
    timeout 60 srun --nodes="$nodes" --ntasks="$nodes" --no-kill rm -rf "$folder" || true
fi
if [[ $near_limit ]] && ((status == 130)); then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"

#!/usr/bin/env bash
# Trains on several hosts; started on each of them, with the same arguments but for the first.
#
#   docs/launch/several-hosts.sh THIS_HOST HOSTS PROCESSES FIRST_ADDRESS train --stage align --data STORE --out RUN
#
# THIS_HOST counts from 0; FIRST_ADDRESS is that of host 0, as the others reach it. Data, program and run lie under the same
# paths on all hosts; the run's folder is on a file system that they share. Port 29400 of host 0 and the ports that the system
# gives to Gloo or NCCL must be open between the hosts, and closed to everybody else: nothing that goes over them is
# encrypted, and whoever reaches them can take part.
set -euo pipefail
host=$1 hosts=$2 processes=$3 first=$4
shift 4
own=$(ip -o route get "$first" | sed -nE 's/.* src ([^ ]+).*/\1/p')
exec torchrun --nnodes "$hosts" --nproc-per-node "$processes" --max-restarts 3 --rdzv-backend c10d --rdzv-id transcend \
    --rdzv-endpoint "$first:29400" --rdzv-conf "is_host=$((host == 0))" --local-addr "$own" --no-python transcend "$@"

#!/usr/bin/env bash
# Trains on all devices of one host, one process each, and goes on by itself after a process has died.
#
#   docs/launch/one-host.sh PROCESSES pipeline --preset imagenet256-b --data STORE --out RUN
#
# torchrun comes with PyTorch. On a CPU give as many processes as there are groups of cores, and OMP_NUM_THREADS cores to each.
set -euo pipefail
processes=$1
shift
exec torchrun --standalone --local-addr 127.0.0.1 --nproc-per-node "$processes" --max-restarts 3 --no-python transcend "$@"

#!/usr/bin/env bash
# Times reading latents of ImageNet's size in shuffled order, drawn from their distributions, in Transcend and in
# PyTorch's DataLoader with two workers, alternately. The store of 1.28 million records is sparse: 65 MB on disk.
#
#   PEER_PYTHON=python3 Benchmarks/loader.sh [REPEATS]
#
# PEER_PYTHON is a Python with torch and numpy.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PEER_PYTHON:?name a Python with torch and numpy, such as PEER_PYTHON=python3}"
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
"$PEER_PYTHON" Benchmarks/loader.py make "$store"
for repeat in $(seq "${1:-3}"); do
    ours=$(.build/release/transcend bench loader --data "$store" --batch 256 --steps 600 --warmup 100 | grep -oE '^[0-9]+')
    peer=$("$PEER_PYTHON" Benchmarks/loader.py read "$store")
    echo "$repeat transcend $ours latents/s, PyTorch $peer, ratio $(awk "BEGIN { printf \"%.2f\", $ours / $peer }")"
done

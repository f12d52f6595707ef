#!/usr/bin/env bash
# Times a plain step of SiT-S/2 in Transcend and in a PyTorch peer, alternately, and prints the ratio.
#
#   PEER="python bench_peer.py --style tuned" [PRECISION=bf16] Benchmarks/step.sh [REPEATS]
#
# PEER is a command that takes the flags of `transcend bench` and prints the same line of JSON; the machine should do
# nothing else meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PEER:?name the command of the peer, such as PEER=\"python bench_peer.py --style tuned\"}"
flags=(--model SiT-S/2 --batch 16 --stage plain --precision "${PRECISION:-f32}" --steps 5 --warmup 2 --json)

seconds() { sed -nE 's/.*"step_seconds": ?([0-9.]+).*/\1/p'; }
for repeat in $(seq "${1:-3}"); do
    ours=$(.build/release/transcend bench "${flags[@]}" 2>/dev/null | seconds)
    peer=$($PEER "${flags[@]}" | seconds)
    echo "$repeat transcend $ours s, peer $peer s, ratio $(awk "BEGIN { printf \"%.3f\", $peer / $ours }")"
done

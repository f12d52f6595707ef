#!/usr/bin/env bash
# How far bf16 training is from f32: the same steps of a preset in both, from the same draws, and the mean losses of the
# last third. DATA names the data set, ARGUMENTS further flags of `transcend train`.
#   DATA=cifar10-train.zip Benchmarks/precision.sh
set -euo pipefail
cd "$(dirname "$0")/.."
steps=${STEPS:-300} stage=${STAGE:-align} runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT

for precision in f32 bf16; do
    .build/release/transcend train --stage "$stage" --preset "${PRESET:-cifar10}" --data "${DATA:?the data set}" \
        --steps "$steps" --sample-every 0 --set output.logEvery=1 --precision "$precision" \
        --out "$runs/$precision" ${ARGUMENTS:-} >/dev/null
done
python3 - "$runs" "$steps" <<'END_PYTHON'
import json, sys
runs, steps = sys.argv[1], int(sys.argv[2])
def mean(precision, key):
    rows = [json.loads(line) for line in open(f"{runs}/{precision}/metrics.jsonl")]
    values = [row[key] for row in rows if row["step"] >= steps - steps // 3 and key in row]
    return sum(values) / len(values) if values else None
for key in ("denoisingLoss", "alignmentLoss", "imagesPerSecond"):
    f32, bf16 = mean("f32", key), mean("bf16", key)
    if f32 and bf16:
        print(f"{key:16} f32 {f32:.5f}  bf16 {bf16:.5f}  bf16/f32 {bf16 / f32:.4f}")
END_PYTHON

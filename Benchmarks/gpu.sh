#!/usr/bin/env bash
# All that needs a GPU, in one command, on a machine with torch 2.11 and a bundle (make bundle): what doctor says, the golden
# files on the device with the program's own kernels and with libtorch's, and steps against PyTorch's. It goes on where it was
# stopped; what it prints goes to OUT too.
#
#   Benchmarks/gpu.sh BUNDLE OUT [MODEL ...]      SiT-B/2 and SiT-XL/2 unless others are named
#
# Minutes for each model, most of them PyTorch's compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { echo "gpu.sh: error: give the folder of a bundle and one for the results." >&2; exit 1; }
bundle=$(cd "$1" && pwd)
out=$2
shift 2
[ $# -gt 0 ] || set -- SiT-B/2 SiT-XL/2
export TRANSCEND=$bundle/transcend
mkdir -p "$out"

checked() {
    "$TRANSCEND" doctor
    if "$TRANSCEND" doctor | grep '^problem: '; then return 1; fi
    local kernels precision
    for kernels in fused plain; do
        for precision in f32 bf16; do
            echo "verify --device cuda --kernels $kernels --precision $precision"
            "$TRANSCEND" verify "$here/../Tests/Golden" --device cuda --kernels "$kernels" --precision "$precision" |
                grep -v ' pass ' || true
        done
    done
}

checked 2>&1 | tee "$out/checks.txt"
for model; do
    echo "$model"
    "$here/compare.sh" --device cuda --model "$model" --results "$out/${model//\//-}.jsonl" --rounds 1
    for stage in plain selfguided; do
        "$TRANSCEND" bench step --device cuda --model "$model" --batch 256 --stage "$stage" --precision bf16 --steps 5 \
            --profile || echo "$model $stage: no profile"
    done
done 2>&1 | tee -a "$out/steps.txt"

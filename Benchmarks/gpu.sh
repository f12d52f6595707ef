#!/usr/bin/env bash
# All that needs a GPU, in one command, on a machine with torch 2.11 and a bundle (make bundle): what doctor says, the golden
# files on the device with the program's own kernels and with libtorch's, and steps against PyTorch's. It goes on where it was
# stopped; what it prints goes to OUT too. Where doctor finds a problem with the kernels, libtorch's are compared.
#
#   Benchmarks/gpu.sh BUNDLE OUT [MODEL ...]      SiT-XL/2 and SiT-B/2 unless others are named
#
# BUNDLE is the folder, or a .tar.gz of what is in it. Minutes for each model, most of them PyTorch's compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { echo "gpu.sh: error: give the folder of a bundle and one for the results." >&2; exit 1; }
if [ -f "$1" ]; then
    bundle=$(mktemp -d)
    trap 'rm -r "$bundle"' EXIT
    tar -xzf "$1" -C "$bundle"
else
    bundle=$(cd "$1" && pwd)
fi
out=$2
shift 2
[ $# -gt 0 ] || set -- SiT-XL/2 SiT-B/2
export TRANSCEND=$bundle/transcend
mkdir -p "$out"

checked() {
    "$TRANSCEND" doctor
    local kernels precision
    for kernels in fused plain; do
        for precision in f32 bf16; do
            echo "verify --device cuda --kernels $kernels --precision $precision"
            "$TRANSCEND" verify "$here/../Tests/Golden" --device cuda --kernels "$kernels" --precision "$precision" |
                grep -v ' pass ' || true
        done
    done
}

if [ ! -f "$out/checks.txt" ]; then
    checked 2>&1 | tee "$out/checks.partial"
    mv "$out/checks.partial" "$out/checks.txt"
fi
kernels=fused
if grep "^problem: .* without the program's own kernels" "$out/checks.txt"; then kernels=plain; fi
for model; do
    echo "$model, $kernels kernels"
    rows=$out/${model//\//-}.jsonl
    "$here/compare.sh" --device cuda --model "$model" --results "$rows" --kernels $kernels
    batch=$(grep -o '"batch": *[0-9]*' "$rows" | tail -n 1 | grep -o '[0-9]*$')
    for stage in plain selfguided; do
        "$TRANSCEND" bench step --device cuda --model "$model" --batch "$batch" --stage "$stage" --precision bf16 --steps 5 \
            --kernels $kernels --profile || echo "$model $stage: no profile"
    done
done 2>&1 | tee -a "$out/steps.txt"

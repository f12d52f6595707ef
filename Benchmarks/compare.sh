#!/usr/bin/env bash
# Compares steps and sampling of Transcend with a PyTorch peer: alternately, on a quiet machine, with ratios and both raw
# figures. It goes on where it was stopped.
#
#   Benchmarks/compare.sh [--model SiT-S/2] [--stages plain align selfguided sample] [--precisions f32 bf16] [...]
#   Benchmarks/compare.sh --device cuda --model SiT-XL/2
#
# On the CPU the peer's PyTorch is installed by pip into a folder of its own; PEER_PYTHON names a Python with torch
# instead. On CUDA it is the torch of PEER_PYTHON, else of python3. TRANSCEND is the program, else that of the build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=2.13.0+cpu

fail() {
    echo "compare.sh: error: $*" >&2
    exit 1
}

install() {
    local folder=$1
    [ -e "$folder/complete" ] && return
    echo "installing torch $version into $folder" >&2
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet "torch==$version" numpy >&2 ||
        fail "pip cannot install torch $version; name a Python with torch by PEER_PYTHON."
    touch "$folder/complete"
}

# Help needs no PyTorch.
for argument in "$@"; do
    case $argument in -h | --help) exec python3 "$here/compare.py" --help ;; esac
done

if [ -z "${PEER_PYTHON:-}" ]; then
    if [[ " $* " == *" --device cuda"* ]]; then
        PEER_PYTHON=python3
    else
        folder=${XDG_CACHE_HOME:-$HOME/.cache}/transcend/peer-$version
        install "$folder"
        PEER_PYTHON=$folder/bin/python
    fi
fi
"$PEER_PYTHON" -c 'import torch' 2>/dev/null || fail "$PEER_PYTHON has no torch; name one that has by PEER_PYTHON."
export TRANSCEND=${TRANSCEND:-$here/../.build/release/transcend}
[ -x "$TRANSCEND" ] || fail "there is no $TRANSCEND; run make build, or name the program by TRANSCEND."
exec "$PEER_PYTHON" "$here/compare.py" "$@"

#!/usr/bin/env bash
# Times the training step on one machine split over processes, and PyTorch's DistributedDataParallel in turn (ranks.py).
#
#   Benchmarks/ranks.sh [--processes 1 2 4] [--model SiT-S/2] [--batch 16] [--stage plain] [--precision f32] [--rounds 2]
#
# PEER_PYTHON names a Python with torch; without it, the one that Benchmarks/compare.sh has installed is taken.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PEER_PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/transcend/peer-2.13.0+cpu/bin/python}
"$python" -c 'import torch' 2>/dev/null || { echo "ranks.sh: error: $python has no torch; run Benchmarks/compare.sh first, or set PEER_PYTHON." >&2; exit 1; }
export TRANSCEND=${TRANSCEND:-$here/../.build/release/transcend}
exec "$python" "$here/ranks.py" "$@"

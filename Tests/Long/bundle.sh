#!/usr/bin/env bash
# The bundle in a bare Debian with nothing but Python and torch from pip draws the same pictures, byte for byte, as the
# program where it was built. Needs root, debootstrap, the network, 3 GB of disk and some minutes.
#   Tests/Long/bundle.sh [WORK]   WORK keeps the root between calls (default: a temporary folder)
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${1:-}
[ -n "$work" ] || { work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT; }
root=$work/root
# A bundle that exists is taken as it is: `make bundle` first, to test another.
bundle=$(find .build -maxdepth 1 -name 'transcend-*-linux-x86_64' | head -1)
[ -n "$bundle" ] || { make bundle && bundle=$(find .build -maxdepth 1 -name 'transcend-*-linux-x86_64' | head -1); }

# libtorch learns from /proc what the CPU can do.
bare() {
    unshare --mount --pid --fork sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" \
        /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root "$@"
}

if [ ! -e "$root/torch-is-there" ]; then
    site=$(apt-get indextargets --format '$(SITE)' | head -1)
    [ -e "$root/usr/bin/pip" ] || debootstrap --variant=minbase --include=python3,python3-pip bookworm "$root" "$site"
    python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 -r Scripts/libtorch.txt -d "$root/wheels"
    bare sh -c 'pip install -q --no-deps --no-index --break-system-packages /wheels/*.whl'
    rm -r "$root/wheels" && touch "$root/torch-is-there"
fi

rm -rf "$work/run" "$root/opt/"*
.build/release/transcend pipeline --preset demo --steps 20 --sample-every 0 --out "$work/run"
cp -r "$work/run" "$root/opt/run"
cp -r "$bundle" "$root/opt/bundle"
sample=(sample --labels disc ring --count 8 --cfg 2 --steps 5 --checkpoint)
.build/release/transcend "${sample[@]}" "$work/run" --out "$work/here.png"
bare /opt/bundle/transcend "${sample[@]}" /opt/run --out /opt/there.png
cmp "$work/here.png" "$root/opt/there.png"
bare /opt/bundle/transcend doctor
echo "ok: the pictures are equal"

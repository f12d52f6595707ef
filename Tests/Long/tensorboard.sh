#!/bin/bash
# Trains a small run in two parts and reads its events with the package `tensorboard`, which is installed into a folder of its
# own: every scalar has to be that of metrics.jsonl, and no sample grid may be missing. About a minute after the installation.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install -q tensorboard==2.21.0
train() {
    .build/release/transcend train --stage align --out "$folder/run" --preset demo --batch 8 --steps "$1" \
        --set network.hidden=16 --set network.depth=2 --set network.heads=2 --set network.patchSize=6 --head-width 16 \
        --student-depth 1 --set output.logEvery=1 --sample-every 20 --set preview.sampler.steps=2 --checkpoint-every 10
}
train 37
sleep 1.1  # the names of two files differ in their seconds
train 60
"$folder/python/bin/python" - "$folder/run" <<'END'
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1] + "/events", size_guidance={"scalars": 0, "images": 0})
events.Reload()
rows = [json.loads(line) for line in open(sys.argv[1] + "/metrics.jsonl")]
for tag in events.Tags()["scalars"]:
    key = tag.split("/")[1]
    read = {event.step: event.value for event in events.Scalars(tag)}
    expected = {row["step"]: row[key] for row in rows if key in row}
    assert read.keys() == expected.keys(), tag
    assert all(abs(read[step] - value) <= 1e-6 * abs(value) for step, value in expected.items()), tag
assert [image.step for image in events.Images("align/samples")] == [20, 37, 40, 60]
print(len(events.Tags()["scalars"]), "scalars of", len(rows), "steps and 4 grids are read as they were written")
END

"""The peer of loader.sh: makes a sparse store of latents (`make DIR`), and reads one with PyTorch (`read DIR`)."""
import json
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

COUNT, PER_SHARD, CLASSES, CHANNELS, SIDE, SCALE = 1_280_000, 1024, 1000, 4, 32, 0.18215


def make(root: Path) -> None:
    """Shards as Sources/Data/Store/StoreShard.swift lays them out, of zeros that take no space on disk."""
    shards = []
    for index in range(COUNT // PER_SHARD):
        images = range(index * PER_SHARD, (index + 1) * PER_SHARD)
        names = [f"{i}.JPEG".encode() for i in images]
        arrays = [("labels", "I64", [PER_SHARD], 8 * PER_SHARD), ("name_ends", "I64", [PER_SHARD], 8 * PER_SHARD),
                  ("records", "F16", [PER_SHARD, 2 * CHANNELS, SIDE, SIDE], PER_SHARD * 4 * CHANNELS * SIDE * SIDE),
                  ("names", "U8", [sum(map(len, names))], sum(map(len, names)))]
        header, end = {}, 0
        for name, dtype, shape, size in arrays:
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
            end += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path = root / f"shard-{index:05d}.safetensors"
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            np.array([i % CLASSES for i in images]).tofile(file)
            np.cumsum([len(name) for name in names]).tofile(file)
            file.seek(arrays[2][3], 1)
            file.write(b"".join(names))
        zeros = [0.0] * CHANNELS
        shards.append({"index": index, "file": path.name, "records": PER_SHARD, "byteCount": path.stat().st_size,
                       "checksum": 0, "skipped": [],
                       "sums": {"count": PER_SHARD * SIDE * SIDE, "sums": zeros, "squares": zeros}})
    (root / "manifest.json").write_text(json.dumps({
        "format": "transcend-store", "version": 1, "resolution": 256, "sourceCount": COUNT, "sourceChecksum": 0,
        "layout": {"content": "meanAndDeviation", "type": "F16", "channels": CHANNELS, "side": SIDE,
                   "hasMirrored": False},
        "encoding": {"autoencoder": "zeros", "shift": [0.0] * CHANNELS, "scale": [SCALE] * CHANNELS},
        "classNames": [f"{i:04d}" for i in range(CLASSES)], "imagesPerShard": PER_SHARD, "shards": shards,
        "statistics": {"mean": [0.0] * CHANNELS, "deviation": [1.0] * CHANNELS}}))


class Latents(Dataset):
    """Drawn from mean and deviation, as LightningDiT's and REPA's scripts do."""

    def __init__(self, root: Path) -> None:
        self.shards = []
        for path in sorted(root.glob("*.safetensors")):
            with path.open("rb") as file:
                begin = 8 + struct.unpack("<Q", file.read(8))[0]
                records = json.loads(file.read(begin - 8))["records"]
            offset, shape = begin + records["data_offsets"][0], tuple(records["shape"])
            labels = np.fromfile(path, np.int64, PER_SHARD, offset=begin)
            self.shards.append((np.memmap(path, np.float16, "r", offset, shape), labels))

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        records, labels = self.shards[index // PER_SHARD]
        place = index % PER_SHARD
        mean, deviation = torch.from_numpy(records[place].astype(np.float32)).chunk(2)
        return (mean + deviation * torch.randn_like(deviation)) * SCALE, int(labels[place])


def read(root: Path, batch: int = 256, warmup: int = 50, steps: int = 300) -> None:
    batches = iter(DataLoader(Latents(root), batch, shuffle=True, num_workers=2, prefetch_factor=4))
    for _ in range(warmup):
        next(batches)
    start = time.monotonic()
    for _ in range(steps):
        next(batches)
    print(round(steps * batch / (time.monotonic() - start)))


{"make": make, "read": read}[sys.argv[1]](Path(sys.argv[2]))

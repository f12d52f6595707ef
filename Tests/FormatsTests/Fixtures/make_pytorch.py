"""Makes the PyTorch fixtures beside this file with PyTorch and safetensors: the same value in several forms of torch.save,
and its tensors in safetensors."""

import argparse
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

here = Path(__file__).parent
torch.manual_seed(0)
base = torch.arange(24, dtype=torch.float32) / 8
module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
dtypes = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
          torch.float32, torch.float64, torch.complex64]
new_dtypes = [torch.uint16, torch.uint32, torch.uint64, torch.float8_e5m2, torch.float8_e4m3fn]


def name(dtype):
    return str(dtype).removeprefix("torch.")


value = {
    "types": {name(t): torch.tensor([0, 1, 1, 0, 1]).to(t) for t in dtypes},
    "views": [base[3:9].view(2, 3), base[8:20].view(3, 4).t(), base[::5], base[2:3].expand(4)],
    "shapes": (torch.tensor(2.5), torch.zeros(0, 4), torch.ones(1, 2, 1)),
    "module": module.state_dict(),
    "parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
    "buffer": torch.nn.Buffer(torch.tensor([3, -4])),
    "ordered": OrderedDict([("first", torch.tensor([7])), ("second", None)]),
    "args": argparse.Namespace(model="SiT-B/2", rate=1e-4, flags=[True, False], nothing=None, nested={1: "one"}),
    "steps": 123, "negative": -(1 << 40), "huge": 1 << 70, "bytes": b"raw",
}
new = {**value, "new": {name(t): torch.tensor([0, 1, 2]).to(t) for t in new_dtypes}}


def flat(part, prefix=""):
    if isinstance(part, torch.Tensor):
        return {prefix[:-1]: part.detach().clone().contiguous()}
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, (list, tuple)) else ()
    return {k: v for key, inner in items for k, v in flat(inner, f"{prefix}{key}.").items()}


torch.save(new, here / "pytorch.pt")
torch.save(new, here / "pytorch-protocol5.pt", pickle_protocol=5)
torch.save(value, here / "pytorch-old.pt", _use_new_zipfile_serialization=False)
torch.serialization.set_crc32_options(False)
torch.save({"a": base}, here / "pytorch-unchecked.pt")
torch.serialization.set_crc32_options(True)
save_file(flat(new), here / "pytorch.safetensors")

# As a big-endian machine writes it: numbers turned around, and the file says so.
numbers = {"a": base[:6].view(2, 3), "b": torch.tensor([1, -2]), "c": torch.tensor([1 + 2j, 3 - 4j])}
torch.save(numbers, here / "little.pt")
with zipfile.ZipFile(here / "little.pt") as little, zipfile.ZipFile(here / "pytorch-big.pt", "w") as big:
    sizes = {"little/data/0": 4, "little/data/1": 8, "little/data/2": 4}
    for entry in little.infolist():
        data = little.read(entry)
        size = sizes.get(entry.filename, 1)
        data = b"".join(data[i:i + size][::-1] for i in range(0, len(data), size))
        big.writestr(zipfile.ZipInfo(entry.filename), b"big" if entry.filename.endswith("byteorder") else data)
(here / "little.pt").unlink()
save_file({k: v.contiguous() for k, v in numbers.items()}, here / "pytorch-big.safetensors")

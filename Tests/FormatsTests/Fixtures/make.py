"""Makes the fixtures beside this file with the formats' own libraries (safetensors, NumPy, zipfile, tarfile)."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

here = Path(__file__).parent
arrays = {
    "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "a.weight": np.array([1, -2, 3], np.int64),
    "half": np.array([[0.5], [-1.25]], np.float16),
    "scalar": np.array(2.5, np.float64),
    "flags": np.array([True, False, True]),
    "empty": np.zeros((0, 4), np.float32),
    "größe \"q\"": np.array([7, 8, 9], np.uint8),
}
save_file(arrays, here / "python.safetensors", metadata={"about": "two\nlines"})
np.save(here / "python.npy", np.arange(12, dtype=np.float64).reshape(3, 4) / 8)
np.savez_compressed(here / "python.npz", mu=np.array([1.5, -2.5]), images=np.full((2, 8, 8, 3), 7, np.uint8))

with zipfile.ZipFile(here / "python.zip", "w") as archive:
    stamp = (2020, 1, 1, 0, 0, 0)
    for name, data, method in [
        ("folder/", b"", zipfile.ZIP_STORED),
        ("folder/stored.txt", b"stored bytes", zipfile.ZIP_STORED),
        ("folder/deflated.txt", b"deflated " * 50, zipfile.ZIP_DEFLATED),
        ("ünïcode-図.txt", b"name", zipfile.ZIP_DEFLATED),
        ("empty.txt", b"", zipfile.ZIP_DEFLATED),
    ]:
        info = zipfile.ZipInfo(name, stamp)
        info.compress_type = method
        archive.writestr(info, data)
    archive.comment = b"a comment"

# forced Zip64: one entry written with unknown size
with zipfile.ZipFile(here / "zip64.zip", "w") as archive:
    with archive.open(zipfile.ZipInfo("long.txt", (2020, 1, 1, 0, 0, 0)), "w", force_zip64=True) as entry:
        entry.write(b"long sizes")


# Archives as tar's three formats write them, ended by two blocks and not filled up to 10,240 bytes.
tarfile.RECORDSIZE = 1024


def tar(format: int, files: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "a.txt"
        archive.addfile(link)
    return stream.getvalue()


long_name = "folder/" + "x" * 120 + "-ü.txt"
files = [("folder/", b""), ("./a.txt", b"first"), (long_name, b"long"), ("a.txt", b"second"), ("empty.txt", b"")]
(here / "gnu.tar").write_bytes(tar(tarfile.GNU_FORMAT, files))
(here / "pax.tar").write_bytes(tar(tarfile.PAX_FORMAT, files))
deep = "d" * 90 + "/" + "e" * 60 + ".txt"
classes = [(f"n0{i}.tar", tar(tarfile.USTAR_FORMAT, [(f"n0{i}_7.JPEG", b"%d" % i), (deep, b"deep")])) for i in range(2)]
(here / "ustar.tar").write_bytes(tar(tarfile.USTAR_FORMAT, classes))

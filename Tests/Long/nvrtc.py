"""Compiles the CUDA kernels as a machine with a GPU would at run time, on any machine: NVRTC needs no GPU.

    python3 Tests/Long/nvrtc.py [--architectures 80 90 100] [--nvrtc PATH]

NVRTC is PATH/lib/libnvrtc.so.13, else the wheel nvidia-cuda-nvrtc that pip puts into a temporary folder. Of each kernel its
registers and its spilled bytes are shown, as far as the compiler says them; a warning counts as a failure.
"""

import argparse
import ctypes
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "Sources" / "CTorch"
TEXT, HEADERS = "residual-cuda.h", ["numbers.h", "residual-arguments.h"]


def installed(folder: str) -> Path:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder,
                    "nvidia-cuda-nvrtc==13.0.88"], check=True)
    return next(Path(folder).rglob("libnvrtc.so.13"))


def compiled(nvrtc: ctypes.CDLL, architecture: int) -> tuple[int, str, bytes]:
    """The status, the log, and the machine code."""
    texts = [(SOURCES / name).read_bytes() for name in HEADERS]
    strings = ctypes.c_char_p * len(HEADERS)
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), (SOURCES / TEXT).read_bytes(), b"kernels.cu", len(HEADERS),
                                    strings(*texts), strings(*(name.encode() for name in HEADERS))) == 0
    options = [f"--gpu-architecture=sm_{architecture}".encode(), b"--std=c++17", b"--ptxas-options=-v"]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))

    def result(name: str) -> bytes:
        size = ctypes.c_size_t()
        assert getattr(nvrtc, f"nvrtcGet{name}Size")(program, ctypes.byref(size)) == 0
        buffer = ctypes.create_string_buffer(size.value)
        assert getattr(nvrtc, f"nvrtcGet{name}")(program, buffer) == 0
        return buffer.raw
    return status, result("ProgramLog").rstrip(b"\0").decode(), result("CUBIN") if status == 0 else b""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", type=int, nargs="+", default=[80, 90, 100])
    parser.add_argument("--nvrtc", type=Path)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = a.nvrtc / "lib" / "libnvrtc.so.13" if a.nvrtc else installed(folder)
        for builtins in library.parent.glob("libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins))  # NVRTC opens it by its name alone
        nvrtc = ctypes.CDLL(str(library))
        for architecture in a.architectures:
            status, log, code = compiled(nvrtc, architecture)
            if status != 0 or "warning" in log:
                sys.exit(f"sm_{architecture}: {log}")
            print(f"sm_{architecture}: {len(code)} bytes")
            for name, spilled, registers in re.findall(
                    r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers", log, re.S):
                print(f"  {name}: {registers} registers, {spilled} bytes spilled")


if __name__ == "__main__":
    main()

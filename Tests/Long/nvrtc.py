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

ENTRY = r"entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores.*?Used (\d+) registers"
SOURCES = Path(__file__).resolve().parents[2] / "Sources" / "CTorch"
# The texts, what they include, and the options with which each is compiled: the residual stream for widths of 384, 768 and 1152.
PROGRAMS = [
    ("residual-cuda.h", ["numbers.h", "columns-cuda.h", "residual-arguments.h"], [f"-DPIECES={n}" for n in (3, 6, 9)]),
    ("gelu-cuda.h", ["numbers.h", "columns-cuda.h", "gelu-arguments.h"], [""]),
    ("attention-cuda.h", ["numbers.h", "attention-arguments.h"], [""]),
]


def installed(folder: str) -> Path:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder,
                    "nvidia-cuda-nvrtc==13.0.88"], check=True)
    return next(Path(folder).rglob("libnvrtc.so.13"))


def compiled(nvrtc: ctypes.CDLL, text: str, headers: list[str], option: str, architecture: int) -> tuple[int, str]:
    """The status and the log."""
    texts = [(SOURCES / name).read_bytes() for name in headers]
    strings = ctypes.c_char_p * len(headers)
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), (SOURCES / text).read_bytes(), b"kernels.cu", len(headers),
                                    strings(*texts), strings(*(name.encode() for name in headers))) == 0
    options = [f"--gpu-architecture=sm_{architecture}", "--std=c++17", "--ptxas-options=-v", option]
    encoded = [o.encode() for o in options if o]
    status = nvrtc.nvrtcCompileProgram(program, len(encoded), (ctypes.c_char_p * len(encoded))(*encoded))
    size = ctypes.c_size_t()
    assert nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)) == 0
    log = ctypes.create_string_buffer(size.value)
    assert nvrtc.nvrtcGetProgramLog(program, log) == 0
    return status, log.value.decode()


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
            for text, headers, options in PROGRAMS:
                for option in options:
                    status, log = compiled(nvrtc, text, headers, option, architecture)
                    if status != 0 or "warning" in log:
                        sys.exit(f"sm_{architecture}, {text} {option}: {log}")
                    print(f"sm_{architecture}, {text} {option}")
                    for kernel, stack, spilled, registers in re.findall(ENTRY, log, re.DOTALL):
                        print(f"    {kernel:28} {registers:>3} registers, {spilled} bytes spilled")


if __name__ == "__main__":
    main()

"""Steps on one machine split over processes, Transcend and PyTorch's DistributedDataParallel in turn: times, memory, bytes sent.

    Benchmarks/ranks.sh [--processes 1 2 4] [--model SiT-S/2] [--batch 16] [--stage plain] [--precision f32]

A row is one process with all threads, or several with one thread each, started by torchrun. Bytes on the wire are those of
the loopback interface, per process and step, headers included; the start of a run is measured apart and taken off.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from compare import HERE, Stop, busy_share

PEER = HERE / "peer" / "bench_ddp.py"
LOOPBACK = Path("/sys/class/net/lo/statistics/tx_bytes")


def run(system: str, processes: int, steps: int, a: argparse.Namespace) -> tuple[dict, int]:
    """A row of a system's benchmark, and the bytes that went over the loopback interface meanwhile."""
    if busy_share() > a.load:
        raise Stop("other programs use the cores: wait until they have ended, then start this again")
    flags = ["--model", a.model, "--batch", str(a.batch), "--stage", a.stage, "--precision", a.precision, "--steps",
             str(steps), "--warmup", "2", "--json"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "29507"]
    if system == "transcend":
        command = [*launcher, "--no-python", a.transcend, "bench", "step", *flags]
    else:
        command = [*launcher, str(PEER), "--style", "tuned", *flags]
    threads = os.cpu_count() if processes == 1 else 1
    before = int(LOOPBACK.read_text())
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    sent = int(LOOPBACK.read_text()) - before
    rows = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if ended.returncode or not rows:
        raise Stop(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr.strip()[-400:]}")
    return json.loads(rows[-1]), sent


def main() -> None:
    parser = argparse.ArgumentParser(prog="ranks.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="SiT-S/2")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--stage", default="plain")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--load", type=float, default=0.05)
    parser.add_argument("--transcend", default=os.environ.get("TRANSCEND"))
    a = parser.parse_args()
    print("| system | processes | s a step | images/s | against one process | memory of a process, GiB | MB sent by a process in a step |")
    print("|---|---|---|---|---|---|---|", flush=True)
    single = {}
    for processes in a.processes:
        rows = {"transcend": [], "pytorch": []}
        for _ in range(a.rounds):
            for system in rows:
                rows[system].append(run(system, processes, a.steps, a)[0])
        for system, measured in rows.items():
            seconds = statistics.median(row["step_seconds"] for row in measured)
            single.setdefault(system, seconds)
            memory = max(row["peak_bytes"] for row in measured) / 2**30
            # The difference of two runs of other lengths is that of steps alone.
            short, long = run(system, processes, 1, a)[1], run(system, processes, 4, a)[1]
            print(f"| {system} | {processes} | {' '.join(str(row['step_seconds']) for row in measured)} | "
                  f"{a.batch / seconds:.2f} | {single[system] / seconds:.3f} | {memory:.2f} | "
                  f"{(long - short) / 3 / processes / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Stop as stop:
        sys.exit(f"ranks.sh: error: {stop}")

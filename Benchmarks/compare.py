"""Runs Transcend's benchmark and its PyTorch peer (peer/bench_peer.py) alternately and prints their ratios.

compare.sh finds the Python that runs this. Every row goes to the file of --results as soon as it is measured; the same
command goes on where it was stopped. On a GPU Transcend is measured first, alone; then the networks that PyTorch compiles for
minutes are compiled beside the other runs, and each waits for its turn.
"""

import argparse
import fcntl
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
STYLES = ["published", "tuned", "compiled"]
OURS = "transcend"


class Stop(Exception):
    """A sentence for the user."""


def busy_share(seconds: float = 2) -> float:
    """Which share of all cores was at work in the next seconds."""
    def read() -> tuple[int, int]:
        numbers = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]
    all_before, idle_before = read()
    time.sleep(seconds)
    all_after, idle_after = read()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def network(a: argparse.Namespace, stage: str, precision: str, batch: int) -> list[str]:
    sampling = stage == "sample"  # one of its steps is 50 of the network's, guided 32 times
    named = {"--model": a.model, "--precision": precision, "--device": a.device,
             "--batch": max(1, batch // 4) if sampling else batch,
             "--steps": 2 if sampling else a.steps, "--warmup": 1 if sampling else a.warmup,
             "--latent": a.latent, "--channels": a.channels, "--classes": a.classes,
             "--hidden": a.hidden, "--depth": a.depth, "--heads": a.heads, "--patch": a.patch}
    return joined(named)


def head(a: argparse.Namespace) -> list[str]:
    """What the network's features are aligned by."""
    return joined({"--head-width": a.head_width, "--student-depth": a.student_depth,
                   "--teacher-depth": a.teacher_depth})


def joined(named: dict) -> list[str]:
    return [part for name, value in named.items() if value is not None for part in (name, str(value))]


def command(system: str, stage: str, a: argparse.Namespace) -> list[str]:
    if system == OURS:
        kind = ["sample"] if stage == "sample" else ["step", "--stage", stage, *head(a)]
        return [a.transcend, "bench", *kind, "--kernels", a.kernels]
    return [sys.executable, str(HERE / "peer" / "bench_peer.py"), "--style", system, "--stage", stage, *head(a)]


class Ahead:
    """Runs of the compiled style that were begun before their turn, by their arguments. Each waits for a lock of its own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.runs: dict[tuple, tuple[subprocess.Popen, object]] = {}

    def begin(self, stage: str, arguments: list[str], a: argparse.Namespace) -> None:
        lock = open(Path(self.folder.name, str(len(self.runs))), "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = [*command("compiled", stage, a), *arguments, "--json", "--turn", lock.name]
        with open(lock.name + ".out", "w") as out, open(lock.name + ".err", "w") as err:
            self.runs[stage, *arguments] = subprocess.Popen(program, stdout=out, stderr=err), lock

    def end(self, stage: str, arguments: list[str]) -> subprocess.CompletedProcess | None:
        """Gives a run its turn and waits for it; None where none was begun."""
        run, lock = self.runs.pop((stage, *arguments), (None, None))
        if run is None:
            return None
        lock.close()
        status = run.wait()
        texts = [Path(lock.name + end).read_text() for end in (".out", ".err")]
        return subprocess.CompletedProcess(run.args, status, *texts)

    def stop(self) -> bool:
        """Ends those that wait; whether there were any."""
        runs, self.runs = self.runs, {}
        for run, _ in runs.values():
            run.kill()
            run.wait()
        return bool(runs)


def measure(system: str, stage: str, arguments: list[str], a: argparse.Namespace, ahead: Ahead) -> dict:
    """One row of a system's benchmark; it says so where the memory of a GPU does not suffice, or where it failed."""
    if a.device == "cpu":
        check_load(a)
    ended = ahead.end(stage, arguments) if system == "compiled" else None
    ended = ended or subprocess.run([*command(system, stage, a), *arguments, "--json"], capture_output=True, text=True)
    if ended.returncode == 0:
        row = json.loads(ended.stdout.strip().splitlines()[-1])
        if system == OURS and row["kernels"] != a.kernels:
            raise Stop(f"{OURS} runs libtorch's operators in place of its kernels ({row['kernels']}): "
                       "give --kernels plain to compare these")
        return row
    if "out of memory" in ended.stderr or "ALLOC_FAILED" in ended.stderr:
        return {"stage": stage, "system": system, "lacks_memory": True}
    reason = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if system == OURS:
        raise Stop(f"{OURS} {' '.join(arguments)} ended with {ended.returncode}: {reason}")
    return {"stage": stage, "system": f"{system} cannot run {stage}: {reason}", "failed": True}


def check_load(a: argparse.Namespace) -> None:
    share = busy_share()
    if share > a.load:
        raise Stop(f"other programs use {share:.0%} of the cores: wait until they have ended, then start this again")


def begin_ahead(a: argparse.Namespace, cells: dict, rows: list[dict], ahead: Ahead) -> None:
    """Begins the compiled runs of the first round, as far as they are missing, at the batches that fitted so far."""
    for (stage, precision), mine in cells.items():
        arguments = mine[-1]["arguments"]
        if not any((row["stage"], row["arguments"], row["run"]) == (stage, arguments, "compiled") for row in rows):
            ahead.begin(stage, arguments, a)


def cell(a: argparse.Namespace, stage: str, precision: str, systems: list[str], rows: list[dict], ahead: Ahead) -> list[dict]:
    """The rows of one stage and precision, measured as far as they are missing, at the largest batch that fits all."""
    batch = a.batch
    while True:
        arguments = network(a, stage, precision, batch)
        mine = [row for row in rows if (row["stage"], row["arguments"]) == (stage, arguments)]
        for turn in range(a.rounds * len(systems)):
            if any("lacks_memory" in row for row in mine):
                break
            system = systems[turn % len(systems)]
            if sum(row["run"] == system for row in mine) > turn // len(systems):
                continue
            row = measure(system, stage, arguments, a, ahead)
            if "lacks_memory" in row and ahead.stop():  # which hold memory too
                row = measure(system, stage, arguments, a, ahead)
            row |= {"run": system, "arguments": arguments}
            mine.append(row)
            rows.append(row)
            if "failed" not in row:  # what failed is tried again by the next start
                with open(a.results, "a") as file:
                    file.write(json.dumps(row) + "\n")
        if not any("lacks_memory" in row for row in mine):
            return mine
        if batch == 1:
            raise Stop(f"{stage} {precision}: not even one image fits into the memory of the device")
        batch //= 2


def seconds(rows: list[dict], system: str) -> str:
    return " ".join(f"{row['step_seconds']:.4g}" for row in rows if row["run"] == system)


def line(stage: str, precision: str, rows: list[dict]) -> str:
    def median(system: str, key: str) -> float:
        return statistics.median(row[key] for row in rows if row["run"] == system)
    failed = sorted({row["run"] for row in rows if "failed" in row})
    rows = [row for row in rows if "failed" not in row]
    peers = sorted({row["run"] for row in rows} - {OURS}, key=lambda system: median(system, "step_seconds"))
    if not peers:
        raise Stop(f"no style of the peer can run {stage} in {precision}")
    best = peers[0]
    ours = next(row for row in rows if row["run"] == OURS)
    others = ", ".join([f"{peer} {seconds(rows, peer)}" for peer in peers] + [f"{peer} failed" for peer in failed])
    ratio = median(best, "step_seconds") / median(OURS, "step_seconds")
    memory = median(OURS, "peak_bytes") / 2**30, median(best, "peak_bytes") / 2**30
    return (f"| {stage} | {precision} | {ours['batch']} | {seconds(rows, OURS)} | {others} | {ratio:.2f} | "
            f"{median(OURS, 'utilisation'):.2f} | {memory[0]:.1f} / {memory[1]:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="SiT-S/2")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--kernels", default="fused", choices=["fused", "plain"], help="of Transcend")
    parser.add_argument("--stages", nargs="+", default=None, help="plain align selfguided sample")
    parser.add_argument("--precisions", nargs="+", default=None, help="f32 bf16; on a GPU bf16 alone")
    parser.add_argument("--styles", nargs="+", choices=STYLES, help="all; on a GPU without published, which is tuned in slower")
    parser.add_argument("--batch", type=int, help="16, on a GPU 256 or the largest half of it that fits")
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--classes", type=int, default=1000)
    for own in ("hidden", "depth", "heads", "patch", "student-depth", "teacher-depth"):
        parser.add_argument(f"--{own}", type=int, help="instead of the named network's")
    parser.add_argument("--head-width", type=int, default=2048)
    parser.add_argument("--steps", type=int, help="timed steps of a run: 5, on a GPU 20")
    parser.add_argument("--warmup", type=int, help="steps before them: 2, on a GPU 5")
    parser.add_argument("--rounds", type=int, help="how often each system runs: 2, on a GPU 1")
    parser.add_argument("--load", type=float, default=0.15, help="share of the cores that others may use")
    parser.add_argument("--ahead", action=argparse.BooleanOptionalAction, help="compile beside other runs; on a GPU unless told")
    parser.add_argument("--results", default="compare.jsonl", help="file that keeps what was measured")
    parser.add_argument("--transcend", default=os.environ.get("TRANSCEND", ".build/release/transcend"))
    a = parser.parse_args()
    on_gpu = a.device != "cpu"
    a.stages = a.stages or (["plain", "selfguided"] if on_gpu else ["plain", "align", "selfguided", "sample"])
    a.precisions = a.precisions or (["bf16"] if on_gpu else ["f32", "bf16"])
    if on_gpu:
        # Triton's products are left out of autotuning, which takes half an hour for SiT-XL/2 with them: in the five minutes that
        # were tried, cuBLAS was 13 to 24 % faster than the best of them in all four layers of a block. The rest is tuned, once.
        os.environ.setdefault("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_BACKENDS", "ATEN")
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(caches / "transcend" / "inductor"))
    a.styles = a.styles or (["tuned", "compiled"] if on_gpu else STYLES)
    a.rounds = a.rounds or (1 if on_gpu else 2)
    a.batch = a.batch or (256 if on_gpu else 16)
    a.steps, a.warmup = a.steps or (20 if on_gpu else 5), 5 if a.warmup is None and on_gpu else a.warmup or 2
    path = Path(a.results)
    rows = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
    print("| stage | precision | batch | transcend, s a step | PyTorch, s a step | ratio | utilisation | memory, GiB |\n"
          "|---|---|---|---|---|---|---|---|")
    ahead = Ahead()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is ended
    names = [(stage, precision) for stage in a.stages for precision in a.precisions]
    try:
        if "compiled" in a.styles and (on_gpu if a.ahead is None else a.ahead):
            check_load(a)
            begin_ahead(a, {name: cell(a, *name, [OURS], rows, ahead) for name in names}, rows, ahead)
        for name in names:
            print(line(*name, cell(a, *name, [OURS, *a.styles], rows, ahead)), flush=True)
    except (Stop, OSError) as error:
        sys.exit(f"compare.sh: error: {error}")
    finally:
        ahead.stop()
    print("\n" + ", ".join(sorted({row["system"] for row in rows if "lacks_memory" not in row})))


if __name__ == "__main__":
    main()

"""Training over several hosts, and what happens when one is cut off or a process is killed: for root on Linux.

    python3 Tests/Long/hosts.py [--faults 20] [--hosts 2 3] [--seed 0]

Hosts are network namespaces with addresses of their own on one bridge; torchrun starts a process on each with a rendezvous
address. A training is first run undisturbed, and held against one process with as many micro-batches: of two hosts with the
same bytes, of more with the same losses to 1e-5. Then others of the same flags meet a fault at a random moment: a process is
killed (mostly in the middle of a reduction), or stopped, or the link of a host goes down. It is measured how long it takes until all
processes have ended, what they say is shown, the link comes up again, and the same command continues the run, whose last
checkpoint must have the bytes of the undisturbed one.

TRANSCEND is the program, else that of the build; TORCHRUN is torchrun, else that of the peer's PyTorch (Benchmarks/compare.sh
installs it). Linux allows this to root.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TRANSCEND", str(ROOT / ".build/release/transcend"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
TORCHRUN = os.environ.get("TORCHRUN", str(CACHE / "transcend/peer-2.13.0+cpu/bin/torchrun"))
PREFIX = f"transcend{os.getpid()}"
TIMEOUT = 4
FLAGS = ["--preset", "demo", "--batch", "12", "--set", "network.hidden=128", "--set", "network.depth=4", "--set",
         "network.patchSize=4", "--sample-every", "0", "--set", "output.logEvery=1", "--steps", "60", "--checkpoint-every",
         "5", "--set", "schedule.decay=constant", "--set", f"distributed.timeoutSeconds={TIMEOUT}"]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


class Hosts:
    """Network namespaces on one bridge."""

    def __init__(self, count: int):
        self.names = [f"{PREFIX}n{count}h{i}" for i in range(count)]
        self.bridge = f"br{os.getpid()}n{count}"
        ip("link", "add", self.bridge, "type", "bridge")
        ip("link", "set", self.bridge, "up")
        for i, name in enumerate(self.names):
            ip("netns", "add", name)
            ip("link", "add", self.link(i), "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", self.link(i), "master", self.bridge, "up")
            ip("-n", name, "addr", "add", f"{self.address(i)}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            # So slow that most of a step is a reduction, and most kills fall into one.
            subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "400mbit", "burst", "1mb",
                            "latency", "50ms"], check=True)

    def link(self, i: int) -> str:
        return f"v{os.getpid()}n{len(self.names)}x{i}"

    def address(self, i: int) -> str:
        return f"10.77.0.{i + 1}"

    def set_link(self, i: int, state: str) -> None:
        ip("link", "set", self.link(i), state)

    def close(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name])
        subprocess.run(["ip", "link", "del", self.bridge])


class Training:
    """One process on each host, started by torchrun."""

    def __init__(self, hosts: Hosts, out: Path, restarts: int = 0):
        self.out, self.logs = out, []
        self.agents = []
        port = random.randint(20000, 40000)
        for i, name in enumerate(hosts.names):
            log = open(out.parent / f"{out.name}-{i}.log", "w+")
            self.logs.append(log)
            self.agents.append(subprocess.Popen(
                ["ip", "netns", "exec", name, TORCHRUN, "--nnodes", str(len(hosts.names)), "--nproc-per-node", "1",
                 "--rdzv-backend", "c10d", "--rdzv-endpoint", f"{hosts.address(0)}:{port}", "--rdzv-id", out.name,
                 "--rdzv-conf", f"is_host={int(i == 0)},join_timeout=60",
                 "--local-addr", hosts.address(i), "--max-restarts", str(restarts), "--no-python", PROGRAM, "train",
                 "--stage", "plain", "--out", str(out), *FLAGS],
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"}))

    def workers(self) -> list[int]:
        """The processes of the program, in the order of hosts."""
        found = []
        for agent in self.agents:
            children = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(agent.pid)], capture_output=True, text=True)
            found += [int(line.split()[0]) for line in children.stdout.splitlines() if line.split()[1].startswith(Path(PROGRAM).name[:15])]
        return found

    def step(self) -> int:
        try:
            return len((self.out / "metrics.jsonl").read_text().splitlines())
        except FileNotFoundError:
            return 0

    def wait_for_step(self, step: int) -> None:
        while self.step() < step and any(agent.poll() is None for agent in self.agents):
            time.sleep(0.005)

    def wait(self) -> list[int]:
        return [agent.wait() for agent in self.agents]

    def said(self) -> list[str]:
        lines = []
        for log in self.logs:
            log.seek(0)
            lines += [line.strip() for line in log if "transcend: error:" in line]
        return lines

    def end(self) -> None:
        for agent in self.agents:
            if agent.poll() is None:
                os.killpg(agent.pid, signal.SIGKILL)
            agent.wait()


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def tensors(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (run / "checkpoints/step-0000060").glob("*.safetensors")}


def losses(run: Path) -> list[float]:
    return [json.loads(line)["denoisingLoss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--hosts", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    random.seed(a.seed)
    failures = 0
    for count in a.hosts:
        hosts = Hosts(count)
        try:
            with tempfile.TemporaryDirectory() as folder:
                failures += examine(hosts, Path(folder), a.faults // len(a.hosts))
        finally:
            hosts.close()
    sys.exit(f"{failures} faults were not survived" if failures else 0)


def examine(hosts: Hosts, folder: Path, faults: int) -> int:
    count = len(hosts.names)
    whole = Training(hosts, folder / "whole")
    if any(whole.wait()):
        sys.exit("\n".join(whole.said()) or (folder / "whole-0.log").read_text())
    expected = tensors(folder / "whole")
    one = folder / "one"
    subprocess.run([PROGRAM, "train", "--stage", "plain", "--out", str(one), *FLAGS, "--accumulation", str(count)], check=True,
                   capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    worst = max(abs(a - b) for a, b in zip(losses(one), losses(folder / "whole")))
    same = tensors(one) == expected
    failures = int(worst > 1e-5 or (count == 2 and not same))
    print(f"{count} hosts: an undisturbed run has {'the bytes' if same else 'other bytes than those'} of one process with {count} "
          f"micro-batches; its losses differ by at most {worst:.1e}", flush=True)
    for number in range(faults):
        out = folder / f"run{number}"
        restarts = number % 4 == 3  # a kill that torchrun answers by itself
        training = Training(hosts, out, restarts=2 if restarts else 0)
        training.wait_for_step(random.randint(1, 50))
        time.sleep(random.uniform(0, 0.05))
        workers, victim = training.workers(), random.randrange(count)
        kind = "kill" if restarts else ["kill", "link", "hang"][number % 3]
        start, step = time.monotonic(), training.step()
        if kind == "kill":
            os.kill(workers[victim], signal.SIGKILL)
        elif kind == "hang":
            stopped = workers.pop(victim)
            os.kill(stopped, signal.SIGSTOP)
        else:
            hosts.set_link(victim, "down")
        while any(is_running(worker) for worker in workers) and time.monotonic() - start < 60:
            time.sleep(0.01)
        seconds = time.monotonic() - start
        hosts.set_link(victim, "up")
        if kind == "hang":
            os.kill(stopped, signal.SIGKILL)
        said = sorted(set(line.split("error: ")[1] for line in training.said()))
        if restarts:
            statuses = training.wait()
        else:
            training.end()
            again = Training(hosts, out)
            statuses = again.wait()
        same = tensors(out) == expected
        failures += not same or seconds > 3 * TIMEOUT + 10
        print(f"{count} hosts, {kind} of host {victim} at step {step}: all ended after {seconds:.1f} s; "
              f"{'restarted by torchrun' if restarts else 'continued'} {'to the same bytes' if same else f'WRONGLY {statuses}'}; "
              + "; ".join(said), flush=True)
    return failures


if __name__ == "__main__":
    main()

"""The peer on several processes: the training step of bench_peer.py under DistributedDataParallel, over Gloo or NCCL.

    torchrun --nproc-per-node 2 bench_ddp.py --model SiT-S/2 --batch 16 --stage plain --style tuned --json

Flags are those of bench_peer.py; --batch is the global batch, of which each process takes its share. The first process
prints the row of bench_peer.py, with the number of processes; memory and FLOPs are those of one process.
"""

import json
import os
import resource
import statistics
import sys
import time

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import bench_peer


class Losses(nn.Module):
    """What DistributedDataParallel has to see: parameters in, loss out."""

    def __init__(self, trainer: bench_peer.Trainer):
        super().__init__()
        self.trained, self.compute = trainer.trained, trainer.losses

    def forward(self, batch):
        return self.compute(batch).total


class Trainer(bench_peer.Trainer):
    def __init__(self, a):
        super().__init__(a)
        # A process whose samples all lie outside the window does not reach the head.
        self.parallel = DistributedDataParallel(Losses(self), find_unused_parameters=a.stage != "plain")

    def step(self) -> torch.Tensor:
        a = self.a
        batch = bench_peer.draw(self.config, a.batch, a.device)
        with torch.autocast(a.device, torch.bfloat16, enabled=a.precision == "bf16"):
            loss = self.parallel(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.trained.parameters()], 1 - 0.9999)
        return loss.detach()


def main() -> None:
    a = bench_peer.parse()
    distributed.init_process_group("nccl" if a.device == "cuda" else "gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    if a.batch % size:
        sys.exit(f"--batch {a.batch}: give a multiple of {size}")
    if a.device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    whole, a.batch = a.batch, a.batch // size
    torch.manual_seed(rank)
    trainer, times = Trainer(a), []
    for i in range(a.warmup + a.steps):
        bench_peer.synchronise(a.device)
        start = time.perf_counter()
        trainer.step()
        bench_peer.synchronise(a.device)
        if i >= a.warmup:
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    peak = (torch.cuda.max_memory_allocated() if a.device == "cuda"
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    row = {"system": f"pytorch {torch.__version__} {a.style}", "processes": size, "batch": whole, "stage": a.stage,
           "precision": a.precision, "threads": torch.get_num_threads(), "step_seconds": round(seconds, 5),
           "step_seconds_min": round(min(times), 5), "images_per_second": round(whole / seconds, 3), "peak_bytes": peak}
    if rank == 0:
        print(json.dumps(row) if a.json else "\n".join(f"{k:24} {v}" for k, v in row.items()), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()

"""The cost model of docs/SCALING.md: seconds of a step on several processes, from constants of a machine.

    python3 Benchmarks/scaling.py

prints the tables of that page. Constants of GPUs are assumptions, named here; nothing of them was measured.
"""

NETWORKS = {"B/2": (130.5e6, 138.4e9), "XL/2": (675.1e6, 711.9e9)}  # parameters, FLOPs of an image in a step
RATE = 320e12     # FLOP/s that a step computes at on an H100: 45 % of a product's 700e12 in bfloat16
MEMORY = 2.7e12   # B/s of the memory, 80 % of 3.35e12
NVLINK = 360e9    # B/s of a ring over NVLink: bus bandwidth, as NCCL's tests count it
NETWORK = 45e9    # B/s of a host's 400 Gb/s link, 90 %
LATENCY = 30e-6   # s of a bucket
BUCKET = 25 * 2**20
BACKWARD = 0.6    # the part of forward and backward pass behind which sums are hidden
UPDATE_BYTES = 9 * 4  # read and written for each parameter by clipping, AdamW and average


def sum_seconds(parameters: float, gpus: int, hosts: int, bytes_each: int = 4, links: int = 1) -> float:
    """Of all gradients: within hosts over NVLink, between hosts each over its own links."""
    size, inside = bytes_each * parameters, gpus // hosts
    buckets = size / BUCKET
    within = 2 * (inside - 1) / inside * size / NVLINK
    between = 2 * (hosts - 1) / hosts * size / (links * NETWORK)
    return within + between + buckets * LATENCY


def step(name: str, images: int, gpus: int, hosts: int, spread: bool = False, bytes_each: int = 4, micro: int = 1,
         links: int = 1) -> dict:
    """`images` of a GPU in a step, in `micro` micro-batches; gradients go out in the last one."""
    parameters, flops = NETWORKS[name]
    compute = images * flops / RATE
    reduce = sum_seconds(parameters, gpus, hosts, bytes_each, links)
    hidden = BACKWARD * compute / micro
    last = 2 * (gpus - 1) / gpus * min(BUCKET, 4 * parameters) / (links * NETWORK if hosts > 1 else NVLINK)
    update = UPDATE_BYTES * parameters / MEMORY
    if spread:
        update = update / 3 + 2 / 3 * update / gpus + sum_seconds(parameters, gpus, hosts) / 2
    exposed = max(reduce - hidden, last)
    seconds = compute + exposed + update
    alone = compute + UPDATE_BYTES * parameters / MEMORY
    return {"compute": compute, "sums": reduce, "exposed": exposed, "update": update, "step": seconds,
            "efficiency": alone / seconds}


def row(label: str, result: dict) -> str:
    times = " | ".join(f"{1e3 * result[key]:.1f}" for key in ("compute", "sums", "exposed", "update", "step"))
    return f"| {label} | {times} | {result['efficiency']:.0%} |"


def main() -> None:
    header = "| network, GPUs, images of a GPU | C, ms | R | of it not hidden | U | step | efficiency |\n|---|---|---|---|---|---|---|"
    print(header)
    for name in NETWORKS:
        for gpus, hosts, images in [(8, 1, 32), (64, 8, 4), (64, 8, 32)]:
            print(row(f"{name}, {hosts} x {gpus // hosts}, {images}", step(name, images, gpus, hosts)))
    print("\n" + header.replace("network, GPUs, images of a GPU", "XL/2, 8 x 8 GPUs, 32 images of a GPU"))
    for label, options in [("as above", {}), ("state spread", {"spread": True}), ("gradients in bfloat16", {"bytes_each": 2}),
                           ("128 images in 4 micro-batches", {"images": 128, "micro": 4}),
                           ("a link for each GPU", {"links": 8})]:
        print(row(label, step("XL/2", **({"images": 32, "gpus": 64, "hosts": 8} | options))))


if __name__ == "__main__":
    main()

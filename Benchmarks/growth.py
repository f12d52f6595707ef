"""Time and memory of a training step of SiT-S/2 on the CPU against batch, tokens and depth: a table, and a plot (SVG).

    python3 Benchmarks/growth.py [PLOT.svg]

TRANSCEND names the program, else that of the build; the machine should do nothing else meanwhile.
"""

import functools
import json
import math
import os
import subprocess
import sys

PROGRAM = os.environ.get("TRANSCEND", ".build/release/transcend")
SWEEPS = [  # name, values, batch, side and depth for a value
    ("batch", [1, 2, 4, 8, 16, 32, 64], lambda n: (n, 32, 12)),
    ("tokens", [64, 256, 1024, 4096], lambda n: (2, 2 * math.isqrt(n), 12)),
    ("depth", [3, 6, 12, 24], lambda n: (4, 32, n)),
]
COLOURS = {"f32": "#1f77b4", "bf16": "#d95f02"}
SIDE, GAP = 250, 70


@functools.cache  # sweeps meet in some configurations, which are measured once
def measure(batch: int, side: int, depth: int, precision: str) -> dict:
    command = [PROGRAM, "bench", "step", "--json", "--steps", "3", "--warmup", "1", "--precision", precision,
               "--batch", str(batch), "--latent", str(side), "--depth", str(depth)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def panel(left: int, top: int, title: str, unit: str, xs: list, series: dict) -> str:
    """Axes with logarithms to the base 2 both ways, and a curve for each precision."""
    ys = [y for values in series.values() for y in values]
    low, high = math.floor(math.log2(min(ys))), math.ceil(math.log2(max(ys)))
    first, last = math.log2(xs[0]), math.log2(xs[-1])
    def x(value: float) -> float:
        return left + SIDE * (math.log2(value) - first) / (last - first)
    def y(value: float) -> float:
        return top + SIDE * (1 - (math.log2(value) - low) / (high - low))
    parts = [f'<text x="{left}" y="{top - 12}" font-weight="bold">{unit} by {title}</text>']
    for value in xs:
        parts.append(f'<text x="{x(value):.0f}" y="{top + SIDE + 18}" text-anchor="middle">{value}</text>')
    for power in range(low, high + 1):
        at = y(2.0**power)
        parts.append(f'<line x1="{left}" x2="{left + SIDE}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{2.0**power:g}</text>')
    for name, values in series.items():
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{COLOURS[name]}"/>'
                  for a, b in zip(xs, values)]
    return "\n".join(parts)


def main() -> None:
    panels = []
    print("| | | f32, s | f32, GiB | bf16, s | bf16, GiB |\n|---|---|---|---|---|---|")
    for column, (name, values, configuration) in enumerate(SWEEPS):
        seconds, memory = {p: [] for p in COLOURS}, {p: [] for p in COLOURS}
        for value in values:
            cells = []
            for precision in COLOURS:
                row = measure(*configuration(value), precision)
                seconds[precision].append(row["step_seconds"])
                memory[precision].append(row["peak_bytes"] / 2**30)
                cells.append(f"{row['step_seconds']:.3f} | {row['peak_bytes'] / 2**30:.2f}")
            print(f"| {name} | {value} | {' | '.join(cells)} |", flush=True)
        left = GAP + column * (SIDE + GAP)
        panels += [panel(left, 60, name, "seconds", values, seconds),
                   panel(left, 60 + SIDE + GAP, name, "GiB", values, memory)]
    legend = "".join(f'<text x="{GAP + 80 * i}" y="24" fill="{c}">{p}</text>' for i, (p, c) in enumerate(COLOURS.items()))
    width, height = GAP + len(SWEEPS) * (SIDE + GAP), 60 + 2 * (SIDE + GAP)
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w") as file:
            file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
                       f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>{legend}\n'
                       + "\n".join(panels) + "\n</svg>\n")


if __name__ == "__main__":
    main()

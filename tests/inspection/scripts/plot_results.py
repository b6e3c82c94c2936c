"""No training here: reads logs and prints a table. Imports torch only to unpickle checkpoints."""
import argparse
import json
import sys
from pathlib import Path

import torch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--batch-size", type=int, default=100, help="lines shown at once")
    args = parser.parse_args()
    rows = []
    for log in sorted(args.runs.glob("*/log.json")):
        entry = json.loads(log.read_text())
        ckpt = torch.load(log.parent / "best.pt", map_location="cpu")
        rows.append((log.parent.name, entry["val_acc"], sum(v.numel() for v in ckpt["model"].values())))
    for name, acc, size in rows[: args.batch_size]:
        print(f"{name:20} {acc:6.2%} {size:>12,}")
    print(f"{len(rows)} runs", file=sys.stderr)


if __name__ == "__main__":
    main()

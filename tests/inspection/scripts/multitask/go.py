import sys, tomllib
from pathlib import Path
import torch
from torch.nn import functional as F
from mt.engine import Engine, Patience
from mt.nets import REGISTRY
OPTIMS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}

def override(cfg, items):
    for item in items:
        key, value = item.split("=", 1)
        *path, last = key.split(".")
        node = cfg
        for p in path: node = node[p]
        node[last] = type(node[last])(value)
    return cfg

def main(argv=None):
    cfg = override(tomllib.loads((Path(__file__).parent / "experiment.toml").read_text()), argv or sys.argv[1:])
    torch.manual_seed(cfg["seed"])
    m = dict(cfg["model"]); net = REGISTRY[m.pop("kind")](**m)
    n = cfg["data"]["rows"]
    X = torch.randn(n, m["inputs"])
    items = [(X[i], {"price": X[i].sum(), "churn": (X[i, 0] > 0).float(), "segment": torch.tensor(i % 6)}) for i in range(n)]
    k = int(n * cfg["data"]["valid"])
    tr = torch.utils.data.DataLoader(items[k:], batch_size=cfg["data"]["batch"], shuffle=True)
    va = torch.utils.data.DataLoader(items[:k], batch_size=60)
    opt = OPTIMS[cfg["optim"]["kind"]](net.parameters(), lr=cfg["optim"]["lr"])
    eng = Engine(net, {"price": F.smooth_l1_loss, "churn": F.binary_cross_entropy_with_logits, "segment": F.cross_entropy},
                 {"price": 1.0, "churn": 0.5, "segment": 0.5}, opt, torch.optim.lr_scheduler.ExponentialLR(opt, 0.9),
                 [Patience(30)], cfg["optim"]["accumulate"], cfg["optim"]["max_norm"])
    eng.run(tr, va, cfg["run"]["epochs"])
if __name__ == "__main__":
    main()

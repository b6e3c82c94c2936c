"""MLP-Mixer on small images, weights averaged. Everything is in config.yml; --set key.sub=value overrides."""
import argparse
import logging
import math
import pathlib

import torch
import torch.nn.functional as F
import yaml
from torch.utils.data import DataLoader, TensorDataset, random_split

from ema import Ema
from mixer import MlpMixer

log = logging.getLogger("mixer")


def read_config():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default=pathlib.Path(__file__).with_name("config.yml"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    cfg = yaml.safe_load(open(args.config))
    for item in args.set:
        key, value = item.split("=")
        node = cfg
        *parents, last = key.split(".")
        for parent in parents:
            node = node[parent]
        node[last] = yaml.safe_load(value)
    return cfg


def warmup_cosine(total, warmup=5):
    return lambda step: min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / total))


def accuracy(net, loader, device):
    net.eval()
    hits = 0
    with torch.inference_mode():
        for x, y in loader:
            hits += (net(x.to(device)).argmax(1).cpu() == y).sum().item()
    return hits / len(loader.dataset)


def main():
    logging.basicConfig(level=logging.INFO)
    cfg = read_config()
    d, o = cfg["data"], cfg["optim"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    everything = TensorDataset(torch.randn(d["train"] + d["val"], 3, d["image"], d["image"]),
                               torch.randint(d["classes"], (d["train"] + d["val"],)))
    train, val = random_split(everything, [d["train"], d["val"]])
    loader = DataLoader(train, o["batch_size"], shuffle=True)
    val_loader = DataLoader(val, batch_size=2 * o["batch_size"])
    model = MlpMixer(d["image"], d["classes"], **cfg["model"]).to(device)
    ema = Ema(model, cfg["ema"])
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": o["weight_decay"]}, {"params": rest, "weight_decay": 0.0}], lr=o["lr"])
    updates = o["epochs"] * math.ceil(len(loader) / o["accumulate"])
    sched = torch.optim.lr_scheduler.LambdaLR(opt, warmup_cosine(updates))
    for epoch in range(o["epochs"]):
        model.train()
        for i, (x, y) in enumerate(loader, 1):
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1) / o["accumulate"]
            loss.backward()
            if i % o["accumulate"] == 0 or i == len(loader):
                torch.nn.utils.clip_grad_norm_(model.parameters(), o["clip"])
                opt.step()
                sched.step()
                opt.zero_grad(set_to_none=True)
                ema.update(model)
        log.info("epoch %d acc %.3f ema %.3f", epoch, accuracy(model, val_loader, device), accuracy(ema.shadow, val_loader, device))
    torch.save({"model": model.state_dict(), "ema": ema.shadow.state_dict()}, "mixer.pt")


if __name__ == "__main__":
    main()

import torch
class Callback:
    def on_epoch_end(self, engine, metrics): ...
class Patience(Callback):
    def __init__(self, n): self.n, self.best, self.bad = n, float("inf"), 0
    def on_epoch_end(self, engine, metrics):
        if metrics["val"] < self.best - 1e-4: self.best, self.bad = metrics["val"], 0
        else:
            self.bad += 1
            engine.should_stop = self.bad >= self.n
class Engine:
    def __init__(self, model, losses, weights, optimizer, scheduler=None, callbacks=(), accumulate=1, max_norm=None):
        self.__dict__.update(locals()); self.should_stop = False
    def loss(self, batch):
        x, targets = batch
        outs = self.model(x)
        return sum(self.weights[k] * self.losses[k](outs[k].squeeze(-1), targets[k]) for k in outs)
    def run(self, train, val, epochs):
        for ep in range(epochs):
            self.model.train()
            for i, b in enumerate(train, 1):
                (self.loss(b) / self.accumulate).backward()
                if i % self.accumulate == 0 or i == len(train):
                    if self.max_norm: torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
                    self.optimizer.step(); self.optimizer.zero_grad()
            if self.scheduler: self.scheduler.step()
            self.model.eval()
            with torch.no_grad(): v = sum(self.loss(b).item() for b in val) / len(val)
            for c in self.callbacks: c.on_epoch_end(self, {"val": v, "epoch": ep})
            if self.should_stop: break

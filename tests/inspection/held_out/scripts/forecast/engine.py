import torch


def train_one_epoch(model, loader, optimizer, loss_fn, device):
    model.train()
    running = 0.0
    for window, future in loader:
        window, future = window.to(device), future.to(device)
        optimizer.zero_grad()
        loss = loss_fn(model(window), future)
        loss.backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        running += loss.item() * window.size(0)
    return running / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader, loss_fn, device):
    model.eval()
    return sum(loss_fn(model(w.to(device)), f.to(device)).item() * len(w) for w, f in loader) / len(loader.dataset)

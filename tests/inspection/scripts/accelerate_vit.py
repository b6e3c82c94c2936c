import argparse
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn


class PatchTransformer(nn.Module):
    """A small ViT with mean pooling."""

    def __init__(self, image=32, patch=4, dim=64, depth=3, heads=4, classes=10):
        super().__init__()
        self.embed = nn.Conv2d(3, dim, patch, patch)
        self.pos = nn.Parameter(torch.zeros(1, (image // patch) ** 2, dim))
        layer = nn.TransformerEncoderLayer(dim, heads, dim * 4, dropout=0.1, activation="gelu", batch_first=True,
                                           norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))

    def forward(self, pixels):
        x = self.embed(pixels).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.encoder(x).mean(1))


def get_dataloaders(accelerator, batch_size):
    with accelerator.main_process_first():
        train = torch.utils.data.TensorDataset(torch.randn(224, 3, 32, 32), torch.randint(0, 10, (224,)))
        val = torch.utils.data.TensorDataset(torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,)))
    return (torch.utils.data.DataLoader(train, shuffle=True, batch_size=batch_size, drop_last=True),
            torch.utils.data.DataLoader(val, batch_size=32))


def training_function(config, args):
    accelerator = Accelerator(cpu=args.cpu, mixed_precision=args.mixed_precision,
                              gradient_accumulation_steps=args.gradient_accumulation_steps)
    set_seed(config["seed"])
    train_dl, eval_dl = get_dataloaders(accelerator, config["batch_size"])
    model = PatchTransformer()
    optimizer = torch.optim.AdamW(params=model.parameters(), lr=config["lr"])
    lr_scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, config["lr"], epochs=config["num_epochs"],
                                                       steps_per_epoch=len(train_dl))
    model, optimizer, train_dl, eval_dl, lr_scheduler = accelerator.prepare(
        model, optimizer, train_dl, eval_dl, lr_scheduler)
    for epoch in range(config["num_epochs"]):
        model.train()
        for pixels, labels in train_dl:
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(pixels), labels)
                accelerator.backward(loss)
                optimizer.step()
                lr_scheduler.step()
                optimizer.zero_grad()
        model.eval()
        accurate = 0
        for pixels, labels in eval_dl:
            with torch.no_grad():
                predictions = model(pixels).argmax(dim=-1)
            predictions, references = accelerator.gather_for_metrics((predictions, labels))
            accurate += (predictions == references).sum()
        accelerator.print(f"epoch {epoch}: {accurate.item() / 64:.2%}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mixed_precision", default="no", choices=["no", "fp16", "bf16", "fp8"])
    parser.add_argument("--gradient_accumulation_steps", type=int, default=1)
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
    training_function({"lr": 3e-4, "num_epochs": 2, "seed": 42, "batch_size": 28}, args)


if __name__ == "__main__":
    main()

"""Fine-tune a (tiny, randomly initialised) ViT with the Hugging Face Trainer; encoder frozen but for its last block."""
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import HfArgumentParser, Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, set_seed


@dataclass
class DataArguments:
    num_train: int = field(default=144)
    num_eval: int = field(default=36)
    image_size: int = field(default=32, metadata={"help": "pixels a side"})
    unfreeze_last: int = field(default=1)


class RandomImages(torch.utils.data.Dataset):
    def __init__(self, n, size, seed):
        gen = torch.Generator().manual_seed(seed)
        self.pixels = torch.randn(n, 3, size, size, generator=gen)
        self.labels = torch.randint(0, 4, (n,), generator=gen)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"pixel_values": self.pixels[i], "labels": self.labels[i]}


def collate_fn(examples):
    return {k: torch.stack([e[k] for e in examples]) for k in ("pixel_values", "labels")}


def compute_metrics(p):
    return {"accuracy": float((np.argmax(p.predictions, axis=1) == p.label_ids).mean())}


def main():
    (data,) = HfArgumentParser(DataArguments).parse_args_into_dataclasses()
    set_seed(13)
    config = ViTConfig(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128, image_size=data.image_size,
                       patch_size=8, num_labels=4, attn_implementation="eager")
    model = ViTForImageClassification(config)
    for name, p in model.named_parameters():
        p.requires_grad = name.startswith("classifier") or "layernorm" in name.split(".")[-2:] or \
            any(f".{config.num_hidden_layers - 1 - i}." in name for i in range(data.unfreeze_last))
    args = TrainingArguments(
        output_dir="vit-out", per_device_train_batch_size=6, per_device_eval_batch_size=12, gradient_accumulation_steps=3,
        num_train_epochs=2, learning_rate=5e-4, lr_scheduler_type="cosine", warmup_steps=2, weight_decay=0.01,
        eval_strategy="epoch", save_strategy="no", logging_steps=4, report_to=[], remove_unused_columns=False, disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = Trainer(
        model=model, args=args, data_collator=collate_fn, compute_metrics=compute_metrics,
        train_dataset=RandomImages(data.num_train, data.image_size, 0), eval_dataset=RandomImages(data.num_eval, data.image_size, 1),
    )
    trainer.train()
    print(trainer.evaluate())


if __name__ == "__main__":
    main()

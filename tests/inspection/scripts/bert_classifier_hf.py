"""Sequence classification with a BERT made from a configuration (no download), plain PyTorch loop, warm-up schedule."""
import logging
import os

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

logging.basicConfig(level=logging.INFO)
log = logging.getLogger(__name__)

NUM_EPOCHS = 2
TRAIN_BATCH = 8
EVAL_BATCH = 16
MAX_LEN = 64
SEED = int(os.environ.get("SEED", 13))


class SentencePairs(Dataset):
    def __init__(self, size):
        g = torch.Generator().manual_seed(SEED)
        self.ids = torch.randint(5, 1000, (size, MAX_LEN), generator=g)
        self.labels = torch.randint(0, 2, (size,), generator=g)

    def __len__(self):
        return self.labels.numel()

    def __getitem__(self, item):
        ids = self.ids[item]
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids),
                "labels": self.labels[item]}


def main():
    torch.manual_seed(SEED)
    config = BertConfig(vocab_size=1000, hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                        intermediate_size=512, max_position_embeddings=MAX_LEN, num_labels=2)
    model = BertForSequenceClassification(config)
    train = DataLoader(SentencePairs(120), shuffle=True, batch_size=TRAIN_BATCH)
    dev = DataLoader(SentencePairs(48), batch_size=EVAL_BATCH)
    no_decay = ["bias", "LayerNorm.weight"]
    groups = [
        {"params": [p for n, p in model.named_parameters() if not any(nd in n for nd in no_decay)], "weight_decay": 0.01},
        {"params": [p for n, p in model.named_parameters() if any(nd in n for nd in no_decay)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=2e-5, eps=1e-8)
    total = len(train) * NUM_EPOCHS
    scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=int(0.1 * total), num_training_steps=total)
    for epoch in range(NUM_EPOCHS):
        model.train()
        for batch in train:
            outputs = model(**batch)
            outputs.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        model.eval()
        correct = 0
        for batch in dev:
            with torch.no_grad():
                correct += (model(**batch).logits.argmax(-1) == batch["labels"]).sum().item()
        log.info("epoch %d accuracy %.3f", epoch, correct / 48)


if __name__ == "__main__":
    main()

import torch
from transformers import (DataCollatorWithPadding, DistilBertConfig, DistilBertForMaskedLM, Trainer, TrainerCallback,
                          TrainingArguments)


class LossLog(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kw):
        if state.is_world_process_zero and logs:
            print({k: round(v, 4) for k, v in logs.items() if isinstance(v, float)})


class FocalTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kw):
        labels = inputs.pop("labels")
        out = model(**inputs)
        ce = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=-100)
        loss = ((1 - torch.exp(-ce)) ** 2 * ce).mean()
        return (loss, out) if return_outputs else loss


def collate(rows):
    ids = torch.stack([r["input_ids"] for r in rows])
    labels = ids.clone()
    mask = torch.rand(ids.shape) < 0.15
    labels[~mask] = -100
    return {"input_ids": ids.masked_fill(mask, 3), "attention_mask": torch.ones_like(ids), "labels": labels}


if __name__ == "__main__":
    torch.manual_seed(0)
    rows = [{"input_ids": torch.randint(5, 300, (24,))} for _ in range(100)]
    cfg = DistilBertConfig(vocab_size=300, dim=48, n_heads=4, n_layers=2, hidden_dim=96, max_position_embeddings=24)
    targs = TrainingArguments(output_dir="mlm", max_steps=20, per_device_train_batch_size=5, learning_rate=1e-3,
                              eval_strategy="steps", eval_steps=10, per_device_eval_batch_size=10, logging_steps=10,
                              save_strategy="no", report_to=[], optim="adafactor", lr_scheduler_type="cosine",
                              warmup_steps=4, remove_unused_columns=False, disable_tqdm=True)
    FocalTrainer(DistilBertForMaskedLM(cfg), targs, data_collator=collate, train_dataset=rows[:80], eval_dataset=rows[80:],
                 callbacks=[LossLog()]).train()

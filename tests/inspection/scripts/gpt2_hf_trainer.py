import os
from dataclasses import dataclass, field

import torch
from transformers import GPT2Config, GPT2LMHeadModel, HfArgumentParser, Trainer, TrainingArguments, default_data_collator


@dataclass
class ModelArguments:
    n_embd: int = field(default=64, metadata={"help": "width"})
    n_layer: int = field(default=2)
    n_head: int = field(default=4)


@dataclass
class DataArguments:
    block_size: int = field(default=32)
    train_blocks: int = field(default=96)
    eval_blocks: int = field(default=24)


class Blocks(torch.utils.data.Dataset):
    def __init__(self, n, block_size, vocab):
        self.data = torch.randint(0, vocab, (n, block_size))

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        return {"input_ids": self.data[i], "labels": self.data[i]}


def main():
    parser = HfArgumentParser((ModelArguments, DataArguments, TrainingArguments))
    model_args, data_args, training_args = parser.parse_args_into_dataclasses()
    config = GPT2Config(vocab_size=500, n_positions=data_args.block_size, n_embd=model_args.n_embd,
                        n_layer=model_args.n_layer, n_head=model_args.n_head)
    model = GPT2LMHeadModel(config)
    trainer = Trainer(
        model=model,
        args=training_args,
        train_dataset=Blocks(data_args.train_blocks, data_args.block_size, 500),
        eval_dataset=Blocks(data_args.eval_blocks, data_args.block_size, 500),
        data_collator=default_data_collator,
    )
    trainer.train()
    metrics = trainer.evaluate()
    print(metrics)
    trainer.save_model(os.path.join(training_args.output_dir, "final"))


if __name__ == "__main__":
    main()

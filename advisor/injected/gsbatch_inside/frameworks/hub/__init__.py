"""What scripts take from the Hugging Face hub: metrics, data sets, tokenizers."""

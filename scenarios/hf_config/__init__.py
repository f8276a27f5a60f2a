"""Models from the `config.json` of a Hugging Face checkpoint, one family a file."""

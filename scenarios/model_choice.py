"""What `--model` takes: a name, a TOML file, a `config.json` or the folder of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.errors import UnknownNameError
from scenarios.hf_config.read import read_hf_config
from scenarios.model_file import known_models, load_model, read_model
from scenarios.text_file import is_there

if TYPE_CHECKING:
    from scenarios.model import Model


def choose_model(text: str) -> Model:
    """The model that a text names; a known name goes before a file of that name.

    Raises:
        UserError: Neither a known model nor a file, or a file that is malformed.
    """
    if text in known_models():
        return load_model(text)
    path = Path(text)
    if path.suffix == ".toml" and is_there(text):
        return read_model(path)
    if is_there(text) or path.suffix == ".json":
        return read_hf_config(path)
    raise UnknownNameError("model", text, known_models())

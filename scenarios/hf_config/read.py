"""A `config.json`, or the folder of a checkpoint, becomes a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.catalogue import Provenance
from scenarios.errors import UnknownNameError, UserError
from scenarios.hf_config.config import Config
from scenarios.hf_config.family import known_families
from scenarios.hf_config.quantization import quantization_of
from scenarios.model import Body, Dtypes, Model

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.hf_config.family import Parts

FILE_NAME = "config.json"
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_TEXT_PARTS = ("text_config", "language_config", "llm_config")


def read_hf_config(path: Path) -> Model:
    """Read the config of a checkpoint; of a multimodal one, the language model.

    Args:
        path: The file, or a folder that holds a `config.json`.

    Raises:
        UserError: There is none, it is malformed or contradicts itself, or its architecture is
            not known; the message names the field.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.exists():
        raise UserError(f"{path} holds no {FILE_NAME}" if path.is_dir() else f"{path} is not there")
    config = _language_part(Config.load(file))
    kind = config.text("model_type")
    families = known_families()
    if kind not in families:
        error = UnknownNameError("architecture", kind, families)
        raise UserError(f"{file}: model_type names an {error}")
    parts = families[kind]().parts(config)
    if not parts.attention and parts.state is None:
        raise config.fault("num_hidden_layers", "leaves no layer that keeps a cache")
    return _model(config, parts, _name(path, config))


def _language_part(config: Config) -> Config:
    """The part that describes the language model; what only the whole says is passed on to it."""
    for key in _TEXT_PARTS:
        part = config.part(key)
        if part is not None:
            shared = ["dtype", "torch_dtype", "tie_word_embeddings", "_name_or_path"]
            shared.append("quantization_config")
            passed = {name: config.values[name] for name in shared if name in config.values}
            return Config(config.file, {**passed, **part.values})
    return config


def _model(config: Config, parts: Parts, name: str) -> Model:
    weights = _weights_dtype(config)
    body = Body(
        checkpoint=name,
        hidden_size=config.count("hidden_size"),
        vocab_size=config.count("vocab_size"),
        tied_embeddings=config.flag("tie_word_embeddings", default=parts.tied_embeddings),
        parallel=parts.parallel,
        sandwich_norms=parts.sandwich_norms,
        mtp_layers=parts.mtp_layers,
        max_position=config.count(
            "max_position_embeddings", "model_max_length", default=0, least=0
        ),
        quantization=quantization_of(config),
    )
    return Model(
        name=name,
        body=body,
        dtypes=Dtypes(weights, weights, parts.recurrent_state or weights),
        attention=parts.attention,
        state=parts.state,
        mlp=parts.mlp,
        moe=parts.moe,
        shared_block=parts.shared_block,
        published=None,
        provenance=(Provenance("config.json", str(config.file), "as the file says"),),
    )


def _weights_dtype(config: Config) -> str:
    """The type that the model computes in, whatever its weights are quantised to."""
    dtype = config.text("dtype", "torch_dtype", default="bfloat16").removeprefix("torch.")
    if dtype == "auto":
        dtype = "bfloat16"
    if dtype not in _DTYPES:
        raise config.fault("torch_dtype", f"is {dtype!r}: use one of {', '.join(_DTYPES)}")
    return _DTYPES[dtype]


def _name(path: Path, config: Config) -> str:
    """The checkpoint's own name if the config gives it, else that of its folder."""
    given = config.text("_name_or_path").rstrip("/").rpartition("/")[2]
    folder = path if path.is_dir() else path.parent
    return given or folder.resolve().name

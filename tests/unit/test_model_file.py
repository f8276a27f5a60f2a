from pathlib import Path

import pytest

import scenarios.model
from scenarios.errors import UserError
from scenarios.model_file import load_model, read_model

BAMBA = Path(scenarios.model.__file__).parent / "models" / "bamba-9b.toml"


def altered(folder: Path, old: str, new: str) -> Path:
    text = BAMBA.read_text(encoding="utf-8")
    assert old in text
    file = folder / "mine.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def test_a_file_anywhere_is_a_model_named_after_it(tmp_path: Path) -> None:
    model = read_model(altered(tmp_path, "layers = 3\n", "layers = 4\n"))
    assert (model.name, model.attention_layers) == ("mine", 4)
    assert model.dtypes == load_model("bamba-9b").dtypes


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("kv_heads = 8\n", "", r"\[attention\] kv_heads is missing: give a positive whole"),
        ("kv_heads = 8", 'kv_heads = "8"', r"kv_heads must be a positive whole number, not '8'"),
        ("kv_heads = 8", "kv_heads = true", r"kv_heads must be a positive whole number, not True"),
        ("kv_heads = 8", "kv_heads = 0", r"kv_heads must be a positive whole number, not 0"),
        ("kv_heads = 8", "kv_haeds = 8", r"\[attention\] kv_haeds is not known here: use head_dim"),
        ("gated = true", "gated = 1", r"\[mlp\] gated must be true or false, not 1"),
        ('kv = "bf16"', 'kv = "int3"', r"\[dtypes\] kv must be one of bf16, fp16, fp8"),
        ('checkpoint = "Bamba-9B"', 'checkpoint = ""', r"checkpoint must be a text"),
        ("[attention]", "[attentoin]", r"the table \[attentoin\] is not known: use attention"),
        ("[mlp]", "[gdn]", r"keep one of the tables mamba2, gdn"),
        ("[model]", "answer = 42\n[model]", r"answer must stand in a table"),
        ("[model]", "[model", r"is not valid TOML"),
        ('verification = "verified: vLLM source read"', "", r"\[dtypes\] verification is missing"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(UserError, match=rf"mine\.toml.*{complaint}"):
        read_model(altered(tmp_path, old, new))


def test_a_file_that_cannot_be_read_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_model(tmp_path / "absent.toml")

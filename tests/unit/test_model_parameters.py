import pytest

from scenarios.model_file import known_models, load_model

# name: (computed total, computed active, published total, published active)
COUNTS = {
    "bamba-9b": (9_780_235_392, 9_780_235_392, 9.78e9, 9.78e9),
    "falcon-h1-7b": (7_585_513_568, 7_585_513_568, 7.59e9, 7.59e9),
    "granite-4.0-h-tiny": (6_939_037_248, 1_465_470_528, 7e9, 1e9),
    "jamba-1.5-mini": (51_570_323_328, 12_110_311_296, 52e9, 12e9),
    "llama-3.1-8b": (8_030_261_248, 8_030_261_248, 8_030_261_248, 8_030_261_248),
    "nemotron-3-nano-30b-a3b": (31_577_937_344, 3_580_073_408, 31.6e9, 3.6e9),
    "nemotron-h-8b": (8_100_852_736, 8_100_852_736, 8.1e9, 8.1e9),
    "qwen3.5-9b": (8_953_803_264, 8_953_803_264, 9e9, 9e9),
    "zamba2-7b": (7_356_749_648, 7_356_749_648, 7_356_749_648, 7_356_749_648),
}


def test_the_counts_cover_every_model() -> None:
    assert set(COUNTS) == set(known_models())


@pytest.mark.parametrize("name", known_models())
def test_the_formula_meets_the_published_counts(name: str) -> None:
    model = load_model(name)
    total, active, published_total, published_active = COUNTS[name]
    assert (model.total_parameters, model.active_parameters) == (total, active)
    assert (model.published.total, model.published.active) == (published_total, published_active)
    assert total == pytest.approx(published_total, rel=0.01)
    if name == "granite-4.0-h-tiny":  # published as "1 B active", rounded to 1 B
        assert round(active / 1e9) == published_active / 1e9
    else:
        assert active == pytest.approx(published_active, rel=0.01)


@pytest.mark.parametrize("name", sorted(set(known_models()) - {"zamba2-7b"}))
def test_dense_routed_and_looked_up_weights_make_the_whole(name: str) -> None:
    model = load_model(name)
    lookup = 0 if model.body.tied_embeddings else model.embedding_parameters
    whole = model.dense_parameters + model.expert_parameters + lookup
    assert whole == model.total_parameters


def test_a_shared_block_is_stored_once_and_multiplied_at_every_use() -> None:
    model = load_model("zamba2-7b")
    assert model.shared_block is not None
    assert model.mlp is not None
    hidden = model.body.hidden_size
    block = model.attention[0].parameters(hidden) + model.mlp.parameters(hidden)
    again = model.attention_layers - model.shared_block.blocks
    assert model.dense_parameters - model.total_parameters == again * block


def test_routed_experts() -> None:
    model = load_model("jamba-1.5-mini")
    assert (model.num_experts, model.experts_per_token) == (16, 2)
    assert model.expert_parameters == 16 * 16 * 3 * 4096 * 14336
    dense = load_model("llama-3.1-8b")
    assert (dense.num_experts, dense.experts_per_token, dense.expert_parameters) == (0, 0, 0)


def test_weight_bytes_are_an_even_share_rounded_up() -> None:
    model = load_model("llama-3.1-8b")
    assert model.weight_bytes() == 2 * 8_030_261_248
    assert model.weight_bytes(tp=4) == 8_030_261_248 // 2


def test_flops_follow_the_shapes() -> None:
    llama = load_model("llama-3.1-8b")
    assert llama.attention_flops_per_token_pair == 4 * 32 * 128 * 32
    assert llama.state_flops_per_token == 0
    assert load_model("bamba-9b").state_flops_per_token == 29 * 6 * 8192 * 128
    assert load_model("jamba-1.5-mini").state_flops_per_token == 28 * 8 * 8192 * 16
    assert load_model("qwen3.5-9b").state_flops_per_token == 24 * 8 * 32 * 128 * 128


def test_lm_head_counts_once_tied_or_not() -> None:
    tied = load_model("granite-4.0-h-tiny")
    assert tied.lm_head_parameters == 100352 * 1536
    assert tied.dense_parameters + tied.expert_parameters == tied.total_parameters

import pytest

from scenarios.model_file import known_models, load_model

# name: (computed total, computed active)
COUNTS = {
    "bamba-9b": (9_780_235_392, 9_780_235_392),
    "falcon-h1-0.5b": (521_411_104, 521_411_104),
    "falcon-h1-1.5b": (1_554_789_760, 1_554_789_760),
    "falcon-h1-1.5b-deep": (1_554_773_392, 1_554_773_392),
    "falcon-h1-34b": (33_642_221_312, 33_642_221_312),
    "falcon-h1-3b": (3_149_256_192, 3_149_256_192),
    "falcon-h1-7b": (7_585_513_568, 7_585_513_568),
    "gemma-3-12b": (11_766_034_176, 11_766_034_176),
    "gemma-3-27b": (27_009_346_304, 27_009_346_304),
    "gemma-3-4b": (3_880_263_168, 3_880_263_168),
    "gpt-oss-120b": (116_829_156_672, 5_711_982_912),
    "gpt-oss-20b": (20_914_757_184, 4_187_440_704),
    "granite-4.0-h-1b": (1_461_538_368, 1_461_538_368),
    "granite-4.0-h-micro": (3_191_396_096, 3_191_396_096),
    "granite-4.0-h-small": (32_207_337_984, 8_803_121_664),
    "granite-4.0-h-tiny": (6_939_037_248, 1_465_470_528),
    "jamba-1.5-large": (398_555_145_696, 94_149_338_592),
    "jamba-1.5-mini": (51_570_323_328, 12_110_311_296),
    "jamba-v0.1": (51_570_323_328, 12_110_311_296),
    "kimi-linear-48b-a3b": (49_122_675_072, 3_484_453_248),
    "lfm2-1.2b": (1_170_340_608, 1_170_340_608),
    "lfm2-2.6b": (2_569_272_320, 2_569_272_320),
    "lfm2-350m": (354_483_968, 354_483_968),
    "lfm2-700m": (742_489_344, 742_489_344),
    "lfm2-8b-a1b": (8_339_929_856, 1_557_740_288),
    "llama-3.1-8b": (8_030_261_248, 8_030_261_248),
    "mamba-2.8b": (2_768_345_600, 2_768_345_600),
    "mamba-codestral-7b-v0.1": (7_285_403_648, 7_285_403_648),
    "mamba2-2.7b": (2_702_599_680, 2_702_599_680),
    "minimax-text-01": (456_089_655_296, 48_403_306_496),
    "nemotron-3-nano-30b-a3b": (31_577_937_344, 3_580_073_408),
    "nemotron-3-super-120b-a12b": (120_668_687_360, 12_770_216_960),
    "nemotron-h-47b": (46_856_446_976, 46_856_446_976),
    "nemotron-h-56b": (56_324_350_464, 56_324_350_464),
    "nemotron-h-8b": (8_100_852_736, 8_100_852_736),
    "nemotron-nano-12b-v2": (12_310_001_152, 12_310_001_152),
    "nemotron-nano-9b-v2": (8_888_227_328, 8_888_227_328),
    "qwen3-8b": (8_190_735_360, 8_190_735_360),
    "qwen3-next-80b-a3b": (79_674_391_296, 3_874_929_408),
    "qwen3.5-0.8b": (752_393_024, 752_393_024),
    "qwen3.5-122b-a10b": (122_111_526_912, 9_771_288_576),
    "qwen3.5-27b": (26_895_998_464, 26_895_998_464),
    "qwen3.5-2b": (1_881_825_088, 1_881_825_088),
    "qwen3.5-35b-a3b": (34_660_610_688, 3_454_988_928),
    "qwen3.5-397b-a17b": (396_346_350_336, 17_349_040_896),
    "qwen3.5-4b": (4_205_751_296, 4_205_751_296),
    "qwen3.5-9b": (8_953_803_264, 8_953_803_264),
    "qwen3.6-27b": (26_895_998_464, 26_895_998_464),
    "qwen3.6-35b-a3b": (34_660_610_688, 3_454_988_928),
    "qwen3.8-27b": (26_895_998_464, 26_895_998_464),
    "recurrentgemma-2b": (2_682_862_080, 2_682_862_080),
    "recurrentgemma-9b": (8_579_977_216, 8_579_977_216),
    "zamba2-2.7b": (2_662_214_560, 2_662_214_560),
    "zamba2-7b": (7_356_749_648, 7_356_749_648),
}

NAMED_ONLY = {
    "qwen3.5-0.8b",
    "qwen3.5-2b",
    "qwen3.5-4b",
    "recurrentgemma-9b",
    "kimi-linear-48b-a3b",
}
"""Models of which nothing is published but a name, rounded to one or two digits."""

ACTIVE_OTHERWISE = {
    "gpt-oss-20b": "published without the input embedding",
    "gpt-oss-120b": "published without the input embedding",
    "minimax-text-01": "published without the embeddings",
    "nemotron-3-super-120b-a12b": "published without the input embedding, rounded to 1 B",
    "granite-4.0-h-tiny": "published as 1 B, rounded",
    "granite-4.0-h-small": "published as 9 B, rounded",
    "kimi-linear-48b-a3b": "published as 3 B, rounded",
    "lfm2-8b-a1b": "published as 1.5 B, rounded",
    "qwen3-next-80b-a3b": "published as 3 B, without the embeddings",
    "qwen3.5-35b-a3b": "published as 3 B, without the input embedding",
    "qwen3.6-35b-a3b": "published as 3 B, without the input embedding",
    "qwen3.5-122b-a10b": "published as 10 B, rounded",
    "qwen3.5-397b-a17b": "published as 17 B, rounded",
}


def test_the_counts_cover_every_model() -> None:
    assert set(COUNTS) == set(known_models())


@pytest.mark.parametrize("name", known_models())
def test_the_formula_meets_the_published_counts(name: str) -> None:
    model = load_model(name)
    assert (model.total_parameters, model.active_parameters) == COUNTS[name]
    published = model.published
    assert published is not None
    tolerance = 0.065 if name in NAMED_ONLY else 0.03
    assert model.total_parameters == pytest.approx(published.total, rel=tolerance)
    if name not in ACTIVE_OTHERWISE:
        assert model.active_parameters == pytest.approx(published.active, rel=tolerance)


@pytest.mark.parametrize("name", sorted(ACTIVE_OTHERWISE))
def test_rounded_or_narrower_active_counts_agree_as_they_are_meant(name: str) -> None:
    model = load_model(name)
    assert model.published is not None
    active, published = model.active_parameters, model.published.active
    if "embedding" in ACTIVE_OTHERWISE[name]:
        held = 1 if "input" in ACTIVE_OTHERWISE[name] else 2
        active -= held * model.embedding_parameters
    assert abs(active - published) <= 0.055 * published or round(active / 1e9) == published / 1e9


@pytest.mark.parametrize(
    "name", sorted(n for n in known_models() if load_model(n).shared_block is None)
)
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

import pytest

from allocator.spec import (
    CacheGroup,
    CacheKind,
    CacheSpec,
    Granularity,
    PageShape,
    align_up,
    ceil_div,
)

KV = CacheGroup("kv", CacheKind.ATTENTION, 4, 100)
SSM = CacheGroup("ssm", CacheKind.STATE, 3, 1000)


@pytest.mark.parametrize(
    ("group", "granularity", "page_bytes", "pages"),
    [
        (KV, Granularity.LAYER, 1600, 4),
        (KV, Granularity.GROUP, 6400, 1),
        (SSM, Granularity.LAYER, 1008, 3),  # 1,000 bytes up to a multiple of 16
        (SSM, Granularity.GROUP, 3008, 1),
    ],
)
def test_a_group_is_cut_by_layer_or_whole(
    group: CacheGroup, granularity: Granularity, page_bytes: int, pages: int
) -> None:
    assert PageShape.of(group, 16, granularity) == PageShape(page_bytes, pages)


@pytest.mark.parametrize("layer_bytes", [1, 15, 16, 17, 4096, 12345])
@pytest.mark.parametrize("granularity", Granularity)
def test_pages_are_16_byte_aligned_and_no_larger_than_that_takes(
    layer_bytes: int, granularity: Granularity
) -> None:
    for kind in CacheKind:
        group = CacheGroup("g", kind, 3, layer_bytes)
        shape = PageShape.of(group, 4, granularity)
        tokens = 4 if kind is CacheKind.ATTENTION else 1
        assert shape.page_bytes % 16 == 0
        spare = shape.page_bytes * shape.pages_per_block - group.size_bytes * tokens
        assert 0 <= spare < 16 * shape.pages_per_block


def test_a_model_needs_the_sum_of_its_groups() -> None:
    local = CacheGroup("local", CacheKind.ATTENTION, 2, 30)
    spec = CacheSpec((SSM, KV, local))
    assert spec.bytes_per_token() == 4 * 100 + 2 * 30
    assert spec.bytes_per_sequence() == 3000
    assert spec.kinds() == (CacheKind.ATTENTION, CacheKind.STATE)
    assert CacheSpec((SSM,)).kinds() == (CacheKind.STATE,)
    assert CacheSpec((SSM,)).bytes_per_token() == 0


@pytest.mark.parametrize(("num_layers", "layer_bytes"), [(0, 8), (8, 0), (-1, 8)])
def test_a_group_has_layers_and_bytes(num_layers: int, layer_bytes: int) -> None:
    with pytest.raises(ValueError, match="layers and bytes above zero"):
        CacheGroup("kv", CacheKind.ATTENTION, num_layers, layer_bytes)


def test_a_spec_has_groups_with_names_of_their_own_and_tokens() -> None:
    with pytest.raises(ValueError, match="a group and at least one token"):
        CacheSpec(())
    with pytest.raises(ValueError, match="a group and at least one token"):
        CacheSpec((KV,), page_tokens=0)
    with pytest.raises(ValueError, match="names of their own"):
        CacheSpec((KV, KV))


@pytest.mark.parametrize(
    ("amount", "expected"), [(0, 0), (1, 1), (16, 1), (17, 2), (10**18 + 1, 625 * 10**14 + 1)]
)
def test_rounding_up_is_exact(amount: int, expected: int) -> None:
    assert ceil_div(amount, 16) == expected
    assert align_up(amount, 16) == expected * 16

"""The matrix product in C against numpy in more digits, for every instruction set here."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_kernels import DTYPES, ISAS, LAYOUTS, Array, _as_before, awkward, draw, native  # noqa: F401

# Around each tile (6 or 12 rows, up to 32 columns, 128 in a wide one), block (120, 256, 1024), and
# what reads b in place (8 rows) or in one panel after another (64).
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 24, 25, 31, 32, 33, 64, 65, 119, 121, 129]
ROWS = st.sampled_from(SIZES)
DEPTHS = st.sampled_from([0, 1, 2, 7, 8, 15, 16, 17, 33, 64, 255, 256, 257, 300, 513])


def product(a: Array, b: Array) -> tuple[Array, Array]:
    """a @ b in more digits, and how far from it a correct sum may be."""
    fine = np.float64 if a.dtype == np.float32 else np.longdouble
    bound = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    eps = np.finfo(a.dtype).eps
    return a.astype(fine) @ b.astype(fine), eps * (a.shape[-1] + 2) * bound + 1e-300


def check(a: Array, b: Array) -> None:
    wanted, bound = product(a, b)
    for isa in ISAS:
        native.select_isa(isa)
        y = native.matmul(a, b)
        assert y.shape == wanted.shape
        assert y.dtype == a.dtype.newbyteorder("=")
        assert np.all(np.abs(y - wanted) <= bound), (isa, a.shape, b.shape, a.strides, b.strides)


@given(
    ROWS, ROWS, DEPTHS, st.sampled_from(DTYPES), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS)
)
@example(12, 32, 256, np.float32, "plain", "plain")
@example(1, 129, 33, np.float32, "plain", "transposed")
@example(129, 1, 33, np.float64, "transposed", "plain")
@example(129, 1, 33, np.float64, "plain", "strided")
def test_matmul(m: int, n: int, k: int, dtype: type, how_a: str, how_b: str) -> None:
    check(awkward(draw((m, k), dtype), how_a), awkward(draw((k, n), dtype, 1), how_b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul_larger_than_its_blocks(dtype: type) -> None:
    for m, n, k in (
        (130, 70, 520),
        (7, 1100, 260),
        (250, 1040, 20),
        (1, 2100, 300),
        (1030, 1, 300),
        (9, 1100, 520),
        (64, 530, 300),
    ):
        check(draw((m, k), dtype), draw((n, k), dtype, 1).T)
        check(draw((k, m), dtype).T, draw((k, n), dtype, 1))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("how", ["plain", "transposed"])
def test_matmul_rows_do_not_depend_on_how_many(isa: str, dtype: type, how: str) -> None:
    """Few rows read b in place or in one panel after another, many in a block: the same bits."""
    native.select_isa(isa)
    a, b = awkward(draw((200, 520), dtype), how), draw((520, 333), dtype, 1)
    whole = native.matmul(a, b)
    for m in (1, 3, 5, 8, 9, 16, 64, 65, 130):
        np.testing.assert_array_equal(native.matmul(a[:m], b), whole[:m], err_msg=f"{m} rows")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_product_begins_with_a_cache_line(dtype: type) -> None:
    for n in (512, 513):
        y = native.matmul(draw((512, 3), dtype), draw((3, n), dtype, 1))
        assert y.ctypes.data % 64 == 0
        assert y.flags.c_contiguous
        assert y.flags.writeable
        assert y.base.nbytes == y.nbytes + 64


sizes = st.integers(0, 3)


@given(st.lists(sizes, max_size=3), st.data(), sizes, sizes, sizes, st.sampled_from(DTYPES))
def test_matmul_batches(
    batch: list[int], data: st.DataObject, m: int, n: int, k: int, dtype: type
) -> None:
    """Leading axes that broadcast, are missing, permuted, or empty."""

    def operand(rows: int, columns: int, seed: int) -> Array:
        lead = [data.draw(st.sampled_from([1, size])) for size in batch]
        lead = lead[data.draw(st.integers(0, len(lead))) :]
        x = draw((*lead, rows, columns), dtype, seed)
        axes = data.draw(st.permutations(range(x.ndim)))
        return np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))

    check(operand(m, k, 0), operand(k, n, 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul_batches_of_many_matrices(dtype: type) -> None:
    check(draw((50, 20, 30), dtype), draw((50, 30, 40), dtype, 1))
    check(draw((5, 10, 20, 30), dtype), draw((30, 40), dtype, 1))
    check(draw((3, 200, 150), dtype), draw((3, 100, 150), dtype, 1).swapaxes(1, 2))
    heads = draw((4, 9, 3, 8), dtype).transpose(0, 2, 1, 3)  # attention: (B, heads, T, d)
    check(heads, heads.swapaxes(-1, -2))
    check(draw((6, 1, 5), dtype)[:, :1], draw((5, 2), dtype, 1))
    check(draw((6, 5), dtype)[:, None, :], draw((5, 2), dtype, 1))


def test_matmul_other_inputs() -> None:
    a, b = draw((3, 4), np.float32), draw((4, 5), np.float64, 1)
    assert native.matmul(a, b).dtype == np.float64
    assert native.matmul(np.ones((2, 2), int), np.ones((2, 2), int)).dtype == np.int64
    assert native.matmul(a, np.ones((4, 2), np.complex64)).dtype == np.complex64
    assert native.matmul(a.astype(np.float16), b.astype(np.float16)).dtype == np.float16
    for shapes in (
        ((4,), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (4,)),
    ):
        x, y = (draw(shape, np.float64) for shape in shapes)
        np.testing.assert_allclose(native.matmul(x, y), np.matmul(x, y), rtol=1e-12)
        assert native.matmul(x, y).shape == np.matmul(x, y).shape
    with pytest.raises(ValueError, match="b has size 3 on axis -2, expected 4"):
        native.matmul(a, np.ones((3, 5), np.float32))
    with pytest.raises(ValueError, match=r"leading axes do not broadcast: \(2, 3, 4\)"):
        native.matmul(np.ones((2, 3, 4)), np.ones((3, 4, 5)))
    with pytest.raises(ValueError, match="at least one axis"):
        native.matmul(np.float32(2), a)
    giant = np.broadcast_to(np.float32(1), (2**40, 1))
    with pytest.raises((ValueError, MemoryError)):
        native.matmul(giant, giant.T)


def test_matmul_passes_on_infinities_and_nan() -> None:
    a, b = np.ones((7, 9), np.float32), np.ones((9, 40), np.float32)
    a[2, 3], b[4, 5] = np.inf, np.nan
    y = native.matmul(a, b)
    assert np.isnan(y[:, 5]).all()
    assert np.isinf(np.delete(y, 5, axis=1)[2]).all()
    assert np.isfinite(np.delete(np.delete(y, 5, axis=1), 2, axis=0)).all()

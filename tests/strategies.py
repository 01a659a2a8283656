"""What Hypothesis draws: shapes, arrays, axes, and the same array laid out differently in memory.

Elements lie on a grid of sixteenths: so that ties and zeros are common, and nothing is so small
that differences drown in it.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

LAYOUTS = ("rows", "columns", "every second", "backwards", "one for all")


def shapes(min_dims=0, max_dims=3, min_side=0, max_side=3):
    return nps.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )


def elements(low=-3.0, high=3.0):
    return st.integers(int(np.ceil(low * 16)), int(np.floor(high * 16))).map(lambda i: i / 16)


def arrays(shape, low=-3.0, high=3.0):
    return nps.arrays(np.float64, shape, elements=elements(low, high))


def laid_out(array, layout):
    """The same elements at other places in memory."""
    if layout == "columns":
        return np.array(array, order="F")
    if layout == "every second" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if layout == "backwards" and array.ndim:
        return array[::-1].copy()[::-1]
    if layout == "one for all" and array.size and (array == array.flat[0]).all():
        return np.broadcast_to(array.flat[0], array.shape)
    return array


@st.composite
def one(draw, low=-3.0, high=3.0, min_dims=0, min_side=0, max_dims=3):
    """(x,)"""
    shape = draw(shapes(min_dims, max_dims, min_side))
    return (draw(arrays(shape, low, high)),)


@st.composite
def broadcast(draw, *bounds, min_side=0):
    """Arrays that broadcast, one per (low, high)."""
    found = draw(
        nps.mutually_broadcastable_shapes(
            num_shapes=len(bounds), max_dims=3, min_side=min_side, max_side=3
        )
    )
    return tuple(draw(arrays(s, *b)) for s, b in zip(found.input_shapes, bounds, strict=True))


@st.composite
def same(draw, *bounds, min_dims=0, min_side=0):
    """Arrays of one shape, one per (low, high)."""
    shape = draw(shapes(min_dims, 3, min_side))
    return tuple(draw(arrays(shape, *b)) for b in bounds)


@st.composite
def with_axis(draw, *more, low=-3.0, high=3.0, min_side=0, min_dims=1):
    """(x, axis, ...): a legal axis, from either end, then one of each of `more`."""
    shape = draw(shapes(min_dims, 3, min_side))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return (draw(arrays(shape, low, high)), axis, *(draw(s) for s in more))


@st.composite
def with_axes(draw, low=-3.0, high=3.0, min_side=0):
    """(x, axes, keepdim): None, one axis or several, from either end."""
    shape = draw(shapes(0, 3, min_side))
    x = draw(arrays(shape, low, high))
    kinds = [st.none()]
    if shape:
        kinds += [
            st.integers(-len(shape), len(shape) - 1),
            nps.valid_tuple_axes(len(shape), min_size=1),
        ]
    return x, draw(st.one_of(kinds)), draw(st.booleans())


@st.composite
def matrices(draw):
    """(a, b) that matmul takes: vectors, matrices, stacks of them."""
    found = draw(
        nps.mutually_broadcastable_shapes(
            signature="(m?,k),(k,n?)->(m?,n?)", max_dims=2, min_side=0, max_side=3
        )
    )
    return tuple(draw(arrays(s)) for s in found.input_shapes)


@st.composite
def indexed(draw):
    """(x, index): ints, slices, None, Ellipsis, or integer arrays that repeat, or a mask."""
    shape = draw(shapes(1, 3, 1))
    basic = nps.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
    advanced = nps.integer_array_indices(shape, result_shape=shapes(0, 2, 1))
    first = nps.arrays(np.int64, shapes(1, 2, 0), elements=st.integers(-shape[0], shape[0] - 1))
    mask = nps.arrays(np.bool_, shape[: draw(st.integers(1, len(shape)))])
    return draw(arrays(shape)), draw(st.one_of(basic, advanced, first, mask))


@st.composite
def gathered(draw):
    """(x, dim, index) as gather wants them: the index shorter or equal on the other axes."""
    shape = draw(shapes(1, 3, 1))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    sizes = [draw(st.integers(0, n)) for n in shape]
    sizes[dim] = draw(st.integers(0, 3))
    index = nps.arrays(np.int64, tuple(sizes), elements=st.integers(0, shape[dim] - 1))
    return draw(arrays(shape)), dim, draw(index)

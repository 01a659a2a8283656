"""Sequences of different lengths: packing and padding against each other, windows, buckets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.nn.sequence import bucketed, last_step, length_mask, windows
from minigrad.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)


def test_the_order_of_packed_data():
    packed = pack_sequence([mg.tensor([1, 2, 3]), mg.tensor([4, 5])])
    assert packed.data.tolist() == [1, 4, 2, 5, 3]
    assert packed.batch_sizes.tolist() == [2, 2, 1]
    assert packed.sorted_indices is None
    unsorted = pack_sequence([mg.tensor([4, 5]), mg.tensor([1, 2, 3])], enforce_sorted=False)
    assert unsorted.data.tolist() == [1, 4, 2, 5, 3]
    assert unsorted.sorted_indices.tolist() == [1, 0]
    assert unsorted.unsorted_indices.tolist() == [1, 0]


@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    batch_first=st.booleans(),
    features=st.sampled_from([(), (2,), (2, 3)]),
    extra=st.integers(0, 2),
    value=st.sampled_from([0.0, -1.5, np.nan]),
)
def test_there_and_back(lengths, batch_first, features, extra, value):
    rng = np.random.default_rng(0)
    sequences = [mg.tensor(rng.standard_normal((n, *features))) for n in lengths]
    T, B = max(lengths), len(lengths)
    packed = pack_sequence(sequences, enforce_sorted=False)
    for a, b in zip(unpack_sequence(packed), sequences, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    padded, sizes = pad_packed_sequence(packed, batch_first, value, T + extra)
    assert sizes.tolist() == lengths
    assert padded.shape == ((B, T + extra) if batch_first else (T + extra, B)) + features
    wanted = pad_sequence(sequences, batch_first, value)
    axis = 1 if batch_first else 0
    np.testing.assert_array_equal(np.take(padded.data, range(T), axis), wanted.data)
    assert all(np.isnan(a) if np.isnan(value) else a == value
                  for a in np.take(padded.data, range(T, T + extra), axis).flat)  # fmt: skip
    for a, b in zip(unpad_sequence(padded, lengths, batch_first), sequences, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    again = pack_padded_sequence(padded, lengths, batch_first, enforce_sorted=False)
    np.testing.assert_array_equal(again.data.data, packed.data.data)


def test_gradients_pass_and_padding_gets_none():
    x = mg.tensor(np.full((3, 2, 1), np.nan), requires_grad=True)
    with mg.no_grad():
        x[:2, 0] = 1.0
        x[:, 1] = 2.0
    packed = pack_padded_sequence(x, [2, 3], enforce_sorted=False)
    padded, _ = pad_packed_sequence(packed, padding_value=7.0)
    assert padded.data[2, 0] == 7.0
    (padded**2).sum().backward()
    assert x.grad.data[..., 0].tolist() == [[2, 4], [2, 4], [0, 4]]


def test_left_padding():
    padded = pad_sequence([mg.tensor([1]), mg.tensor([2, 3])], True, 9, padding_side="left")
    assert padded.tolist() == [[9, 1], [2, 3]]


def test_masks_and_last_steps():
    assert length_mask([1, 3]).tolist() == [[True, True], [False, True], [False, True]]
    assert length_mask([1, 2], 3, batch_first=True).tolist() == [[1, 0, 0], [1, 1, 0]]
    x = mg.tensor(np.arange(12.0).reshape(3, 2, 2), requires_grad=True)
    y = last_step(x, [1, 3])
    assert y.tolist() == [[0, 1], [10, 11]]
    y.sum().backward()
    assert x.grad.data.sum() == 4
    assert last_step(x).tolist() == x.data[2].tolist()


def test_windows():
    series = np.arange(10.0)
    assert windows(series, 4, 3).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    x, y = windows(mg.tensor(series), 2, 4, horizon=3)
    assert x.tolist() == [[0, 1], [4, 5]]
    assert y.tolist() == [[2, 3, 4], [6, 7, 8]]
    assert windows(np.zeros((6, 2)), 3).shape == (4, 3, 2)


def test_buckets_hold_sequences_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 50, 103)
    mg.manual_seed(0)
    batches = list(bucketed(lengths, 10))
    assert sorted(np.concatenate(batches)) == list(range(103))
    assert max(np.ptp(lengths[b]) for b in batches) < 12
    assert [b.tolist() for b in batches] != [b.tolist() for b in bucketed(lengths, 10)]
    assert sum(len(b) for b in bucketed(lengths, 10, drop_last=True)) == 100
    plain = list(bucketed([3, 1, 2], 2, shuffle=False))
    assert [b.tolist() for b in plain] == [[0, 2], [1]]


X = mg.zeros(4, 2, 3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: pack_padded_sequence(X, [5, 2]), ValueError, "length 5 .* beyond the 4 steps"),
        (lambda: pack_padded_sequence(X, [4, 0]), ValueError, "length 0 of sequence 1 is below 1"),
        (lambda: pack_padded_sequence(X, [2, 4]), ValueError, "not sorted"),
        (lambda: pack_padded_sequence(X, [4]), ValueError, "1 lengths for a batch of 2"),
        (lambda: pack_padded_sequence(X, [4.0, 2.0]), TypeError, "integers"),
        (lambda: pad_packed_sequence(pack_padded_sequence(X, [4, 2]), total_length=3), ValueError,
         "total_length=3"),
        (lambda: pack_sequence([]), ValueError, "at least one"),
        (lambda: pad_sequence([mg.zeros(2, 3), mg.zeros(2, 4)]), ValueError, "sequence 1"),
        (lambda: pad_sequence([mg.zeros(2)], padding_side="up"), ValueError, "up"),
        (lambda: PackedSequence(mg.zeros(3, 1), [1, 2]), ValueError, "never grow"),
        (lambda: PackedSequence(mg.zeros(4, 1), [2, 1]), ValueError, "add up to 3.*4 rows"),
        (lambda: last_step(X, [5, 1]), ValueError, "beyond"),
        (lambda: unpad_sequence(X, [1, 5]), ValueError, "beyond"),
        (lambda: windows(np.zeros(4), 5), ValueError, "axis 0 has 4"),
        (lambda: windows(np.zeros(4), 0), ValueError, "at least 1"),
        (lambda: list(bucketed([1], 0)), ValueError, "batch_size"),
    ],
)  # fmt: skip
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()

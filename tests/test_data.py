"""Batches: all samples once, in order or shuffled."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import DataLoader, TensorDataset


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_batches_of_tensors(drop_last, sizes):
    dataset = TensorDataset(mg.arange(10), np.arange(10.0) * 2)
    loader = DataLoader(dataset, batch_size=4, drop_last=drop_last)
    batches = list(loader)
    assert len(loader) == len(batches)
    assert [len(x) for x, _ in batches] == sizes
    assert np.concatenate([x.data for x, _ in batches]).tolist() == list(range(sum(sizes)))
    for x, y in batches:
        np.testing.assert_array_equal(y.data, 2.0 * x.data)


def test_shuffled_anew_each_time_from_the_seed():
    loader = DataLoader(TensorDataset(mg.arange(50)), batch_size=7, shuffle=True)

    def order():
        return [i for [x] in loader for i in x.tolist()]

    mg.manual_seed(0)
    first, second = order(), order()
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    mg.manual_seed(0)
    assert order() == first


def test_samples_of_any_kind():
    words = ["a", "bb", "ccc"]
    loader = DataLoader(words, batch_size=2, collate_fn=lambda samples: "+".join(samples))
    assert list(loader) == ["a+bb", "ccc"]
    assert list(DataLoader(np.arange(3), collate_fn=sum)) == [0, 1, 2]
    assert [b.tolist() for b in DataLoader(mg.arange(3), 2)] == [[0, 1], [2]]
    assert list(DataLoader(TensorDataset(mg.zeros(0, 2)), 3)) == []


def test_arguments_are_checked():
    rows = TensorDataset(mg.arange(3))
    for call, match in [
        (lambda: DataLoader(rows, 0), "batch_size must be an int of at least 1, got 0"),
        (lambda: DataLoader(rows, 1.0), "batch_size"),
        (lambda: DataLoader(iter([1])), "has no len"),
        (lambda: DataLoader(["a"]), "a list needs collate_fn"),
        (lambda: TensorDataset(), "as many rows each"),
        (lambda: TensorDataset(mg.ones(3), mg.ones(4)), r"as many rows each, got \[3, 4\]"),
        (lambda: TensorDataset([1, 2]), r"tensors\[0\] must be a tensor or array"),
        (lambda: TensorDataset(mg.tensor(1.0)), r"tensors\[0\]"),
    ]:
        with pytest.raises((ValueError, TypeError), match=match):
            call()

"""save and load: everything comes back, half a file never exists, foreign ones are refused."""

import os
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim, serialize

safetensors = pytest.importorskip("safetensors.numpy")


def trained():
    mg.manual_seed(1)
    model = nn.LSTM(3, 4, num_layers=2)
    optimizer = optim.Adam(
        [{"params": [model.weight_ih_l0]}, {"params": list(model.parameters())[1:], "lr": 0.1}],
        amsgrad=True,
    )
    scheduler = optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            optim.lr_scheduler.LinearLR(optimizer),
            optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=9),
        ],
        [2],
    )
    return model, optimizer, scheduler


def train(model, optimizer, scheduler, steps):
    for step in steps:
        optimizer.zero_grad()
        (model(mg.full((5, 2, 3), 0.1 * step))[0] ** 2).sum().backward()
        optimizer.step()
        scheduler.step()


def test_training_goes_on_to_the_bit(tmp_path):
    model, optimizer, scheduler = trained()
    train(model, optimizer, scheduler, range(3))
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    state = {name: part.state_dict() for name, part in parts.items()}
    mg.save({**state, "epoch": 3}, tmp_path / "run")
    train(model, optimizer, scheduler, range(3, 7))

    again, new_optimizer, new_scheduler = trained()
    loaded = mg.load(tmp_path / "run")
    again.load_state_dict(loaded["model"])
    new_optimizer.load_state_dict(loaded["optimizer"])
    new_scheduler.load_state_dict(loaded["scheduler"])
    assert loaded["epoch"] == 3
    train(again, new_optimizer, new_scheduler, range(3, 7))
    for p, q in zip(model.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert optimizer.param_groups[1]["betas"] == new_optimizer.param_groups[1]["betas"]


def test_what_was_saved_comes_back(tmp_path):
    given = {
        "none": None, "bool": True, "int": 10**20, "float": 0.1, "inf": float("inf"),
        "text": "größer\n", "list": [1, (2, [mg.ones(2)]), ()], 7: {"": {}}, "7": "str",
        "array": np.arange(6.0).reshape(2, 3).T, "scalar": np.float32(0.5), "zero": mg.tensor(3.0),
        "bits": mg.tensor([True, False]), "bytes": np.arange(3, dtype=np.uint8),
        "empty": mg.zeros(0, 3), "a": {"b": mg.zeros(1)}, "a.b": mg.ones(1),
        "__metadata__": mg.ones(1), "backwards": mg.arange(4)[1:].flip(0),
        "big": np.arange(3, dtype=">f8"),
    }  # fmt: skip
    mg.save(given, tmp_path / "file")
    loaded = mg.load(tmp_path / "file")
    assert list(loaded) == list(given)

    def same(a, b):
        if isinstance(a, (mg.Tensor, np.ndarray)):
            assert isinstance(b, mg.Tensor)
            assert b.dtype == a.dtype.newbyteorder("=")
            assert b.shape == a.shape
            np.testing.assert_array_equal(b.data, np.asarray(a))
        elif isinstance(a, (list, tuple)):
            assert type(a) is type(b)
            for x, y in zip(a, b, strict=True):
                same(x, y)
        elif isinstance(a, dict):
            assert list(a) == list(b)
            for key in a:
                same(a[key], b[key])
        else:
            assert a == b

    same(given, loaded)
    loaded["zero"].data[...] = 4  # not a view of something that cannot be written
    for thing in (mg.ones(2), 3, [], "text"):
        mg.save(thing, tmp_path / "file")
        same(thing, mg.load(tmp_path / "file"))


def test_a_state_dict_is_a_file_for_others(tmp_path):
    layer = nn.Linear(2, 3)
    mg.save(layer.state_dict(), tmp_path / "layer.safetensors")
    arrays = safetensors.load_file(tmp_path / "layer.safetensors")
    np.testing.assert_array_equal(arrays["weight"], layer.weight.data)
    safetensors.save_file({"weight": np.ones((3, 2)), "bias": np.zeros(3)}, tmp_path / "theirs")
    layer.load_state_dict(mg.load(tmp_path / "theirs"))
    assert (layer.weight.data == 1).all()


def test_a_file_that_is_not_whole_or_not_ours_is_refused(tmp_path):
    mg.save({"a": mg.ones(9), "b": 3}, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    pieces = {f"cut at {n}": good[:n] for n in range(0, len(good), 7)}
    pieces |= {
        "longer": good + b"x",
        "pickle": pickle.dumps({"a": 1}),
        "text": b"a,b\n1,2\n" * 20,
        "tree": safetensors.save({}, {"minigrad": '{"tensor": "gone"}'}),
        "json": safetensors.save({}, {"minigrad": "{"}),
        "kind": safetensors.save({}, {"minigrad": '{"set": []}'}),
        "pairs": safetensors.save({}, {"minigrad": '{"dict": 3, "list": 4}'}),
    }
    for name, content in pieces.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"load: .*{name} is damaged or no safetensors file"):
            mg.load(path)
    with pytest.raises(FileNotFoundError):
        mg.load(tmp_path / "missing")


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_crash_leaves_the_file_from_before(tmp_path, monkeypatch, where):
    path = tmp_path / "run"
    mg.save({"epoch": 1}, path)

    def fail(*args):
        raise OSError("disk full")

    if where == "write":
        content = type("Content", (), {})()
        monkeypatch.setattr(serialize.safetensors, "save", lambda *a: content)
        expected = pytest.raises(TypeError)
    else:
        monkeypatch.setattr(os, where, fail)
        expected = pytest.raises(OSError, match="disk full")
    with expected:
        mg.save({"epoch": 2}, path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["run"]
    assert mg.load(path) == {"epoch": 1}


def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "runs").mkdir()
    mg.save(1, tmp_path / "runs" / "one")
    (tmp_path / "last").symlink_to(tmp_path / "runs" / "one")
    mg.save(2, tmp_path / "last")
    assert (tmp_path / "last").is_symlink()
    assert mg.load(tmp_path / "runs" / "one") == 2
    (tmp_path / "plain").write_bytes(b"")
    assert os.stat(tmp_path / "runs" / "one").st_mode == os.stat(tmp_path / "plain").st_mode


def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path):
    for bad, match in [
        (nn.Linear(2, 2), r"the object is a Linear; say .state_dict\(\)"),
        ({"a": [1, {2}]}, "save: a.1 is a set$"),
        ({"a": {(1, 2): 3}}, "save: a has keys that are no str or int"),
        ({"a": np.array(["x"])}, "save: a is of <U1"),
        ({"f": len}, "save: f is a builtin_function_or_method"),
    ]:
        with pytest.raises(TypeError, match=match):
            mg.save(bad, tmp_path / "file")
    assert not os.listdir(tmp_path)


def test_safetensors_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(serialize, "safetensors", None)
    for call in (lambda: mg.save(1, tmp_path / "x"), lambda: mg.load(tmp_path / "x")):
        with pytest.raises(ImportError, match=r'pip install "minigrad\[examples\]"'):
            call()

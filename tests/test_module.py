"""Module: parts, state, modes, hooks, copies, containers."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(mg.ones(4))
        self.second = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        self.register_buffer("seen", mg.zeros(2))
        self.register_buffer("cache", mg.zeros(1), persistent=False)

    def forward(self, x):
        return self.second(self.first(x) * self.scale)


def names(pairs):
    return [name for name, _ in pairs]


def test_names_in_pytorchs_order():
    net = Net()
    parameters = ["scale", "first.weight", "first.bias", "second.0.weight", "second.0.bias"]
    assert names(net.named_parameters()) == parameters
    assert names(net.named_parameters(recurse=False)) == ["scale"]
    assert names(net.named_parameters(prefix="net"))[1] == "net.first.weight"
    assert names(net.named_buffers()) == ["seen", "cache"]
    assert list(net.state_dict()) == ["scale", "seen", *parameters[1:]]
    assert names(net.named_modules()) == ["", "first", "second", "second.0", "second.1"]
    assert names(net.named_children()) == ["first", "second"]
    assert len(list(net.parameters())) == 5
    assert len(list(net.buffers())) == 2


def test_state_is_pytorchs():
    torch = pytest.importorskip("torch")

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(3, 4)
            self.scale = torch.nn.Parameter(torch.ones(4))
            self.second = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))
            self.register_buffer("seen", torch.zeros(2))
            self.register_buffer("cache", torch.zeros(1), persistent=False)

    twin, net = Twin(), Net()
    assert list(twin.state_dict()) == list(net.state_dict())
    assert repr(net) == repr(twin).replace(", inplace=False", "").replace("Twin", "Net")
    net.load_state_dict(twin.state_dict())
    np.testing.assert_array_equal(net.first.weight.data, twin.first.weight.detach().numpy())


def test_what_is_shared_has_one_parameter_and_all_its_names():
    net = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    net["b"].weight = net["a"].weight
    net["c"] = net["a"]
    assert names(net.named_parameters()) == ["a.weight", "a.bias", "b.bias"]
    expected = ["a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias"]
    assert sorted(net.state_dict()) == sorted(expected)
    assert names(net.named_modules()) == ["", "a", "b"]
    assert names(net.named_modules(remove_duplicate=False)) == ["", "a", "b", "c"]
    twice = nn.Sequential(net["a"], net["a"])
    assert len(list(twice.children())) == 1
    assert len(twice) == 2
    assert twice(mg.ones(3)).shape == (3,)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert copied["b"].weight is copied["a"].weight
        assert copied["c"] is copied["a"]
        assert copied["a"].weight is not net["a"].weight


def test_load_state_dict_copies_tensors_and_arrays():
    net, other = Net(), Net()
    weight = other.first.weight
    keys = other.load_state_dict({k: v.numpy() for k, v in net.state_dict().items()})
    assert keys == ([], [])
    assert keys.missing_keys == []
    assert other.first.weight is weight
    assert (weight.data == net.first.weight.data).all()
    assert not np.shares_memory(weight.data, net.first.weight.data)
    other.load_state_dict(dict(net.named_parameters()) | {"seen": mg.ones(2)})
    assert (other.seen.data == 1).all()


def test_load_state_dict_names_all_that_is_wrong_and_changes_nothing():
    net = Net()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    state = {k: v + 1 for k, v in net.state_dict().items()}
    del state["first.bias"], state["seen"]
    state |= {"first.extra": 1.0, "scale": mg.zeros(3), "second.0.bias": np.ones(4, complex)}
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Net.load_state_dict: missing: seen; missing: first.bias; unexpected: first.extra; "
        "scale has shape (3,), expected (4,); second.0.bias is of complex128, expected float32"
    )
    with pytest.raises(RuntimeError, match=r"^Net.load_state_dict: scale has .* float32$"):
        net.load_state_dict(state, strict=False)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    state |= {"scale": np.zeros(4), "second.0.bias": np.ones(4, int)}
    keys = net.load_state_dict(state, strict=False)
    assert keys == (["seen", "first.bias"], ["first.extra"])
    assert (net.second[0].bias.data == 1).all()
    with pytest.raises(TypeError, match="expected a dict, got list"):
        net.load_state_dict([])


def test_loading_is_a_write_that_backward_notices():
    net = nn.Linear(2, 2)
    y = net(mg.ones(2, requires_grad=True)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()


def test_modes_reach_all_modules():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.second.train()
    assert [m.training for m in net.modules()] == [False, False, True, True, True]
    with pytest.raises(TypeError, match="mode must be a bool, got 'eval'"):
        net.train("eval")
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    order = []
    assert net.apply(order.append) is net
    assert [type(m).__name__ for m in order] == ["Linear", "Linear", "Dropout", "Sequential", "Net"]


def test_zero_grad():
    net = nn.Linear(2, 2)
    net(mg.ones(2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert (net.weight.grad.data == 0).all()
    net.zero_grad()
    assert net.weight.grad is None


def test_to_brings_parameters_gradients_and_floating_buffers():
    net = Net()
    net.register_buffer("count", mg.zeros(2, dtype=np.int64))
    net(mg.ones(3)).sum().backward()
    assert net.double() is net
    assert {p.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert net.first.weight.grad.dtype == np.float64
    assert net.seen.dtype == np.float64
    assert net.count.dtype == np.int64
    assert net(mg.ones(3, dtype=np.float64)).dtype == np.float64
    assert net.float().scale.dtype == np.float32
    for bad in (np.int64, np.float16):
        with pytest.raises(TypeError, match="float32 or float64"):
            net.to(bad)


# ------------------------------------------------------------------------------ attributes


def test_none_may_stand_for_a_parameter():
    layer = nn.Linear(3, 4)
    layer.bias = None
    assert list(layer.state_dict()) == ["weight"]
    assert layer(mg.ones(3)).shape == (4,)
    layer.bias = nn.Parameter(mg.zeros(4))
    assert names(layer.named_parameters()) == ["weight", "bias"]
    layer.register_parameter("gain", None)
    assert layer.gain is None


def test_a_part_is_not_replaced_by_something_else():
    net = Net()
    for name, bad, match in [
        ("scale", mg.ones(4), "Net.scale is a Parameter and can become another one or None"),
        ("scale", np.ones(4), "not a ndarray"),
        ("first", mg.ones(1), "Net.first is a Module"),
        ("seen", 3.0, "Net.seen is a Tensor and can become another one or None, not a float"),
    ]:
        with pytest.raises(TypeError, match=match):
            setattr(net, name, bad)
    net.seen = mg.ones(2)
    assert (net.state_dict()["seen"].numpy() == 1).all()
    net.seen = None
    assert "seen" not in net.state_dict()
    net.seen = nn.Parameter(mg.ones(2))
    assert "seen" in names(net.named_parameters())
    assert "seen" not in names(net.named_buffers())


def test_delattr():
    net = Net()
    del net.scale, net.seen, net.second
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    with pytest.raises(AttributeError):
        del net.scale
    with pytest.raises(AttributeError, match="Net has no attribute 'scale'"):
        _ = net.scale


def test_names_are_checked():
    net = Net()
    for name, error, match in [
        ("a.b", ValueError, "without dots, got 'a.b'"),
        ("", ValueError, "without dots"),
        (3, ValueError, "without dots"),
        ("first", KeyError, "attribute 'first' already"),
        ("forward", KeyError, "attribute 'forward' already"),
    ]:
        with pytest.raises(error, match=match):
            net.register_buffer(name, mg.ones(1))
        with pytest.raises(error, match=match):
            net.add_module(name, nn.Dropout())
    with pytest.raises(TypeError, match=r"Net.x must be a Tensor, got ndarray"):
        net.register_buffer("x", np.ones(2))
    with pytest.raises(TypeError, match=r"Net.x must be a Parameter, got Tensor"):
        net.register_parameter("x", mg.ones(2))
    with pytest.raises(TypeError, match="data must be a tensor, got ndarray"):
        nn.Parameter(np.ones(2))
    assert not hasattr(net, "x")


def test_forgetting_super_init_is_named():
    class Bare(nn.Module):
        def __init__(self):
            self.size = 3
            self.size = 4

    class Early(nn.Module):
        def __init__(self):
            self.part = nn.Dropout()

    message = r"__init__ must call super\(\).__init__\(\) before"
    with pytest.raises(AttributeError, match="Early." + message):
        Early()
    with pytest.raises(AttributeError, match="Bare." + message):
        Bare()(1)
    with pytest.raises(TypeError, match="Empty defines no forward"):
        type("Empty", (nn.Module,), {})()(1)


# ----------------------------------------------------------------------------------- hooks


def test_hooks_see_and_replace():
    layer = nn.Linear(2, 2)
    seen = []
    before = layer.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    after = layer.register_forward_hook(lambda m, args, y: seen.append((m, args, y)))
    doubled = layer.register_forward_hook(lambda m, args, y: y * 2)
    y = layer(mg.ones(2))
    [(module, args, inner)] = seen
    assert module is layer
    assert (args[0].data == 2).all()
    assert (y.data == 2 * inner.data).all()
    twin = copy.deepcopy(layer)
    for handle in (before, after, doubled, after):
        handle.remove()
    assert layer(mg.ones(2)).shape == (2,)
    assert len(seen) == 1
    assert (twin(mg.ones(2)).data == y.data).all()
    assert len(seen) == 2
    single = layer.register_forward_pre_hook(lambda m, args: args[0] * 0)
    np.testing.assert_array_equal(layer(mg.ones(2)).data, layer.bias.data)
    single.remove()
    with pytest.raises(TypeError, match="a hook must be a function"):
        layer.register_forward_hook(3)


def test_copies_stand_by_themselves():
    net = Net()
    net.eval()
    net.scale.requires_grad_(False)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert names(other.named_parameters()) == names(net.named_parameters())
        assert isinstance(other.scale, nn.Parameter)
        assert not other.scale.requires_grad
        assert not other.training
        with mg.no_grad():
            other.scale.copy_(7.0)
        assert (net.scale.data == 1).all()
        assert other(mg.ones(2, 3)).shape == (2, 4)


# ------------------------------------------------------------------------------ containers


def test_sequential():
    a, b, c = nn.Linear(2, 3), nn.Dropout(), nn.Linear(3, 4)
    net = nn.Sequential(a, b, c)
    assert list(net) == [a, b, c]
    assert net[-1] is c
    assert isinstance(net[1:], nn.Sequential)
    assert list(net[1:]) == [b, c]
    assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]  # as in PyTorch
    del net[1]
    assert list(net) == [a, c]
    assert list(net.state_dict())[-1] == "1.bias"
    net[0] = nn.Linear(5, 3)
    assert net(mg.ones(5)).shape == (4,)
    net.insert(1, b).append(nn.Dropout()).extend([nn.Dropout()])
    assert [type(m).__name__ for m in net] == ["Linear", "Dropout", "Linear", "Dropout", "Dropout"]
    del net[1:]
    assert len(net) == 1


def test_sequential_of_names():
    net = nn.Sequential(OrderedDict(into=nn.Linear(2, 3), out=nn.Linear(3, 1)))
    assert list(net.state_dict()) == ["into.weight", "into.bias", "out.weight", "out.bias"]
    assert net.into is net[0]
    assert list(net[:1].state_dict()) == ["into.weight", "into.bias"]
    assert repr(net[:1]) == (
        "Sequential(\n  (into): Linear(in_features=2, out_features=3, bias=True)\n)"
    )


def test_module_list():
    modules = nn.ModuleList(nn.Linear(n, n) for n in (1, 2, 3))
    assert [m.in_features for m in modules] == [1, 2, 3]
    modules.insert(-1, nn.Linear(9, 9))
    assert [m.in_features for m in modules] == [1, 2, 9, 3]
    assert list(modules.state_dict())[4] == "2.weight"
    assert modules.state_dict()["2.weight"].shape == (9, 9)
    del modules[0]
    assert next(iter(modules.state_dict())) == "0.weight"
    assert [m.in_features for m in modules[::-1]] == [3, 9, 2]
    modules[0] = nn.Dropout()
    assert len(list(modules.parameters())) == 4
    with pytest.raises(IndexError, match="index 3 is out of range for 3 modules"):
        modules[3]
    with pytest.raises(TypeError):
        modules["0"]
    with pytest.raises(TypeError, match="3 is not a Module"):
        modules.extend([nn.Dropout(), 3])
    assert len(modules) == 3
    for wrong in (lambda: modules.insert(0, 3), lambda: modules.__setitem__(0, None)):
        with pytest.raises(TypeError, match="is not a Module"):
            wrong()
    with pytest.raises(TypeError, match="Sequential: <built-in function abs> is not a Module"):
        nn.Sequential(abs)


def test_module_dict():
    modules = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Dropout()})
    assert list(modules) == list(modules.keys()) == ["a", "b"]
    assert "a" in modules
    assert "training" not in modules
    modules["b"] = nn.Linear(2, 2)
    modules.update([("c", nn.Dropout())])
    assert [type(m).__name__ for m in modules.values()] == ["Linear", "Linear", "Dropout"]
    assert dict(modules.items())["c"] is modules["c"]
    del modules["a"]
    assert len(modules) == 2
    for bad in ("a", "training"):
        with pytest.raises(KeyError):
            del modules[bad]
        with pytest.raises(KeyError):
            modules[bad]
    for bad in ("keys", "training", "_buffers"):
        with pytest.raises(KeyError, match="already"):
            modules[bad] = nn.Dropout()
    with pytest.raises(TypeError, match="is not a Module"):
        modules["d"] = None

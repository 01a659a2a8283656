"""Ways to change a weight of a layer, after it was packed.

Each is a function of a layer. What it does before its `yield` comes before the weights are packed,
what it does behind it, the change, after they were packed and used.
"""

from __future__ import annotations

import copy

import numpy as np
from kept_layers import called, x_of

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn.parameter import Parameter


def element(layer):
    yield
    layer.weight_hh_l0.data[0, 0] += 1


def all_at_once(layer):
    yield
    layer.weight_ih_l0.data -= 0.5


def another_array(layer):
    yield
    layer.weight_ih_l0.data = layer.weight_ih_l0.data * 2


def another_array_unseen(layer):
    yield
    layer.weight_ih_l0.data = np.full(layer.weight_ih_l0.shape, 0.5, layer.dtype)


def tensors(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0[...] = mg.randn(*layer.weight_ih_l0.shape)


def item_of_a_bias(layer):
    yield
    with mg.no_grad():
        layer.bias_hh_l0[-1] = 3


def filled(layer):
    yield
    with mg.no_grad():
        layer.bias_ih_l0.fill_(0.25)


def zeroed(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0.zero_()


def added_to(layer):
    yield
    with mg.no_grad():
        w = layer.weight_ih_l0
        w += 1


def detached(layer):
    yield
    layer.weight_ih_l0.detach()[...] = 0.125


def numpys_view_of_it(layer):
    yield
    layer.weight_ih_l0.detach().numpy()[...] = 0.125


def as_numpy(layer):
    layer.requires_grad_(False)
    yield
    np.asarray(layer.weight_ih_l0)[...] += 1


def a_view(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0[0].data[...] = 1


def a_transposed_view(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0.T.data[0] = 1


def initialised(layer):
    yield
    nn.init.orthogonal_(layer.weight_hh_l0)


def drawn_anew(layer):
    yield
    layer.reset_parameters()


def loaded(layer):
    yield
    layer.load_state_dict({n: v * 2 for n, v in layer.state_dict().items()})


def state_dict(layer):
    yield
    layer.state_dict()["weight_ih_l0"][...] = 1


def applied(layer):
    yield
    layer.apply(lambda m: [p.data.fill(0.5) for p in m.parameters()])


def replaced(layer):
    yield
    layer.weight_ih_l0 = Parameter(mg.randn(*layer.weight_ih_l0.shape))


def replaced_in_vars(layer):
    yield
    vars(layer)["weight_ih_l0"] = Parameter(mg.randn(*layer.weight_ih_l0.shape))


def by_another_layers(layer):
    other = copy.deepcopy(layer)
    other.reset_parameters()
    called(other)
    yield
    layer.weight_ih_l0 = other.weight_ih_l0


def a_bias_less(layer):
    yield
    layer.bias_ih_l0 = None


def a_bias_more(layer):
    layer.bias_ih_l0 = None
    yield
    layer.bias_ih_l0 = Parameter(mg.randn(*layer.bias_hh_l0.shape))


def a_tensor_instead(layer):
    yield
    del layer.weight_ih_l0
    layer.weight_ih_l0 = mg.randn(*layer.weight_hh_l0.shape[:1], layer.input_size)


def a_tensor_that_changes(layer):
    del layer.weight_ih_l0
    layer.weight_ih_l0 = mg.randn(*layer.weight_hh_l0.shape[:1], layer.input_size)
    yield
    layer.weight_ih_l0.data[...] = 1


def computed_from_others(layer):
    """The way of weight norm and its like: a subclass says what is trained."""
    scale = [1.0]

    class Scaled(type(layer)):
        def trained(self, row):
            return [w * scale[0] for w in super().trained(row)]

    layer.__class__ = Scaled
    yield
    scale[0] = 2.0


def lent_by_another(layer):
    other, lent = copy.deepcopy(layer), []

    class Lent(type(layer)):
        def trained(self, row):
            return other.trained(row) if lent else super().trained(row)

    layer.__class__ = Lent
    yield
    lent.append(True)
    other.weight_ih_l0.data[...] = 1


def tied(layer):
    other = copy.deepcopy(layer)
    other.weight_ih_l0 = layer.weight_ih_l0
    called(other)
    yield
    called(other)
    other.weight_ih_l0.data[...] = 1
    called(other)


def in_float64(layer):
    yield
    layer.double()
    layer.weight_ih_l0.data += 1


def to_and_fro(layer):
    layer.float()
    layer.weight_ih_l0.data[...] = 1 / 3
    layer.double()
    yield
    layer.float()


def of_a_copy(layer):
    yield
    copy.copy(layer.weight_ih_l0).data[...] = 1


def through_a_capsule(layer):
    layer.requires_grad_(False)
    yield
    try:
        np.from_dlpack(layer.weight_ih_l0)[...] = 1
    except (ValueError, BufferError, RuntimeError):  # numpy hands on what is not to be written
        memoryview(layer.weight_ih_l0.data)[0, 0] = 1.0


def optimised(kind, **options):
    def way(layer):
        optimiser = kind(layer.parameters(), lr=0.1, **options)
        layer(x_of(layer))[0].sum().backward()
        yield
        optimiser.step()

    way.__name__ = kind.__name__
    return way


AFTER = [
    element, all_at_once, another_array, another_array_unseen, tensors, item_of_a_bias, filled,
    zeroed, added_to, detached, numpys_view_of_it, as_numpy, a_view, a_transposed_view,
    initialised, drawn_anew, loaded, state_dict, applied, replaced, replaced_in_vars,
    by_another_layers, a_bias_less, tied, in_float64, to_and_fro, of_a_copy, through_a_capsule,
    a_tensor_instead, optimised(optim.SGD), optimised(optim.SGD, momentum=0.9),
    optimised(optim.Adam), optimised(optim.AdamW), optimised(optim.RMSprop),
    optimised(optim.Adagrad),
]  # fmt: skip


SHARED = [a_tensor_that_changes, computed_from_others, lent_by_another, a_bias_more]  # by others

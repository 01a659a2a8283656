"""Module: parameters, buffers and sub-modules under their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np

from minigrad.tensor import Tensor

from .parameter import Parameter


class Hook:
    """What `register_forward_hook` returns: `remove()` takes the hook away again."""

    def __init__(self, hooks: dict[Hook, Callable], function: Callable) -> None:
        if not callable(function):
            raise TypeError(f"a hook must be a function, got {function!r}")
        self._hooks = hooks
        hooks[self] = function

    def remove(self) -> None:
        """Takes the hook away; harmless the second time."""
        self._hooks.pop(self, None)


class Keys(NamedTuple):
    """What `load_state_dict` did not use, in PyTorch's words."""

    missing_keys: list[str]
    unexpected_keys: list[str]


if TYPE_CHECKING:  # module(...) takes and returns what its own class's `forward` does
    P = ParamSpec("P")
    Result = TypeVar("Result", covariant=True)

    class _Computes(Protocol[P, Result]):
        def forward(self, *args: P.args, **kwargs: P.kwargs) -> Result: ...

    class _Called(Generic[P, Result]):
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result: ...

    class _Call:
        def __get__(self, module: _Computes[P, Result], kind: Any) -> _Called[P, Result]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...  # for a module as a Callable


_FORGOTTEN = "{0}.__init__ must call super().__init__() before it sets parts"


class Module:
    """What can be called, and owns parameters: those among its attributes and its sub-modules'.

    A subclass calls `super().__init__()`, sets its parts as attributes, and computes in `forward`.
    Parameters and modules are plain attributes; so is a buffer, whose name is noted besides.
    """

    training: bool

    def __init__(self) -> None:
        self._buffers: dict[str, bool] = {}  # name: whether it is part of the state
        self._forward_hooks: dict[Hook, Callable] = {}
        self._forward_pre_hooks: dict[Hook, Callable] = {}
        self.training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; `module(...)` calls it."""
        raise TypeError(f"{type(self).__name__} defines no forward")

    if TYPE_CHECKING:
        __call__ = _Call()
    else:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if not (self._forward_hooks or self._forward_pre_hooks):
                return self.forward(*args, **kwargs)
            for hook in list(self._forward_pre_hooks.values()):
                new = hook(self, args)
                if new is not None:
                    args = new if isinstance(new, tuple) else (new,)
            y = self.forward(*args, **kwargs)
            for hook in list(self._forward_hooks.values()):
                new = hook(self, args, y)
                y = y if new is None else new
            return y

    def register_forward_pre_hook(self, hook: Callable) -> Hook:
        """hook(module, args) runs before forward; what it returns, if not None, replaces args."""
        return Hook(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable) -> Hook:
        """hook(module, args, y) runs after forward; what it returns, if not None, replaces y."""
        return Hook(self._forward_hooks, hook)

    # -- parts

    def __getattr__(self, name: str) -> Any:
        if "_buffers" not in self.__dict__:
            raise AttributeError(_FORGOTTEN.format(type(self).__name__))
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        buffers, old = self.__dict__.get("_buffers"), self.__dict__.get(name)
        if isinstance(value, (Parameter, Module)):
            if buffers is None:
                raise AttributeError(_FORGOTTEN.format(type(self).__name__))
            buffers.pop(name, None)
        kinds: list[type] = [kind for kind in (Parameter, Module) if isinstance(old, kind)]
        kinds += [Tensor] if buffers and name in buffers else []
        if kinds and not (value is None or isinstance(value, kinds[0])):
            raise TypeError(
                f"{type(self).__name__}.{name} is a {kinds[0].__name__} and can become another one "
                f"or None, not a {type(value).__name__}"
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._buffers.pop(name, None)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """self.<name> = param, where the name is not taken yet."""
        self._new_part(name, param, Parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """self.<name> = module, where the name is not taken yet."""
        self._new_part(name, module, Module)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that is not trained, as the attribute `name`.

        It belongs to the module's state (`state_dict`) unless persistent is False.
        """
        self._new_part(name, tensor, Tensor)
        self._buffers[name] = bool(persistent)

    def _new_part(self, name: str, value: Any, kind: type) -> None:
        owner = type(self).__name__
        if not isinstance(name, str) or not re.fullmatch(r"[^.]+", name):
            raise ValueError(f"{owner}: a part's name must be a string without dots, got {name!r}")
        if name not in self._buffers and hasattr(self, name):
            raise KeyError(f"{owner}: there is an attribute {name!r} already")
        if not (value is None or isinstance(value, kind)):
            raise TypeError(f"{owner}.{name} must be a {kind.__name__}, got {type(value).__name__}")
        setattr(self, name, value)

    def _parts(self) -> dict[str, Module]:
        return {n: m for n, m in vars(self).items() if isinstance(m, Module)}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with their names; each once."""
        return _once(self._parts().items())

    def children(self) -> Iterator[Module]:
        """The modules directly below this one; each once."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator:
        """This module and all below it, with their dotted names; each once, or at each place."""
        return self._walk(prefix, set() if remove_duplicate else None)

    def _walk(self, path: str, seen: set[int] | None) -> Iterator[tuple[str, Module]]:
        if seen is not None:
            if id(self) in seen:
                return
            seen.add(id(self))
        yield path, self
        for name, module in self._parts().items():
            yield from module._walk(_dotted(path, name), seen)

    def modules(self) -> Iterator[Module]:
        """This module and all below it; each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator:
        """All parameters with their dotted names, in order of definition; each once."""
        modules = self.named_modules(prefix) if recurse else [(prefix, self)]
        return _once((_dotted(path, n), p) for path, m in modules for n, p in m._own(Parameter))

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, in order of definition; each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator:
        """All buffers with their dotted names; each once."""
        modules = self.named_modules(prefix) if recurse else [(prefix, self)]
        return _once((_dotted(path, n), b) for path, m in modules for n, b in m._own(Tensor))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers; each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _own(self, kind: type) -> list[tuple[str, Any]]:
        """Parameters (kind Parameter) or buffers (Tensor) of this module itself."""
        if kind is Parameter:
            return [(n, v) for n, v in vars(self).items() if isinstance(v, Parameter)]
        return [(n, vars(self)[n]) for n in self._buffers if vars(self)[n] is not None]

    # -- state

    def state_dict(self) -> dict[str, Tensor]:
        """All parameters and buffers by name: the same memory, without history.

        What is found at several places is there under each of its names.
        """
        state = {}
        for path, module in self._walk("", None):
            lasting = [(n, b) for n, b in module._own(Tensor) if module._buffers[n]]
            for name, tensor in (*module._own(Parameter), *lasting):
                state[_dotted(path, name)] = tensor.detach()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Keys:
        """Copies tensors or arrays into the parameters and buffers of the same names.

        Raises one RuntimeError that names all that is missing, unexpected (both only if `strict`)
        or of another shape or kind of number; nothing has been changed then. Returns the names
        that were missing and unexpected.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict, got {type(state_dict).__name__}")
        own = self.state_dict()
        keys = Keys(
            [n for n in own if n not in state_dict], [n for n in state_dict if n not in own]
        )
        new = {n: _array(state_dict[n]) for n in own if n in state_dict}
        wrong = [f"missing: {n}" for n in keys.missing_keys if strict]
        wrong += [f"unexpected: {n}" for n in keys.unexpected_keys if strict]
        for name, array in new.items():
            if array.shape != own[name].shape:
                wrong.append(f"{name} has shape {array.shape}, expected {own[name].shape}")
            elif not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
                wrong.append(f"{name} is of {array.dtype}, expected {own[name].dtype}")
        if wrong:
            raise RuntimeError(f"{type(self).__name__}.load_state_dict: " + "; ".join(wrong))
        for name, array in new.items():
            own[name].copy_(array)
        return keys

    # -- modes

    def train(self, mode: bool = True) -> Module:
        """Training mode (dropout drops) for this module and all below it; returns it."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode must be a bool, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Evaluation mode for this module and all below it; returns it."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or sets them to 0."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = Tensor.box(np.zeros_like(parameter.data))

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Sets whether gradients are wanted for the parameters; returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Calls fn on all modules below, children first, and on this one; returns it."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, dtype: Any) -> Module:
        """Brings floating-point parameters and buffers to `dtype`; returns the module.

        Gradients come along. An optimiser is best made afterwards: its state does not.
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"to: dtype must be float32 or float64, got {dtype}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype.kind == "f" and tensor.dtype != dtype:
                tensor.data = tensor.data.astype(dtype)
                if tensor.grad is not None:
                    tensor.grad = Tensor.box(tensor.grad.data.astype(dtype))
        return self

    def double(self) -> Module:
        """Brings the module to float64; returns it."""
        return self.to(np.float64)

    def float(self) -> Module:
        """Brings the module to float32; returns it."""
        return self.to(np.float32)

    def extra_repr(self) -> str:
        """The arguments to show in `repr`."""
        return ""

    def __repr__(self) -> str:
        extra, parts = self.extra_repr(), self._parts()
        if not parts:
            return f"{type(self).__name__}({extra})"
        lines = [extra] * bool(extra) + [f"({name}): {part!r}" for name, part in parts.items()]
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {body}\n)"


def _once(named: Any) -> Iterator[tuple[str, Any]]:
    """The pairs (name, object) whose object was not there before."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _array(value: Any) -> np.ndarray:
    return value.data if isinstance(value, Tensor) else np.asarray(value)

"""Module: parameters, buffers and sub-modules under their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.tensor import Tensor


class Parameter(Tensor):
    """A leaf that requires grad and that a Module finds among its attributes.

    Shares the memory of `data`, a floating-point tensor.
    """

    __slots__ = ()

    def __new__(cls, data: Tensor, requires_grad: bool = True) -> Parameter:
        parameter = cls.box(data.data, None, data.version)
        return parameter.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Module:
    """What can be called, and owns parameters: those among its attributes and its sub-modules'.

    A subclass sets its parts in `__init__` and computes in `forward`.
    """

    def __init__(self) -> None:
        self.training = True
        self._buffers: dict[str, Tensor] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; `module(...)` calls it."""
        raise TypeError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    # -- parts

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (module for _, module in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with their names."""
        return ((n, m) for n, m in vars(self).items() if isinstance(m, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names; each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                below = [(f"{path}.{n}" if path else n, m) for n, m in module.named_children()]
                stack.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """This module and all below it; each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, in order of definition; each once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, in order of definition; each once."""
        return (parameter for _, parameter in self.named_parameters())

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """A tensor that belongs to the module's state but is not trained, as an attribute."""
        self._buffers[name] = tensor

    def __getattr__(self, name: str) -> Any:
        buffers = self.__dict__.get("_buffers", {})
        if name in buffers:
            return buffers[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names."""
        for path, module in self.named_modules():
            for name, tensor in module._buffers.items():
                yield (f"{path}.{name}" if path else name), tensor

    # -- state

    def state_dict(self) -> dict[str, Tensor]:
        """All parameters and buffers by name: the same memory, without history."""
        named = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: tensor.detach() for name, tensor in named.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Copies tensors or arrays into the parameters and buffers of the same names.

        Raises one RuntimeError that names all that is missing, unexpected (both only if `strict`)
        or of another shape; nothing has been changed then.
        """
        own = self.state_dict()
        new = {name: np.asarray(value) for name, value in state_dict.items()}
        wrong = [f"missing: {n}" for n in own if strict and n not in new]
        wrong += [f"unexpected: {n}" for n in new if strict and n not in own]
        wrong += [
            f"{n}: has shape {new[n].shape}, expected {own[n].shape}"
            for n in own
            if n in new and new[n].shape != own[n].shape
        ]
        if wrong:
            raise RuntimeError(f"{type(self).__name__}.load_state_dict: " + "; ".join(wrong))
        for name, tensor in own.items():
            if name in new:
                tensor.copy_(new[name])

    # -- modes

    def train(self, mode: bool = True) -> Module:
        """Training mode (dropout drops) for this module and all below it; returns it."""
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

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Calls `function` on all modules below, children first, and this one; returns it."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def to(self, dtype: Any) -> Module:
        """Brings floating-point parameters and buffers to `dtype`; returns the module."""
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(f"to: parameters can be of a floating-point dtype, not {dtype}")
        for tensor in (*self.parameters(), *(b for _, b in self.named_buffers())):
            if tensor.dtype.kind == "f" and tensor.dtype != dtype:
                tensor.data = tensor.data.astype(dtype)
                tensor.grad = None
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
        children = list(self.named_children())
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in children]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


class Sequential(Module):
    """y = f_n(... f_2(f_1(x)))"""

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        for i, module in enumerate(modules):
            setattr(self, str(i), module)

    def forward(self, x: Any) -> Any:
        for module in self.children():
            x = module(x)
        return x


class ModuleList(Module):
    """Modules in a list, found under their indices."""

    def __init__(self, modules: Any = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Adds a module at the end; returns the list."""
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int) -> Module:
        return list(self.children())[index]

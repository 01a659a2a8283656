"""Modules made of modules: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .module import Module


class _Ordered(Module):
    """What Sequential and ModuleList share: modules in order, found by their position."""

    def __len__(self) -> int:
        return len(self._parts())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._parts().values())

    def __getitem__(self, index: int | slice) -> Any:
        """The module at a position; for a slice, those modules in a container of this kind."""
        if isinstance(index, slice):
            return self._of(dict(list(self._parts().items())[index]))
        return vars(self)[self._name(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), self._checked(module))

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._parts())
        gone = names[index] if isinstance(index, slice) else [self._name(index)]
        self._rebuild({n: m for n, m in self._parts().items() if n not in gone})

    def append(self, module: Module) -> Any:
        """Adds a module at the end; returns the container."""
        self.add_module(str(len(self)), self._checked(module))
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Adds several modules at the end; returns the container."""
        for module in [self._checked(m) for m in modules]:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Puts a module before the one at a position; returns the container."""
        modules = list(self)
        modules.insert(index, self._checked(module))
        self._rebuild({str(i): m for i, m in enumerate(modules)})
        return self

    def _of(self, named: dict[str, Module]) -> Any:
        """A container of this kind with these modules."""
        raise TypeError(f"{type(self).__name__} defines no _of")

    def _rebuild(self, named: dict[str, Module]) -> None:
        """Replaces all modules; those under numbers are numbered anew."""
        for name in self._parts():
            delattr(self, name)
        for i, (name, module) in enumerate(named.items()):
            setattr(self, str(i) if name.isdecimal() else name, module)

    def _name(self, index: Any) -> str:
        names = list(self._parts())
        try:
            return names[operator.index(index)]
        except IndexError:
            raise IndexError(
                f"{type(self).__name__}: index {index} is out of range for {len(names)} modules"
            ) from None

    def _checked(self, module: Any) -> Module:
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: {module!r} is not a Module")
        return module


class Sequential(_Ordered):
    """y = f_n(... f_2(f_1(x)))

    Made from modules, or from one dict of names and modules.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        named = {str(i): m for i, m in enumerate(modules)}
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        for name, module in named.items():
            self.add_module(name, self._checked(module))

    def _of(self, named: dict[str, Module]) -> Sequential:
        return Sequential(named)

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input


class ModuleList(_Ordered):
    """Modules in a list, found under their indices."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def _of(self, named: dict[str, Module]) -> ModuleList:
        return ModuleList(named.values())


class ModuleDict(Module):
    """Modules in a dict, found under their keys."""

    def __init__(self, modules: Mapping[str, Module] | Iterable = ()) -> None:
        super().__init__()
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable) -> None:
        """Adds modules, or replaces those of the same keys."""
        for name, module in dict(modules).items():
            self[name] = module

    def __setitem__(self, key: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"ModuleDict: {module!r} is not a Module")
        if key in self._parts():
            setattr(self, key, module)
        else:
            self.add_module(key, module)

    def __getitem__(self, key: str) -> Module:
        return self._parts()[key]

    def __delitem__(self, key: str) -> None:
        self[key]  # or KeyError
        delattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self._parts()

    def __len__(self) -> int:
        return len(self._parts())

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts())

    def keys(self) -> Iterable[str]:
        """The keys, in order of definition."""
        return self._parts().keys()

    def values(self) -> Iterable[Module]:
        """The modules, in order of definition."""
        return self._parts().values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Keys with modules, in order of definition."""
        return self._parts().items()

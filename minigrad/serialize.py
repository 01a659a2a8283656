"""Saves state dicts in a safetensors file, all of it or nothing, and loads them again.

    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    minigrad.save(state, "run.safetensors")
    state = minigrad.load("run.safetensors")

Tensors lie in the file under their path, as `model.layer.weight`; in a plain state dict that is
their own name, so that other readers of safetensors find what they expect. All else (the nesting,
numbers, strings) is JSON in the file's metadata. Nothing in a file is run.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.tensor import Tensor

try:
    import safetensors.numpy as safetensors
except ImportError:
    safetensors = None  # type: ignore[assignment]

_KEY = "minigrad"


def save(obj: Any, path: str | os.PathLike) -> None:
    """Writes nested dicts, lists and tuples of tensors, arrays, numbers, strings, bools and None.

    Dicts may have keys of str or int. Written beside `path` and renamed: whatever happens, there is
    either the file from before or the new one. Arrays come back as tensors.
    Raises TypeError for anything else in `obj`, naming its place; ImportError without safetensors.
    """
    _need_safetensors()
    arrays: dict[str, np.ndarray] = {}
    tree = _encode(obj, (), arrays)
    content = safetensors.save(arrays, {_KEY: json.dumps(tree)})
    path = Path(path).resolve()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike) -> Any:
    """What `save` was given; for a safetensors file from elsewhere, a dict of its tensors.

    Raises ValueError if it is no safetensors file, or not all of one.
    """
    _need_safetensors()
    content = Path(path).read_bytes()
    try:
        arrays = safetensors.load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
        if _KEY not in metadata:
            return {name: Tensor.box(array) for name, array in arrays.items()}
        return _decode(json.loads(metadata[_KEY]), arrays)
    except Exception as error:
        raise ValueError(f"load: {path} is damaged or no safetensors file ({error})") from error


def _need_safetensors() -> None:
    if safetensors is None:
        raise ImportError(
            'save and load need the package safetensors: pip install "minigrad[examples]"'
        )


def _encode(obj: Any, path: tuple[str, ...], arrays: dict[str, np.ndarray]) -> Any:
    """obj as JSON; its arrays are put in `arrays`."""
    place = ".".join(path)
    if isinstance(obj, np.generic):
        obj = obj.item()
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (Tensor, np.ndarray)):
        array = obj.data if isinstance(obj, Tensor) else obj
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save: {place or 'the array'} is of {array.dtype}")
        name = place or "tensor"
        while name in arrays or name == "__metadata__":  # as {"a": {"b": x}, "a.b": y}
            name += "'"
        arrays[name] = np.asarray(array, order="C")
        return {"tensor": name}
    if isinstance(obj, (list, tuple)):
        items = [_encode(v, (*path, str(i)), arrays) for i, v in enumerate(obj)]
        return items if isinstance(obj, list) else {"tuple": items}
    if isinstance(obj, dict):
        if not all(isinstance(k, (str, int)) and not isinstance(k, bool) for k in obj):
            raise TypeError(f"save: {place or 'the dict'} has keys that are no str or int")
        return {"dict": [[k, _encode(v, (*path, str(k)), arrays)] for k, v in obj.items()]}
    hint = "; say .state_dict()" if hasattr(obj, "state_dict") else ""
    raise TypeError(f"save: {place or 'the object'} is a {type(obj).__name__}{hint}")


def _decode(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The inverse of _encode."""
    if isinstance(tree, list):
        return [_decode(v, arrays) for v in tree]
    if not isinstance(tree, dict):
        return tree
    [(kind, value)] = tree.items()
    if kind == "tensor":
        return Tensor.box(arrays[value])
    if kind == "tuple":
        return tuple(_decode(v, arrays) for v in value)
    if kind == "dict":
        return {k: _decode(v, arrays) for k, v in value}
    raise ValueError(f"unknown entry {kind!r}")

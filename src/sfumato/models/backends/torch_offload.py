"""Weights that are brought to their layers as these compute, and let go of afterwards.

Only the matrices of linear layers, convolutions and tables move; they are all but a thousandth of a network.
Such a layer knows where its weight is: in memory in eight bits, on the host of a GPU, or in a mapped file;
its parameter `weight` is only a shape, on the meta device. What is brought is said by `Keeping`, and who
computes is found out by the layers themselves, so it does not matter how a network is called: whole, block by
block, watched or altered. Two drawings at once compute the right thing; with "component" they may bring the
same network again and again.
"""

import threading
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn import functional

from sfumato.errors import InputError
from sfumato.models.adapters.changes import NetworkChanges
from sfumato.models.backends.torch_storage import Form, Packed, packed, whole
from sfumato.models.stored import Change, Shape, changed
from sfumato.models.tensor_file import TensorFile

#: What numpy has no kind for, it holds as bits.
_BITS: Final = {
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


class Source(Protocol):
    """Where the weight of one layer is while its network does not compute."""

    def load(self) -> Form:
        """Return the weight on the device of the network, as it is kept there."""
        ...

    def let_go(self) -> None:
        """Have the system take back what it read for `load`; what was returned is not used any more."""
        ...

    def laid_over(self, changes: NetworkChanges, key: str) -> "Source":
        """Return the same with the changes of the tensor `key`; this one stays as it is."""
        ...


@dataclass(frozen=True, eq=False)
class InFile:
    """A weight in a mapped file, of which it is `key` and becomes ours by `change`. It is read in `dtype`,
    kernels with the memory `layout`, or packed as `storage` says.

    One that has this dtype in the file is not copied: the system reads it when it is used, and may forget it.
    """

    file: TensorFile
    key: str
    shape: Shape
    dtype: torch.dtype
    change: Change = None
    layout: torch.memory_format = torch.contiguous_format
    storage: str = "whole"

    def mapped(self) -> torch.Tensor:
        """Return the weight as the file has it, without a copy."""
        bits = torch.from_numpy(self.file.bits(self.key))
        kind = _BITS.get(self.file.tensors[self.key].dtype)
        return changed(bits if kind is None else bits.view(kind), self.change).reshape(self.shape)

    def load(self) -> Form:
        mapped = self.mapped()
        if self.storage != "whole":
            form: Form = packed(mapped, self.storage, self.dtype)
            shared = form.data.data_ptr() == mapped.data_ptr()
        else:
            kind = self.layout if mapped.ndim == 4 else torch.contiguous_format
            form = mapped.to(self.dtype, memory_format=kind).contiguous(memory_format=kind)
            shared = form.data_ptr() == mapped.data_ptr()
        if not shared:
            self.let_go()
        return form

    def let_go(self) -> None:
        self.file.let_go(self.key)

    def laid_over(self, changes: NetworkChanges, key: str) -> Source:
        return _LaidOver(self, changes, key)


@dataclass(frozen=True, eq=False)
class _LaidOver:
    """A weight that is changed whenever it is brought: what a drawing needs of an adapter's matrices is a
    hundredth of what they change.
    """

    before: Source
    changes: NetworkChanges
    key: str

    def load(self) -> Form:
        if isinstance(self.before, InFile) and self.before.storage != "whole":
            return _packed_over(self.before, self.changes, self.key)
        form = _changed(self.before.load(), self.changes, self.key)
        self.before.let_go()
        return form

    def let_go(self) -> None:
        """It was let go of already."""

    def laid_over(self, changes: NetworkChanges, key: str) -> Source:
        return _LaidOver(self, changes, key)


@dataclass(frozen=True, eq=False)
class OnHost:
    """A weight in the memory beside a GPU, which is copied to the `device`. It is from `origin`."""

    form: Form
    device: torch.device
    origin: InFile | None = None

    def load(self) -> Form:
        if isinstance(self.form, Packed):
            return self.form.to(self.device)
        return self.form.to(self.device, non_blocking=True)

    def let_go(self) -> None:
        """The copy goes when nobody has it any more."""

    def laid_over(self, changes: NetworkChanges, key: str) -> Source:
        return on_host(_changed(self.form, changes, key, self.origin), self.device)


@dataclass(frozen=True, eq=False)
class InMemory:
    """A weight that is where it is needed: in eight bits. It is from `origin`."""

    form: Form
    origin: InFile | None = None

    def load(self) -> Form:
        return self.form

    def let_go(self) -> None:
        """It stays."""

    def laid_over(self, changes: NetworkChanges, key: str) -> Source:
        made = _changed(self.form, changes, key, self.origin)
        device = self.form.data.device if isinstance(self.form, Packed) else self.form.device
        return InMemory(made.to(device))


def in_memory(source: InFile, device: torch.device) -> InMemory:
    """Return the weight that is in a file as one that is kept on `device`."""
    return InMemory(source.load().to(device), source)


def on_host(form: Form, device: torch.device, origin: InFile | None = None) -> OnHost:
    """Return a weight from `origin`, which is in the processor's memory, as one that waits there for
    `device`.
    """
    if device.type == "cuda":  # copied from memory that cannot be moved, twice as fast, by itself
        form = form.pinned() if isinstance(form, Packed) else form.pin_memory()
    return OnHost(form, device, origin)


class Desk:
    """The weights that were brought for the networks at work, of one model. With `keeps`, those of one group
    stay until another group's turn; else each goes when its layer has computed.
    """

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self._lock = threading.Lock()
        self._group: str | None = None
        self._there: WeakKeyDictionary[Source, Form] = WeakKeyDictionary()

    def take(self, group: str, source: Source) -> Form:
        """Return the weight from `source`, for a layer of a network of `group`."""
        if not self.keeps:
            return source.load()
        with self._lock:
            if group != self._group:
                for one in self._there:
                    one.let_go()
                self._there.clear()
                self._group = group
            form = self._there.get(source)
            if form is None:
                form = self._there[source] = source.load()
            return form

    def done(self, source: Source) -> None:
        """Say that the layer has computed."""
        if not self.keeps:
            source.let_go()

    @property
    def num_kept(self) -> int:
        """How many weights are there."""
        return len(self._there)


@dataclass(frozen=True)
class Keeping:
    """How the networks of one model are kept: `offload` none, component or sequential, `storage` whole,
    float8 or int8, as in `Settings`. `desk` is what they share.
    """

    offload: str = "none"
    storage: str = "whole"
    desk: Desk = field(default_factory=lambda: Desk(keeps=False))

    @classmethod
    def asked(cls, offload: str, storage: str, device: str = "cpu") -> "Keeping | None":
        """Return what these words of `Settings` mean on a kind of `device`; None: as ever, whole and all of
        it in memory. Raises InputError for what the device does not have.
        """
        if storage == "float8" and device == "mps":
            raise InputError(
                "a Mac's GPU has no such numbers", field="storage", value=storage, hint="Use int8."
            )
        offload = "none" if offload == "auto" else offload
        storage = "whole" if storage == "auto" else storage
        if (offload, storage) == ("none", "whole"):
            return None
        return cls(offload, storage, Desk(keeps=offload == "component"))


@dataclass(frozen=True, eq=False)
class Kept:
    """The weight of a layer of a network of `group`: its `source`, and the `desk` that it is brought to."""

    source: Source
    desk: Desk
    group: str

    def take(self) -> torch.Tensor:
        """Return the whole weight, for one computation."""
        return whole(self.desk.take(self.group, self.source))

    def done(self) -> None:
        """Say that the layer has computed."""
        self.desk.done(self.source)

    def rows(self, which: torch.Tensor) -> torch.Tensor:
        """Return some rows of the weight, a table: of a file, no other rows are read."""
        if isinstance(self.source, InFile) and not self.desk.keeps:
            return functional.embedding(which, self.source.mapped()).to(self.source.dtype)
        return functional.embedding(which, self.take())

    @property
    def num_bytes(self) -> int:
        """The bytes of memory that it takes while nothing computes: none, where it is read from a file."""
        if not isinstance(self.source, InMemory | OnHost):
            return 0
        form = self.source.form
        return form.num_bytes if isinstance(form, Packed) else form.nbytes

    def laid_over(self, changes: NetworkChanges, key: str) -> "Kept":
        """Return the weight with the changes of the tensor `key`; this one stays as it is."""
        return replace(self, source=self.source.laid_over(changes, key))


class KeptLinear(nn.Linear):
    """A linear layer whose weight is brought."""

    kept: Kept

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        # A layer that was made to compute in another dtype, as T5 has some, says so in its parameters.
        result = functional.linear(input, self.kept.take().to(self.weight.dtype), self.bias)
        self.kept.done()
        return result


class KeptConv2d(nn.Conv2d):
    """A convolution whose kernels are brought."""

    kept: Kept

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        result = self._conv_forward(input, self.kept.take(), self.bias)
        self.kept.done()
        return result


class KeptEmbedding(nn.Embedding):
    """A table whose rows are brought."""

    kept: Kept

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        result = self.kept.rows(input)
        self.kept.done()
        return result


#: The layers whose weights can be brought, and what they then are.
KEPT: Final[dict[type[nn.Module], type[nn.Module]]] = {
    nn.Linear: KeptLinear,
    nn.Conv2d: KeptConv2d,
    nn.Embedding: KeptEmbedding,
}


KEPT_LAYERS: Final = (KeptLinear, KeptConv2d, KeptEmbedding)


def keep(layer: nn.Module, kept: Kept, shape: Shape, dtype: torch.dtype) -> None:
    """Have `layer`, of a class in `KEPT`, take its weight from `kept`; `shape` and `dtype` are what it says
    of its weight from now on.
    """
    parts: Any = layer
    parts.__class__ = KEPT[type(layer)]
    parts.kept = kept
    describe(parts, shape, dtype)


def describe(layer: Any, shape: Shape, dtype: torch.dtype) -> None:
    """Have the parameter of a layer say what its weight is."""
    empty = torch.empty(shape, dtype=dtype, device="meta")
    layer.weight = nn.Parameter(empty, requires_grad=False)


def _changed(form: Form, changes: NetworkChanges, key: str, origin: InFile | None = None) -> Form:
    """Return the weight with its changes, computed in float32, kept as it was: in eight bits again, else a
    model with an adapter would take twice the memory. What is in eight bits is taken from its `origin` once
    more, where that is known: rounded twice, its error would be 3 dB larger.
    """
    if not isinstance(form, Packed):
        numbers = form.to("cpu", torch.float32).numpy()
        return torch.from_numpy(changes.applied(key, numbers)).to(form.device, form.dtype)
    if origin is not None:
        return _packed_over(origin, changes, key)
    numbers = replace(form, dtype=torch.float32).whole().cpu().numpy()
    storage = "int8" if form.data.dtype == torch.int8 else "float8"
    return packed(torch.from_numpy(changes.applied(key, numbers)).to(form.data.device), storage, form.dtype)


def _packed_over(origin: InFile, changes: NetworkChanges, key: str) -> Packed:
    """Return a weight of a file with its changes, packed as `origin` says."""
    before = replace(origin, storage="whole", dtype=torch.float32).load()
    made = packed(torch.from_numpy(changes.applied(key, whole(before).numpy())), origin.storage, origin.dtype)
    origin.let_go()
    return made

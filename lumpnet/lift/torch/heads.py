"""attention: torch's own operator, and the same written out as products and a softmax.

Queries, keys and values are followed to the values (batch, tokens, heads * width)
that they are arrangements of; so is the output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import torch
from torch.fx import Node as FxNode

from lumpnet.ir import FLOATS
from lumpnet.lift.arrangement import Arrangement, base
from lumpnet.lift.torch.call import Call, kernel_scalar
from lumpnet.lift.torch.layouts import Layouts, Place
from lumpnet.lift.torch.names import stack_of
from lumpnet.lift.torch.operands import Form, Operand, Param

Env = dict[FxNode, Operand]
MASKS = frozenset(
    f"aten.{name}"
    for name in (
        *("eq.Scalar", "ne.Scalar", "gt.Scalar", "lt.Scalar", "ge.Scalar", "le.Scalar", "eq.Tensor", "gt.Tensor", "lt.Tensor", "ge.Tensor", "le.Tensor"),
        *("logical_not.default", "bitwise_not.default", "tril.default", "triu.default", "ones.default", "zeros.default", "full.default", "arange.default"),
        *("ones_like.default", "zeros_like.default", "full_like.default", "masked_fill.Scalar", "_to_copy.default", "to.dtype", "scalar_tensor.default"),
        *("alias.default", "clone.default", "slice.Tensor", "select.int", "unsqueeze.default", "view.default", "reshape.default", "expand.default"),
        *("transpose.int", "permute.default", "lift_fresh_copy.default"),
    )
)
"""What constant masks are made of."""
MAX_MASK = 1 << 24


def attended(call: Call, layouts: Layouts, env: Env) -> Place | None:
    """The attention that a call is, as a node and the arrangement that the call's value is of it; None where it is none."""
    target = str(call.target)
    if target == "aten.scaled_dot_product_attention.default":
        return _own(call, layouts)
    return _written(call, layouts, env) if target in ("aten.matmul.default", "aten.bmm.default") else None


def _own(call: Call, layouts: Layouts) -> Place | None:
    places = [layouts.of(call[name]) for name in ("query", "key", "value")]
    if call["attn_mask"] is not None or call["dropout_p"] != 0 or type(call["is_causal"]) is not bool or None in places:
        return None
    q, k, v = (place for place in places if place is not None)
    width = q[1].sizes[-1]
    scale = call["scale"] if call["scale"] is not None else 1 / math.sqrt(width) if isinstance(width, int) and width else None
    return _node(call, layouts, (q, k, v), kernel_scalar(scale, call.dtype), call["is_causal"], bool(call["enable_gqa"]))


def _node(call: Call, layouts: Layouts, places: tuple[Place, Place, Place], scale: float | None, causal: bool, grouped: bool) -> Place | None:
    """Operands arranged as (batch, heads, tokens, width), or (batch, tokens, width)."""
    sizes: list[Any] = [_four(arranged) for _, arranged in places]
    if scale is None or call.dtype not in FLOATS or None in sizes or any(value.dtype != call.dtype for value, _ in places):
        return None
    (heads, t, d), (kv, s, deep), (its, s2, dv) = sizes
    if d != deep or s != s2 or kv != its or heads % kv or (heads != kv and not grouped) or (causal and t != s):
        return None
    stack = stack_of(call.node)
    made = [layouts.make(stack, (value, _side_by_side(arranged))) for value, arranged in places]
    values = tuple(value for value in made if value is not None)
    if len(values) < 3:
        return None
    attrs = {"heads": heads, "kv_heads": kv, "scale": scale, "causal": causal}
    out = layouts.emit(stack, Form("attention", values, attrs, shape=(None, t, heads * dv)))
    flat = base([t, heads * dv])
    if len(places[0][1].dims) == 3:
        return out, flat
    apart = flat.reshape([(1,), t, heads, dv])
    return (out, apart.permute([0, 2, 1, 3])) if apart is not None else None


def _four(arranged: Arrangement) -> tuple[int, int, int] | None:
    """Heads, tokens, width."""
    if not arranged.is_batch_first() or len(arranged.dims) not in (3, 4):
        return None
    sizes = [n for n in arranged.sizes[1:] if isinstance(n, int)]
    return (sizes[0], sizes[1], sizes[2]) if len(sizes) == 3 else (1, sizes[0], sizes[1])


def _side_by_side(arranged: Arrangement) -> Arrangement:
    """(batch, heads, tokens, width) as (batch, tokens, heads * width)."""
    if len(arranged.dims) == 3:
        return arranged
    heads, t, width = (n for n in arranged.sizes[1:] if isinstance(n, int))
    found = arranged.permute([0, 2, 1, 3]).reshape([(1,), t, heads * width])
    assert found is not None
    return found


# -- written out ----------------------------------------------------------------------------------


def _written(call: Call, layouts: Layouts, env: Env) -> Place | None:
    """`softmax(mask(scale * (q @ k^T))) @ v`."""
    weights, v = (_plain(node) for node in call.node.args[:2])
    if str(weights.target) not in ("aten.softmax.int", "aten._softmax.default") or weights.args[1] not in (-1, weights.meta["val"].ndim - 1):
        return None
    scores, causal = _unmasked(_plain(weights.args[0]), env)
    product, scale = _unscaled(scores, call.dtype, env) if scores is not None else (None, None)
    if product is None or scale is None or str(product.target) not in ("aten.matmul.default", "aten.bmm.default"):
        return None
    places = [layouts.of(env.get(node)) for node in (product.args[0], product.args[1], v) if isinstance(node, FxNode)]
    if len(places) < 3 or any(place is None or len(place[1].dims) not in (3, 4) for place in places):
        return None
    q, k, value = (place for place in places if place is not None)
    rank = len(k[1].dims)
    turned = k[0], k[1].permute([*range(rank - 2), rank - 1, rank - 2])
    same_type = all(node.meta["val"].dtype == call.node.meta["val"].dtype for node in (weights, product))
    return _node(call, layouts, (q, turned, value), scale, causal, False) if same_type else None


def _plain(node: Any) -> FxNode:
    """Behind copies and dropouts that do nothing."""
    while isinstance(node, FxNode) and str(node.target) in ("aten.clone.default", "aten.alias.default", "aten.contiguous.default", "aten.detach.default"):
        node = node.args[0]
    found: FxNode = node
    return found


def _unmasked(node: FxNode, env: Env) -> tuple[FxNode | None, bool]:
    """The scores without a causal mask, and whether there was one; None for any other mask."""
    target, args = str(node.target), node.args
    if target == "aten.masked_fill.Scalar" and args[2] == -math.inf:
        hidden = _constant(args[1], env)
        return (_plain(args[0]), True) if hidden is not None and _is_causal(~hidden.bool(), node) else (None, True)
    if target in ("aten.where.self", "aten.where.ScalarOther"):
        other = _constant(args[2], env) if isinstance(args[2], FxNode) else torch.tensor(args[2])
        seen = _constant(args[0], env)
        if seen is None or other is None or not bool((other == -math.inf).all()) or not isinstance(args[1], FxNode):
            return None, True
        return (_plain(args[1]), True) if _is_causal(seen.bool(), node) else (None, True)
    if target == "aten.add.Tensor" and isinstance(args[1], FxNode) and isinstance(env.get(args[1]), Param):
        mask = _constant(args[1], env)
        plain = mask is not None and bool(((mask == 0) | (mask == -math.inf)).all()) and not node.kwargs
        return (_plain(args[0]), True) if mask is not None and plain and _is_causal(mask == 0, node) else (None, True)
    return node, False


def _is_causal(seen: torch.Tensor, node: FxNode) -> bool:
    """Whether the mask shows every query the keys up to its own place, whatever it is broadcast to."""
    t, s = node.meta["val"].shape[-2:]
    if seen.ndim < 2 or tuple(seen.shape[-2:]) != (t, s) or t != s or any(n != 1 for n in seen.shape[:-2]):
        return False
    return torch.equal(seen.reshape(t, s), torch.ones(t, s, dtype=torch.bool).tril())


def _constant(node: Any, env: Env) -> torch.Tensor | None:
    """The value of an expression of stored tensors alone."""
    if not isinstance(node, FxNode):
        return None
    known = env.get(node)
    if isinstance(known, Param):
        return known.tensor
    value = node.meta.get("val")
    if str(node.target) not in MASKS or not isinstance(value, torch.Tensor) or any(type(n) is not int for n in value.shape) or value.numel() > MAX_MASK:
        return None
    found = dict(_constants(node, env))
    if len(found) < len(node.all_input_nodes):
        return None
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: found[n])
    with torch.no_grad():
        made: torch.Tensor = node.target(*args, **kwargs)  # type: ignore[operator]
    return made


def _constants(node: FxNode, env: Env) -> Iterator[tuple[FxNode, torch.Tensor]]:
    for source in node.all_input_nodes:
        value = _constant(source, env)
        if value is not None:
            yield source, value


def _unscaled(node: FxNode, dtype: str, env: Env) -> tuple[FxNode | None, float | None]:
    """The product of queries and keys, and the number that it is multiplied by."""
    target = str(node.target)
    if target not in ("aten.mul.Tensor", "aten.mul.Scalar", "aten.div.Tensor", "aten.div.Scalar"):
        return node, 1.0
    number = _number(node.args[1], dtype, env)
    if number is not None and target.startswith("aten.div"):
        number = 1 / number if number and Fraction(1 / number) * Fraction(number) == 1 else None
    source = node.args[0]
    return (_plain(source), number) if number is not None and isinstance(source, FxNode) else (None, None)


def _number(value: Any, dtype: str, env: Env) -> float | None:
    if not isinstance(value, FxNode):
        return kernel_scalar(value, dtype) if dtype in FLOATS else None
    held = env.get(value)
    if isinstance(held, Param) and held.tensor.numel() == 1 and str(held.tensor.dtype) == f"torch.{dtype}" and held.tensor.ndim == 0:
        return kernel_scalar(float(held.tensor), dtype)
    return None

"""The coarsest exact lumping again, by brute force: a second reading of the rules to hold the product against.

Everything is `Fraction`s over all pairs of units, for networks with a handful
of units a layer. It shares nothing with the product but the graph.

For each value and each pair of units (i, j) there is a relation `x_i = r x_j + c`
or none; a constant unit may leave. Nodes forbid pairs (`cut`) and constants to
leave (`keep`) until nothing more is forbidden. Units that no output observes
forbid nothing; which units those are is computed from the relations, starting
from the outputs alone, and both grow together until stable. Two units that are constant and must stay are `free`:
any ratio is true of them, so they take the ratio that a neighbour needs
(`wish`), and the ratio of their values where no neighbour cares.
"""

from __future__ import annotations

import math
from fractions import Fraction as F
from itertools import combinations, product

import numpy as np

from lumpnet.ir import Graph, Node
from tests.reference_recurrent import GATES as RECURRENT
from tests.reference_recurrent import Cell

ELEMENTWISE = {"relu", "tanh", "sigmoid", "silu", "identity", "dropout", "leaky_relu", "hardtanh", "gelu", "mul_constant", "add_constant"}
POOLS = {"max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"}


def reference_counts(graph: Graph) -> dict[str, int]:
    """Columns that stay, for every value whose units can be followed."""
    return Reference(graph).counts()


# -- numbers: Fraction, or (a, b, r) for the irrational a + b*sqrt(r) -------------------------


def root(q: F) -> F | None:
    n, d = math.isqrt(q.numerator), math.isqrt(q.denominator)
    return F(n, d) if q >= 0 and n * n == q.numerator and d * d == q.denominator else None


def plus(x, y):
    if x is None or y is None:
        return None
    if isinstance(x, F) and isinstance(y, F):
        return x + y
    if isinstance(x, F):
        x, y = y, x
    return (x[0] + y, x[1], x[2]) if isinstance(y, F) else None


def times(x, k: F):
    if x is None:
        return None
    if isinstance(x, F):
        return x * k
    return (x[0] * k, x[1] * k, x[2]) if k else F(0)


def sign(x) -> int:
    if isinstance(x, F):
        return (x > 0) - (x < 0)
    a, b, r = x
    low, high = F(math.isqrt(int(r * 4**400)), 2**400), F(math.isqrt(int(r * 4**400)) + 1, 2**400)
    one, two = a + b * low, a + b * high
    assert (one > 0) == (two > 0), "undecided at 400 bits"
    return 1 if one > 0 else -1


def less(x, y, r: F) -> F | None:
    """x - r y where that is rational, else None."""
    if isinstance(x, F) and isinstance(y, F):
        return x - r * y
    if isinstance(x, F) or isinstance(y, F) or x is None or y is None:
        return None
    k = root(x[2] / y[2])
    return x[0] - r * y[0] if k is not None and x[1] * k == r * y[1] else None


def canonical(x, y) -> F | None:
    """The ratio that relates two constants when nobody else cares: x / y, or the only one that irrational numbers allow."""
    if isinstance(x, F) and isinstance(y, F):
        if x == 0 or y == 0:
            return F(1) if x == y else None
        return x / y
    if isinstance(x, F) or isinstance(y, F) or x is None or y is None:
        return None
    k = root(x[2] / y[2])
    return None if k is None else x[1] * k / y[1]


class Reference:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.nodes = {n.name: n for n in graph.nodes}
        self.axis: dict[str, int | None] = {v.name: None for v in graph.inputs}
        self.source: dict[str, list[tuple[int, object]]] = {}
        for node in graph.nodes:
            self.axis[node.name] = self._axis(node)
        self.n = {v.name: 1 if self.axis[v.name] is None else v.shape[self.axis[v.name]] for v in graph.values()}
        self.params = {n.name: {k: _fractions(t) for k, t in graph.params_of(n).items() if t.dtype.kind == "f"} for n in graph.nodes}
        self.ties = self._ties()
        self.forced: set[tuple[str, int]] = set()
        self._border: dict[str, list[bool]] = {}
        self._solve()

    def counts(self) -> dict[str, int]:
        out = {}
        for v, axis in self.axis.items():
            if axis is not None:
                units = [i for i in range(self.n[v]) if self.pres[v][i] and self.alive[v][i]]
                out[v] = sum(not any(j < i and self.rel(v, i, j) for j in units) for i in units)
        return out

    # -- structure ----------------------------------------------------------------------------

    def _axis(self, node: Node) -> int | None:
        ins = [self.axis[v] for v in node.inputs]
        shapes = [self.graph.value(v).shape for v in node.inputs]
        kind = node.kind
        if kind == "linear":
            return len(node.shape) - 1 if ins[0] in (None, len(node.shape) - 1) else None
        if kind in RECURRENT:
            return 2 if ins[0] in (None, 2) else None
        if kind == "conv":
            depthwise = node.attrs["groups"] > 1 and self.graph.tensors[node.params["weight"]].shape[1] == 1
            return 1 if ins[0] in (None, 1) and (node.attrs["groups"] == 1 or depthwise) else None
        if kind == "batch_norm" or kind in POOLS:
            return 1 if ins[0] == 1 else None
        if kind in ("mul_constant", "add_constant"):
            tensor = self.graph.params_of(node)["factor" if kind == "mul_constant" else "term"]
            return ins[0] if tensor.ndim == 0 or ins[0] == node.attrs["axis"] else None
        if kind in ELEMENTWISE:
            return ins[0]
        if kind in ("add", "mul"):
            known = {a for a in ins if a is not None}
            if len(known) != 1:
                return None
            (axis,) = known
            return axis if all(s[axis] == node.shape[axis] for s in shapes) else None
        if kind == "concat":
            known = {a for a in ins if a is not None}
            return node.attrs["axis"] if known == {node.attrs["axis"]} else None
        if kind == "mean":
            if ins[0] is None or ins[0] in node.attrs["axes"]:
                return None
            return ins[0] if node.attrs["keepdim"] else ins[0] - sum(a < ins[0] for a in node.attrs["axes"])
        if kind in ("reshape", "permute"):
            return self._moved(node, ins[0], shapes[0])
        return None

    def _moved(self, node: Node, axis: int | None, shape) -> int | None:
        if axis is None:
            return None
        entries = np.arange(math.prod(shape[1:])).reshape(1, *shape[1:])
        moved = entries.reshape(1, *node.attrs["shape"]) if node.kind == "reshape" else entries.transpose(node.attrs["dims"])
        where = [np.unravel_index(int(e), shape[1:]) for e in range(entries.size)]
        for k in range(1, moved.ndim):
            slices = np.moveaxis(moved, k, 0).reshape(moved.shape[k], -1)
            units = [{where[e][axis - 1] for e in row} for row in slices.tolist()]
            if all(len(u) == 1 for u in units):
                slots = [tuple(tuple(ix for a, ix in enumerate(where[e]) if a != axis - 1) for e in row) for row in slices.tolist()]
                self.source[node.name] = [(next(iter(u)), s) for u, s in zip(units, slots, strict=True)]
                return k
        return None

    def _ties(self) -> list[tuple[str, str, str, str]]:
        """(output, output, node, node) and (operand, operand, node, node) around shared tensors."""
        found = []
        for a, b in combinations([n for n in self.graph.nodes if n.kind in ("linear", "conv")], 2):
            if a.kind == b.kind and set(a.params.values()) & set(b.params.values()):
                found.append((a.name, b.name, a.name, b.name))
                if a.inputs[0] != b.inputs[0]:
                    found.append((a.inputs[0], b.inputs[0], a.name, b.name))
        return found

    def mixes(self, node: Node) -> bool:
        """Linear or full convolution: columns of the output are not the operand's."""
        return node.kind == "linear" or (node.kind == "conv" and node.attrs["groups"] == 1)

    def sources(self, node: Node) -> list[tuple[int, object]]:
        """For operators with one operand and shared columns: (operand unit, slot) of each output unit."""
        if node.name in self.source:
            return self.source[node.name]
        if node.kind == "conv":
            m = self.n[node.name] // node.attrs["groups"]
            return [(j // m, j % m) for j in range(self.n[node.name])]
        return [(j, 0) for j in range(self.n[node.name])]

    def operand(self, node: Node, k: int):
        """(pres, val, rel) of operand k as this node sees it; an operand without a unit axis is whole."""
        name = node.inputs[k]
        if self.axis[name] is not None:
            return self.pres[name], self.val[name], lambda i, j: self.rel(name, i, j)
        size = self.operand_size(node, k)
        return [True] * size, [None] * size, lambda i, j: (F(1), F(0)) if i == j else None

    def operand_size(self, node: Node, k: int) -> int:
        name = node.inputs[k]
        shape = self.graph.value(name).shape
        if self.axis[name] is not None:
            return self.n[name]
        return shape[-1] if node.kind == "linear" or node.kind in RECURRENT else shape[1] if node.kind == "conv" else shape[self.axis[node.name]]

    def border(self, node: Node) -> list[bool]:
        """Which taps (row-major) some output position reads in the padding."""
        if node.name not in self._border:
            if node.kind == "linear":
                return [False]
            a, sizes = node.attrs, self.graph.value(node.inputs[0]).shape[2:]
            kernel = self.graph.tensors[node.params["weight"]].shape[2:]
            taps = []
            for tap in product(*map(range, kernel)):
                taps.append(
                    any(
                        not all(0 <= p * s - q + t * d < n for p, s, q, t, d, n in zip(at, a["stride"], a["padding"], tap, a["dilation"], sizes, strict=True))
                        for at in product(*map(range, node.shape[2:]))
                    )
                )
            self._border[node.name] = taps
        return self._border[node.name]

    def weight(self, node: Node) -> np.ndarray:
        w = self.params[node.name]["weight"]
        return w.reshape(*w.shape[:2], -1)

    def entry(self, node: Node, role: str, i: int, default=0) -> F:
        p = self.params[node.name].get(role)
        return F(default) if p is None else p[()] if p.ndim == 0 else p[i]

    # -- the fixpoint -------------------------------------------------------------------------

    def _solve(self) -> None:
        units = {v: range(n) for v, n in self.n.items()}
        self.pres = {v: [True] * n for v, n in self.n.items()}
        self.val = {v: [None] * n for v, n in self.n.items()}
        self.table = {v: {} for v in self.n}  # every unit alone
        self.cut = {v: {frozenset(p) for p in combinations(units[v], 2)} for v in self.n}
        self.nobody()
        everything = self.forced
        self.forced = {(v, i) for v, n in self.n.items() for i in range(n)}
        self.observe()
        self.forced = everything
        self.structural = known = self.alive
        for _ in range(16):
            self.refine(known)
            during = self.alive
            self.nobody()
            self.observe()
            if any(a and not d for v in self.n for a, d in zip(self.alive[v], during[v], strict=True)):
                self.alive = during  # another operand was chosen for a map that reads none: what was solved for is consistent
            settled = all(not p or k == a for v in self.n for p, k, a in zip(self.pres[v], known[v], self.alive[v], strict=True))
            if settled and not self._force():
                return
            known = self.structural if settled else self.alive

    def nobody(self) -> None:
        self.alive = {v: [False] * n for v, n in self.n.items()}

    def rel(self, v: str, i: int, j: int):
        if i == j:
            return F(1), F(0)
        return None if frozenset((i, j)) in self.cut[v] else self.table[v].get((i, j))

    def refine(self, known) -> None:
        """Lumping and observability together, from nothing forbidden and the outputs alone observed.

        Units outside `known` were found unread: they are not merged with others.
        """
        self.nobody()
        self.cut = {v: set() for v in self.n}
        self.keep = {v: set() for v in self.n}
        self.wish = {v: {} for v in self.n}
        for v in self.n:
            for i, j in combinations(range(self.n[v]), 2):
                if known[v][i] != known[v][j] or not (self.structural[v][i] and self.structural[v][j]):
                    self._cut(v, i, j)
        for v in self.graph.outputs:
            self._pin(v)
        while True:
            self.forward()
            self.changed = False
            self.observe()
            for node in reversed(self.graph.nodes):
                self.wishes(node)
            if self.changed:
                continue
            for node in self.graph.nodes:
                self.forbid(node)
            for one, two, a, b in self.ties:
                if any(self.alive[a]) and any(self.alive[b]):
                    self._tie(one, two)
            if not self.changed:
                return

    def _pin(self, v: str) -> None:
        if self.axis[v] is not None:
            self._keep(v, range(self.n[v]))
            for i, j in combinations(range(self.n[v]), 2):
                self._cut(v, i, j)

    def _keep(self, v: str, which) -> None:
        new = set(which) - self.keep[v]
        self.keep[v] |= new
        self.changed |= any(not self.pres[v][i] for i in new)

    def _cut(self, v: str, i: int, j: int) -> None:
        if i != j and self.axis[v] is not None and frozenset((i, j)) not in self.cut[v]:
            self.cut[v].add(frozenset((i, j)))
            self.changed = True

    def _wish(self, v: str, i: int, j: int, r: F) -> None:
        if i != j and self.axis[v] is not None and (i, j) not in self.wish[v] and self.val[v][i] is not None and self.val[v][j] is not None:
            self.wish[v][i, j], self.wish[v][j, i] = r, 1 / r
            self.changed = True

    def free(self, v: str, i: int, j: int, x, y):
        """Two constants: any ratio is true of them."""
        r = self.wish[v].get((i, j)) or canonical(x, y)
        c = less(x, y, r) if r is not None else None
        return (r, c) if c is not None else None

    # -- forward: relations of the output from the operands' ----------------------------------

    def forward(self) -> None:
        for v in self.graph.inputs:
            self.pres[v.name], self.val[v.name], self.table[v.name] = [True], [None], {}
        for node in self.graph.nodes:
            v, n = node.name, self.n[node.name]
            if self.axis[v] is None:
                self.pres[v], self.val[v], self.table[v] = [True], [None], {}
                continue
            if node.kind in RECURRENT:
                pres, val, pair = self._recur(node)
            elif self.mixes(node):
                pres, val, pair = self._mix(node)
            elif node.kind in ("add", "mul"):
                pres, val, pair = (self._add if node.kind == "add" else self._mul)(node)
            elif node.kind == "concat":
                pres, val, pair = self._concat(node)
            else:
                pres, val, pair = self._unary(node)
            self.val[v] = val
            self.pres[v] = [p or i in self.keep[v] for i, p in enumerate(pres)]
            self.table[v] = {(i, j): found for i in range(n) for j in range(n) if i != j and (found := pair(i, j)) is not None}

    def classes(self, pres, rel) -> list[int]:
        """For each present unit the first unit it is related to, for others -1."""
        return [next(j for j in range(i + 1) if pres[j] and rel(i, j)) if pres[i] else -1 for i in range(len(pres))]

    def collapsed(self, node: Node):
        """rows[i] = {(column, tap): coefficient != 0}; shift[i] = what offsets and bias add (rational constants only)."""
        pres, val, rel = self.operand(node, 0)
        w, cls = self.weight(node), self.classes(pres, rel)
        rows, shift = [], []
        for i in range(len(w)):
            row: dict[tuple[object, int], F] = {}
            total = self.entry(node, "bias", i)
            for j, t in product(range(w.shape[1]), range(w.shape[2])):
                if pres[j]:
                    r, c = rel(j, cls[j])
                    row[cls[j], t] = row.get((cls[j], t), F(0)) + w[i, j, t] * r
                    total += w[i, j, t] * c
                elif isinstance(val[j], F):
                    total += w[i, j, t] * val[j]
                else:
                    row["irrational", j, t] = w[i, j, t]
            rows.append({k: q for k, q in row.items() if q})
            shift.append(total)
        return rows, shift

    def _mix(self, node: Node):
        rows, shift = self.collapsed(node)

        def pair(i, j):
            if not rows[i] and not rows[j]:
                return self.free(node.name, i, j, shift[i], shift[j])
            if rows[i].keys() != rows[j].keys():
                return None
            ratios = {rows[i][k] / rows[j][k] for k in rows[i]}
            return (r := ratios.pop(), shift[i] - r * shift[j]) if len(ratios) == 1 else None

        return [bool(row) for row in rows], [None if row else s for row, s in zip(rows, shift, strict=True)], pair

    def cell(self, node: Node) -> Cell:
        return Cell(node, self.params[node.name], self.operand(node, 0), self.classes)

    def _recur(self, node: Node):
        """Kept and cut units take part in the hypothesis; what a unit is worth does not depend on them."""
        cell, v = self.cell(node), node.name
        always, _ = cell.solve()
        zero, ratios = cell.within(self.keep[v], self.cut[v])
        n = self.n[v]
        return (
            [i not in zero for i in range(n)],
            [F(0) if i in always else None for i in range(n)],
            lambda i, j: (ratios[i, j], F(0)) if (i, j) in ratios else None,
        )

    def _add(self, node: Node):
        (pa, va, ra), (pb, vb, rb) = self.operand(node, 0), self.operand(node, 1)
        val = [plus(x, y) for x, y in zip(va, vb, strict=True)]
        pres = [a or b or v is None for a, b, v in zip(pa, pb, val, strict=True)]

        def pair(i, j):
            const_a, const_b = [va[i] is not None and va[j] is not None, vb[i] is not None and vb[j] is not None]
            if const_a and const_b:
                return self.free(node.name, i, j, val[i], val[j]) if val[i] is not None and val[j] is not None else None
            if const_a or const_b:
                (x, r, p), q = ((va, rb(i, j), pb), pa) if const_a else ((vb, ra(i, j), pa), pb)
                if r is None or not (p[i] and p[j]) or q[i] != q[j]:
                    return None
                c = less(x[i], x[j], r[0])
                return (r[0], r[1] + c) if c is not None else None
            one, two = ra(i, j), rb(i, j)
            ok = one and two and one[0] == two[0] and all(p[k] for p in (pa, pb) for k in (i, j))
            return (one[0], one[1] + two[1]) if ok else None

        return pres, val, pair

    def passing(self, node: Node) -> int | None:
        """The operand of an add that goes on alone, because the other is constant in all its observed units and leaves."""
        for k in (0, 1):
            v, seen = self.operand(node, 1 - k)[1], [self._view(node.inputs[m], i) for m in (k, 1 - k) for i in range(self.n[node.name])]
            mine, other = (any(p and a for p, a in part) for part in (seen[: self.n[node.name]], seen[self.n[node.name] :]))
            rational = all(isinstance(v[i], F) or seen[self.n[node.name] + i][0] or not self.alive[node.name][i] for i in range(self.n[node.name]))
            if mine and not other and rational and self.graph.value(node.inputs[k]).shape == node.shape:
                return k
        return None

    def _mul(self, node: Node):
        (pa, va, ra), (pb, vb, rb) = self.operand(node, 0), self.operand(node, 1)
        n = self.n[node.name]
        val, pres = [], []
        for i in range(n):
            x, y = va[i], vb[i]
            if x == 0 or y == 0:
                val.append(F(0))
            elif x is None or y is None or not (isinstance(x, F) or isinstance(y, F)):
                val.append(None)
            else:
                val.append(times(x, y) if isinstance(y, F) else times(y, x))
            gone = (x == 0 and not pa[i]) or (y == 0 and not pb[i]) or (not pa[i] and not pb[i] and val[i] is not None)
            pres.append(not gone)

        def pair(i, j):
            if val[i] is not None and val[j] is not None:
                return self.free(node.name, i, j, val[i], val[j])
            if val[i] is not None or val[j] is not None:
                return None
            one, two = ra(i, j), rb(i, j)
            return (one[0] * two[0], F(0)) if one and two and one[1] == 0 and two[1] == 0 else None

        return pres, val, pair

    def parts(self, node: Node) -> list[tuple[int, int]]:
        return [(k, i) for k in range(len(node.inputs)) for i in range(self.operand_size(node, k))]

    def _concat(self, node: Node):
        parts = self.parts(node)
        ops = [self.operand(node, k) for k in range(len(node.inputs))]
        pres, val = [ops[k][0][i] for k, i in parts], [ops[k][1][i] for k, i in parts]

        def pair(i, j):
            (k, a), (m, b) = parts[i], parts[j]
            return ops[k][2](a, b) if k == m else None

        return pres, val, pair

    def _unary(self, node: Node):
        px, vx, rx = self.operand(node, 0)
        src = self.sources(node)
        n = len(src)
        fixed = [self.fixed(node, j) for j in range(n)]
        val = [fixed[j] if fixed[j] is not None else None if vx[src[j][0]] is None else self.image(node, j, vx[src[j][0]]) for j in range(n)]
        pres = [fixed[j] is None and (px[src[j][0]] or val[j] is None) for j in range(n)]

        def pair(j, k):
            if src[j][1] != src[k][1] or src[j][0] == src[k][0]:
                return None
            if fixed[j] is not None and fixed[k] is not None:
                return self.free(node.name, j, k, fixed[j], fixed[k])
            if fixed[j] is not None or fixed[k] is not None:
                return None
            x = rx(src[j][0], src[k][0])
            return None if x is None else self.row(node, j, k, *x)

        return pres, val, pair

    # -- one operand, shared columns: what a number and a row become ---------------------------

    def fixed(self, node: Node, j: int) -> F | None:
        """The constant that output unit j equals whatever the operand is."""
        if node.kind == "batch_norm" and "weight" in node.params and self.entry(node, "weight", j) == 0:
            return self.entry(node, "bias", j)
        if node.kind == "mul_constant" and self.entry(node, "factor", j) == 0:
            return F(0)
        if node.kind == "conv" and not any(self.weight(node)[j].reshape(-1)):
            return self.entry(node, "bias", j)
        return None

    def variance(self, node: Node, i: int) -> F:
        return self.entry(node, "var", i) + F(node.attrs["eps"])

    def at_border(self, node: Node, j: int) -> bool:
        return any(w != 0 and b for w, b in zip(self.weight(node)[j].reshape(-1), self.border(node), strict=True))

    def image(self, node: Node, j: int, c):
        """f(c), or None when it has no name."""
        kind, a = node.kind, node.attrs
        if kind in ("identity", "dropout", "reshape", "permute", "mean", "adaptive_avg_pool", "adaptive_max_pool"):
            return c
        if kind == "relu":
            return c if sign(c) > 0 else F(0)
        if kind == "leaky_relu":
            return c if sign(c) > 0 else times(c, F(a["slope"]))
        if kind in ("tanh", "gelu", "silu"):
            return F(0) if c == 0 else None
        if kind == "sigmoid":
            return F(1, 2) if c == 0 else None
        if kind == "hardtanh":
            low, high = F(a["min"]), F(a["max"])
            return high if sign(plus(c, -high)) >= 0 else low if sign(plus(c, -low)) <= 0 else c
        if kind == "mul_constant":
            return times(c, self.entry(node, "factor", j))
        if kind == "add_constant":
            return plus(c, self.entry(node, "term", j))
        if kind == "batch_norm":
            if not isinstance(c, F):
                return None
            v, top = self.variance(node, j), self.entry(node, "weight", j, 1) * (c - self.entry(node, "mean", j))
            s, beta = root(v), self.entry(node, "bias", j)
            return beta + top / s if s is not None else (beta, top / v, v) if top else beta
        if kind == "conv":
            if c != 0 and self.at_border(node, j):
                return None
            total = sum(self.weight(node)[j].reshape(-1), F(0))
            return plus(times(c, total), self.entry(node, "bias", j))
        if kind == "max_pool":
            return c if self._real_windows(node) else None
        assert kind == "avg_pool", kind
        return c if c == 0 or self._sums_to_one(node) else None

    def _real_windows(self, node: Node) -> bool:
        a, shape = node.attrs, self.graph.value(node.inputs[0]).shape[2:]
        for n, k, s, p, d, count in zip(shape, a["kernel"], a["stride"], a["padding"], a["dilation"], node.shape[2:], strict=True):
            if not all(any(0 <= at * s - p + t * d < n for t in range(k)) for at in range(count)):
                return False
        return True

    def _sums_to_one(self, node: Node) -> bool:
        return node.attrs["divisor_override"] is None and not (node.attrs["count_include_pad"] and any(node.attrs["padding"]))

    def row(self, node: Node, j: int, k: int, r: F, c: F):
        """Operand units in relation x_j = r x_k + c: the relation of the output units j and k, or None."""
        kind = node.kind
        if kind in ("identity", "dropout", "reshape", "permute", "mean", "adaptive_avg_pool"):
            return r, c
        if kind in ("relu", "leaky_relu"):
            return (r, F(0)) if r > 0 and c == 0 else None
        if kind == "tanh" or (kind == "hardtanh" and node.attrs["min"] == -node.attrs["max"]):
            return (r, F(0)) if abs(r) == 1 and c == 0 else None
        if kind == "sigmoid":
            return None if abs(r) != 1 or c != 0 else (r, F(0) if r == 1 else F(1))
        if kind in ("gelu", "silu", "hardtanh"):
            return (F(1), F(0)) if (r, c) == (1, 0) else None
        if kind in ("max_pool", "adaptive_max_pool"):
            return (r, c) if r > 0 else None
        if kind == "avg_pool":
            return (r, c) if c == 0 or self._sums_to_one(node) else None
        if kind == "add_constant":
            return r, c + self.entry(node, "term", j) - r * self.entry(node, "term", k)
        if kind == "mul_constant":
            return r * self.entry(node, "factor", j) / self.entry(node, "factor", k), c * self.entry(node, "factor", j)
        if kind == "batch_norm":
            q = root(self.variance(node, k) / self.variance(node, j))
            if q is None:
                return None
            ratio = r * q * self.entry(node, "weight", j, 1) / self.entry(node, "weight", k, 1)
            offset = self.entry(node, "bias", j) - ratio * self.entry(node, "bias", k)
            moved, s = c - self.entry(node, "mean", j) + r * self.entry(node, "mean", k), root(self.variance(node, j))
            if moved != 0 and s is None:
                return None
            return ratio, offset + (self.entry(node, "weight", j, 1) * moved / s if moved else 0)
        assert kind == "conv", kind
        one, two = self.weight(node)[j].reshape(-1), self.weight(node)[k].reshape(-1)
        if [bool(w) for w in one] != [bool(w) for w in two]:
            return None
        ratios = {a / b for a, b in zip(one, two, strict=True) if b}
        if len(ratios) != 1 or (c != 0 and self.at_border(node, j)):
            return None
        ratio = r * ratios.pop()
        return ratio, sum(one, F(0)) * c + self.entry(node, "bias", j) - ratio * self.entry(node, "bias", k)

    def _factor(self, node: Node, j: int, k: int) -> F | None:
        """The ratio of the outputs over the ratio of the operands, where the operator has one."""
        if self.fixed(node, j) is not None or self.fixed(node, k) is not None:
            return None
        found = self.row(node, j, k, F(1), F(0)) if node.kind != "batch_norm" else None
        if node.kind == "batch_norm":
            q = root(self.variance(node, k) / self.variance(node, j))
            return None if q is None else q * self.entry(node, "weight", j, 1) / self.entry(node, "weight", k, 1)
        return found[0] if found else None

    # -- what nodes ask of each other ---------------------------------------------------------

    def wishes(self, node: Node) -> None:
        """Ratios for pairs of constants, from the neighbours that need one."""
        v = node.name
        if self.axis[v] is None or not self._lives(v):
            return
        pairs = list(combinations(range(self.n[v]), 2))
        if node.kind in RECURRENT:
            return
        if node.kind == "add" and self.passing(node) is None:
            for i, j in pairs:
                if (found := self.rel(v, i, j)) is not None and self._stays(node, i, j):
                    for name in node.inputs:
                        self._wish(name, i, j, found[0])
        elif node.kind == "concat":
            parts = self.parts(node)
            for i, j in pairs:
                if (i, j) in self.wish[v] and parts[i][0] == parts[j][0]:
                    self._wish(node.inputs[parts[i][0]], parts[i][1], parts[j][1], self.wish[v][i, j])
        elif not self.mixes(node) and node.kind not in ("add", "mul"):
            src = self.sources(node)
            for i, j in pairs:
                if src[i][1] != src[j][1] or (k := self._factor(node, i, j)) is None:
                    continue
                if (i, j) in self.wish[v]:
                    self._wish(node.inputs[0], src[i][0], src[j][0], self.wish[v][i, j] / k)
                elif self._stays(node, i, j) and self.rel(v, i, j) is None:
                    self._wish_below(node, i, j, k, src[i][0], src[j][0])

    def _wish_below(self, node: Node, i: int, j: int, k: F, a: int, b: int) -> None:
        """Two constants that the operator takes apart: another ratio of the operands may keep them together."""
        x = node.inputs[0]
        if self.axis[x] is None or self.val[x][a] is None or self.val[x][b] is None:
            return
        for r in (canonical(self.val[node.name][i], self.val[node.name][j]), F(1), F(-1)):
            c = less(self.val[x][a], self.val[x][b], r / k) if r is not None else None
            if c is not None and (found := self.row(node, i, j, r / k, c)) and found[0] == r:
                self._wish(x, a, b, r / k)
                return

    def _stays(self, node: Node, i: int, j: int) -> bool:
        return all(self.pres[node.name][k] and self.alive[node.name][k] for k in (i, j))

    def _lives(self, v: str) -> bool:
        """Whether the node is in the reduced network at all."""
        return any(p and a for p, a in zip(self.pres[v], self.alive[v], strict=True))

    def forbid(self, node: Node) -> None:
        v = node.name
        if self.axis[v] is None:
            if self.alive[v][0]:
                for name in node.inputs:
                    self._pin(name)
        elif node.kind in RECURRENT:
            self._forbid_recurrent(node)
        elif self.mixes(node):
            self._forbid_mix(node)
        elif self._lives(v):
            if node.kind in ("add", "mul"):
                k = self.passing(node) if node.kind == "add" else None
                names = [*node.inputs, v] if k is None else [node.inputs[k], v]
                self._couple([(name, list(range(self.n[v]))) for name in names])
                if node.kind == "add" and k is None:
                    self._one_ratio(node)
            elif node.kind == "concat":
                parts = self.parts(node)
                for k, name in enumerate(node.inputs):
                    mine = [i for i, (m, _) in enumerate(parts) if m == k]
                    self._couple([(name, list(range(len(mine)))), (v, mine)])
            else:
                self._couple_sources(node)

    def _view(self, name: str, unit: int) -> tuple[bool, bool]:
        """(present, alive) of a unit of a coupled value; a value without units is whole."""
        if self.axis[name] is None:
            return True, self.alive[name][0]
        return self.pres[name][unit], self.alive[name][unit]

    def _couple(self, values: list[tuple[str, list[int]]]) -> None:
        """Values whose columns are the same ones: `values[k] = (name, its unit at each column)`."""
        n = len(values[0][1])
        for i in range(n):
            if any(all(self._view(name, units[i])) for name, units in values):
                for name, units in values:
                    if self.axis[name] is not None:
                        self._keep(name, [units[i]])
        for i, j in combinations(range(n), 2):
            views = [self._view(name, units[k]) for name, units in values for k in (i, j)]
            if all(p for p, _ in views) and any(a for _, a in views):
                related = [self.axis[name] is not None and self.rel(name, units[i], units[j]) is not None for name, units in values]
                if not all(related):
                    for name, units in values:
                        self._cut(name, units[i], units[j])

    def _one_ratio(self, node: Node) -> None:
        for i, j in combinations(range(self.n[node.name]), 2):
            names = [*node.inputs, node.name]
            if all(self._view(m, k)[0] for m in names for k in (i, j)):
                found = [self.rel(m, i, j) if self.axis[m] is not None else None for m in names]
                if any(f is None for f in found) or len({f[0] for f in found}) != 1:
                    for m in names:
                        self._cut(m, i, j)

    def _couple_sources(self, node: Node) -> None:
        x, v, src = node.inputs[0], node.name, self.sources(node)
        slots = {s for _, s in src}
        for slot in sorted(slots, key=repr):
            mine = [j for j, (_, s) in enumerate(src) if s == slot]
            self._couple([(x, [src[j][0] for j in mine]), (v, mine)])
        for i, j in combinations(range(len(src)), 2):
            if src[i][1] != src[j][1]:
                self._cut(v, i, j)

    def _forbid_mix(self, node: Node) -> None:
        pres, val, rel = self.operand(node, 0)
        x, w, v, border = node.inputs[0], self.weight(node), node.name, self.border(node)
        if self.axis[x] is None:
            return
        rows = []
        for i in range(len(w)):
            ghost = self.pres[v][i] and not self.alive[v][i] and any(k != i and self.pres[v][k] and self.rel(v, i, k) for k in range(len(w)))
            if (self.pres[v][i] and self.alive[v][i]) or ghost or (not self.pres[v][i] and self.alive[v][i] and self._uneven(node, i)):
                rows.append(i)
        read = [any(w[i, j, t] != 0 and border[t] for i in rows for t in range(w.shape[2])) for j in range(w.shape[1])]
        for j in range(w.shape[1]):
            if not pres[j]:
                irrational = not isinstance(val[j], F) and any(w[i, j, t] != 0 for i in rows for t in range(w.shape[2]))
                if irrational or (read[j] and val[j] != 0):
                    self._keep(x, [j])
        cls = self.classes(pres, rel)
        for j, k in combinations(range(w.shape[1]), 2):
            if pres[j] and pres[k] and (found := rel(j, k)) and found[1] != 0:
                like = [m for m in range(w.shape[1]) if read[m] and cls[m] == cls[j] and any(r and r[1] == 0 for r in (rel(m, j), rel(m, k)))]
                if like:
                    self._cut(x, j, k)

    def _forbid_recurrent(self, node: Node) -> None:
        """Irrational constants stay where they are read; a layer needs an operand unit."""
        x, v, (pres, val, _) = node.inputs[0], node.name, self.operand(node, 0)
        claims = [i for i in range(self.n[v]) if self.pres[v][i] and (self.alive[v][i] or any(k != i and self.rel(v, i, k) for k in range(self.n[v])))]
        weight = self.params[v]["weight_ih"].reshape(-1, self.n[v], len(pres))
        for j in range(len(pres)):
            if not pres[j] and not isinstance(val[j], F) and any(weight[:, claims, j].reshape(-1)):
                self._keep(x, [j])
        if self._lives(v) and not any(pres):
            self._keep(x, [0])

    def _uneven(self, node: Node, i: int) -> bool:
        """Whether a row that collapses to zero still differs near the padding."""
        pres, val, rel = self.operand(node, 0)
        w, cls = self.weight(node), self.classes(pres, rel)
        offsets = [rel(j, cls[j])[1] if pres[j] else val[j] for j in range(len(pres))]
        return any(b and sum((w[i, j, t] * o for j, o in enumerate(offsets) if isinstance(o, F)), F(0)) != 0 for t, b in enumerate(self.border(node)))

    def _tie(self, one: str, two: str) -> None:
        if self.axis[one] is None or self.axis[two] is None or self.n[one] != self.n[two]:
            self._pin(one)
            self._pin(two)
            return
        for i in range(self.n[one]):
            a, b = self.pres[one][i], self.pres[two][i]
            if a or b or self.val[one][i] != self.val[two][i]:
                self._keep(one, [i])
                self._keep(two, [i])
        for i, j in combinations(range(self.n[one]), 2):
            if all(self.pres[m][k] for m in (one, two) for k in (i, j)) and self.rel(one, i, j) != self.rel(two, i, j):
                self._cut(one, i, j)
                self._cut(two, i, j)

    # -- observability ------------------------------------------------------------------------

    def observe(self) -> None:
        """More units that the outputs read under the present classes."""
        for v in self.graph.outputs:
            for i in range(self.n[v]):
                self._revive(v, i)
        before = None
        while before != self.alive:
            before = {v: list(a) for v, a in self.alive.items()}
            for node in reversed(self.graph.nodes):
                self._observe(node)
            for one, two, a, b in self.ties:
                if any(self.alive[a]) and any(self.alive[b]) and self.n[one] == self.n[two] and self.axis[one] is not None and self.axis[two] is not None:
                    for i in range(self.n[one]):
                        if any(self.pres[m][i] and self.alive[m][i] for m in (one, two)):
                            self._revive(one, i)
                            self._revive(two, i)

    def _revive(self, v: str, unit: int) -> None:
        unit = unit if self.axis[v] is not None else 0
        mates = [unit]
        if self.pres[v][unit]:
            mates += [k for k in range(self.n[v]) if self.pres[v][k] and self.rel(v, unit, k)]
        for k in mates:
            if not self.alive[v][k]:
                self.alive[v][k] = self.changed = True

    def _observe(self, node: Node) -> None:
        v = node.name
        if not any(self.alive[v]):
            return
        if self.axis[v] is None:
            for name in node.inputs:
                for i in range(self.n[name]):
                    self._revive(name, i)
        elif node.kind in RECURRENT:
            self._observe_recurrent(node)
        elif self.mixes(node):
            self._observe_mix(node)
        elif node.kind in ("add", "mul"):
            k = self.passing(node) if node.kind == "add" else None
            names = [*node.inputs, v]
            for i in range(self.n[v]):
                self._observe_column(node, v, i, [(m, i) for m in names], passing=k is not None)
        elif node.kind == "concat":
            for i, (k, unit) in enumerate(self.parts(node)):
                self._observe_column(node, v, i, [(node.inputs[k], unit), (v, i)])
        else:
            for j, (i, _) in enumerate(self.sources(node)):
                self._observe_column(node, v, j, [(node.inputs[0], i), (v, j)])

    def _observe_column(self, node: Node, v: str, i: int, column: list[tuple[str, int]], passing: bool = False) -> None:
        """A column that stays stays in every value that has it; a constant that leaves is read where it folds in."""
        views = {m: self._view(m, u) for m, u in column}
        unread = [m for m, _ in column if (v, i) not in self.forced and self._unread(node, i, m)]
        if unread and not any(all(views[m]) for m in unread):
            column = [(m, u) for m, u in column if m not in unread]
        if self._lives(v) and any(p and a for p, a in views.values()):
            for m, u in column:
                self._revive(m, u)
        elif self.alive[v][i] and not self.pres[v][i]:
            for m, u in column:
                if m != v and not views[m][0]:
                    self._revive(m, u)

    def _unread(self, node: Node, i: int, name: str) -> bool:
        """Whether output unit i is the same whatever this operand is."""
        if name == node.name or node.kind in ("add", "concat"):
            return False
        if node.kind == "mul":
            return any(self.axis[m] is not None and self.val[m][i] == 0 for m in node.inputs if m != name)
        return self.fixed(node, i) is not None

    def _force(self) -> bool:
        """A constant that stays although its operand is not read needs the operand's column after all."""
        new = set()
        for node in self.graph.nodes:
            if self.axis[node.name] is None or self.mixes(node) or node.kind in ("add", "concat", *RECURRENT) or not self._lives(node.name):
                continue
            for i in range(self.n[node.name]):
                if self.pres[node.name][i] and self.alive[node.name][i]:
                    for m in node.inputs:
                        unit = i if node.kind == "mul" else self.sources(node)[i][0]
                        if not self._view(m, unit)[1] and (node.name, i) not in self.forced:
                            new.add((node.name, i))
        self.forced |= new
        return bool(new)

    def _observe_mix(self, node: Node) -> None:
        pres = self.operand(node, 0)[0]
        x, v, w = node.inputs[0], node.name, self.weight(node)
        rows = self.collapsed(node)[0]
        for i in range(len(w)):
            if not self.alive[v][i]:
                continue
            for key in rows[i]:
                if key[0] != "irrational":
                    self._revive(x, key[0])
            for j in range(w.shape[1]):
                if not pres[j] and any(w[i, j]):
                    self._revive(x, j)

    def _observe_recurrent(self, node: Node) -> None:
        """What observed units read, of the operand and of the state before."""
        x, v, cell, (pres, _, _) = node.inputs[0], node.name, self.cell(node), self.operand(node, 0)
        zero = {i for i in range(self.n[v]) if not self.pres[v][i]}
        ratios = {(i, j): r[0] for i, j in product(range(self.n[v]), repeat=2) if i != j and not {i, j} & zero and (r := self.rel(v, i, j))}
        for i in range(self.n[v]):
            if self.alive[v][i] and i not in zero:
                for _, columns, _ in cell.forms(i, zero, ratios):
                    for which, unit in columns:
                        if which != "irrational":
                            self._revive(v if which == "h" else x, unit)
                for j in range(len(pres)):
                    if not pres[j] and any(cell.params["weight_ih"].reshape(-1, self.n[v], len(pres))[:, i, j]):
                        self._revive(x, j)
        if self._lives(v) and self.axis[x] is not None and any(pres) and not any(p and a for p, a in zip(pres, self.alive[x], strict=True)):
            self._revive(x, pres.index(True))


def _fractions(tensor: np.ndarray) -> np.ndarray:
    out = np.empty(tensor.shape, dtype=object)
    out.reshape(-1)[:] = [F(q) for q in tensor.reshape(-1).tolist()]
    return out

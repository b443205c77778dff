"""The inner loop of every product: up to eight rows of operands against panels of sixteen outputs, sums in registers.

A panel holds sixteen outputs side by side, step after step of 64 bytes; a step takes one 32-bit word of an operand's
row. What lies in the 64 bytes is the kind:

* codes: four inputs as signed bytes; the operand's word is four unsigned bytes. Sums are integers, hence exact.
* halves: two inputs as bfloat16, widened without loss; the operand's words are two float32 (so a step takes two).
* singles: one input as float32; the operand's word is one float32.

Weights are read once for all rows, and fetched one tile ahead: where another process has driven them out of the cache,
reading them is what a forward takes. Every sum goes
through its inputs from first to last, in one fused multiply-add each: the same bits, whatever runs beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types

from specsched.engine.fused.lanes import FLOATS, I32, I64, INTS, LANES, call, instruction, spread

ROWS = 8
"""Most operands of one tile."""
PANELS = 4
"""Panels of one tile: what `multiply` goes through at a time."""
STEP_BYTES = 64
_SHORTS = ir.VectorType(ir.IntType(16), 2 * LANES)

Part = Callable[[Any, Any], Any]
"""Emits the weights of one word: (builder, weights' 64 bytes)."""
Madd = Callable[[Any, Any, Any, Any], Any]
"""Emits sums + operand · weights of one step: (builder, sums, operand's word in all lanes, weights' 64 bytes)."""


def _pairs(builder: Any, wide: Any) -> tuple[Any, Any]:
    """Cut a vector in two."""
    none, half = ir.Constant(wide.type, ir.Undefined), wide.type.count // 2
    masks = ([*range(half)], [*range(half, 2 * half)])
    low, high = (builder.shuffle_vector(wide, none, ir.Constant(ir.VectorType(I32, half), mask)) for mask in masks)
    return low, high


def _joined(builder: Any, low: Any, high: Any) -> Any:
    count = 2 * low.type.count
    return builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(I32, count), [*range(count)]))


def madd_vnni512(builder: Any, sums: Any, word: Any, weights: Any) -> Any:
    """One instruction (AVX-512 VNNI): four unsigned bytes by four signed ones, no saturation."""
    return call(builder, "llvm.x86.avx512.vpdpbusd.512", sums, word, weights)


def madd_vnni256(builder: Any, sums: Any, word: Any, weights: Any) -> Any:
    """Two halves (AVX-VNNI)."""
    parts = zip(*(_pairs(builder, each) for each in (sums, word, weights)), strict=True)
    return _joined(builder, *(call(builder, "llvm.x86.avx512.vpdpbusd.256", *each) for each in parts))


def madd_avx2(builder: Any, sums: Any, word: Any, weights: Any) -> Any:
    """Even and odd bytes as 16-bit numbers, products added in pairs: exact, where 8-bit products would saturate."""
    word, weights = (builder.bitcast(each, _SHORTS) for each in (word, weights))
    eight, mask = (ir.Constant(_SHORTS, [value] * 2 * LANES) for value in (8, 255))
    even = builder.and_(word, mask), builder.ashr(builder.shl(weights, eight), eight)
    odd = builder.lshr(word, eight), builder.ashr(weights, eight)
    for pair in (even, odd):
        halves = zip(*(_pairs(builder, each) for each in pair), strict=True)
        products = (_pmaddwd(builder, *each) for each in halves)
        sums = builder.add(sums, _joined(builder, *products))
    return sums


def _pmaddwd(builder: Any, a: Any, b: Any) -> Any:
    kind = ir.FunctionType(ir.VectorType(I32, 8), [a.type, b.type])
    return builder.call(builder.module.declare_intrinsic("llvm.x86.avx2.pmadd.wd", (), kind), (a, b))


def madd_floats(builder: Any, sums: Any, word: Any, weights: Any) -> Any:
    """Fused multiply-add."""
    return call(builder, "llvm.fma.v16f32", word, builder.bitcast(weights, FLOATS), sums)


def best_madd() -> Madd:
    """What multiplies codes fastest on this CPU."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512vnni"):
        return madd_vnni512
    return madd_vnni256 if features.get("avxvnni") else madd_avx2


def _low(builder: Any, weights: Any) -> Any:
    return builder.shl(weights, ir.Constant(INTS, [16] * LANES))


def _high(builder: Any, weights: Any) -> Any:
    return builder.and_(weights, ir.Constant(INTS, [-65536] * LANES))


def _whole(_builder: Any, weights: Any) -> Any:
    return weights


class Places(NamedTuple):
    """What a tile is told: where things lie, in bytes, as LLVM's values."""

    weights: Any
    """Address of the first panel's first step."""
    panel: Any
    """From one panel to the next."""
    step: Any
    """From one step to the next."""
    steps: Any
    """How many."""
    operand: Any
    """Address of the first row of operands."""
    stride: Any
    """From one row to the next."""
    start: Any
    """Address of what the sums of each panel begin at."""
    out: Any
    """Address of the first row of sums, panels side by side."""
    across: Any
    """From one row of sums to the next."""
    ahead: Any
    """From what is read to what is fetched for later."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of panel."""

    sums: Any
    """Vector that sums are kept in."""
    madd: Madd
    """Adds one word's products."""
    parts: tuple[Part, ...]
    """Takes the weights of each of a step's words out of its 64 bytes."""
    panels: int
    """How many a tile goes through."""
    together: Callable[[int], int]
    """Of them so many at a time, given the number of rows: what registers hold."""

    def emit(self, builder: Any, rows: int, places: Places) -> None:
        """Emit the loops for a number of rows."""
        group = self.together(rows)
        for first in range(0, self.panels, group):
            self._emit_group(builder, rows, range(first, first + group), places)

    def _emit_group(self, builder: Any, rows: int, group: range, places: Places) -> None:
        starts = [self._load(builder, places.start, c * STEP_BYTES) for c in group]
        cells = [[cgutils.alloca_once_value(builder, start) for start in starts] for _ in range(rows)]
        for row in cells:
            for cell, start in zip(row, starts, strict=True):
                builder.store(start, cell)  # the allocation is hoisted out of the caller's loops, its value as well
        with cgutils.for_range(builder, places.steps, intp=I64) as loop:
            self._emit_step(builder, cells, group, places, loop.index)
        for r, row in enumerate(cells):
            line = _moved(builder, places.out, places.across, r)
            for c, cell in zip(group, row, strict=True):
                builder.store(builder.load(cell), _at(builder, line, c * STEP_BYTES, self.sums), align=4)

    def _emit_step(self, builder: Any, cells: list[list[Any]], group: range, places: Places, index: Any) -> None:
        here = builder.add(places.weights, builder.mul(index, places.step))
        weights = [builder.load(_at(builder, _moved(builder, here, places.panel, c), 0, INTS), align=4) for c in group]
        for c in group:
            line = builder.add(_moved(builder, here, places.panel, c), places.ahead)
            _fetch(builder, _at(builder, line, 0, ir.IntType(8)))
        words = _moved(builder, places.operand, index, 4 * len(self.parts))
        for r, row in enumerate(cells):
            line = _moved(builder, words, places.stride, r)
            for number, part in enumerate(self.parts):
                word = builder.load(_at(builder, line, 4 * number, self.sums.element), align=4)
                word = spread(builder, word, self.sums)
                for cell, of_panel in zip(row, weights, strict=True):
                    builder.store(self.madd(builder, builder.load(cell), word, part(builder, of_panel)), cell)

    def _load(self, builder: Any, base: Any, offset: int) -> Any:
        return builder.load(_at(builder, base, offset, self.sums), align=4)


def _fetch(builder: Any, place: Any) -> None:
    """Ask for a line of the panels that come next: where weights come from memory, computing waits for nothing else."""
    flags = [ir.Constant(I32, flag) for flag in (0, 3, 1)]  # to read, soon, data
    kind = ir.FunctionType(ir.VoidType(), [place.type, I32, I32, I32])
    builder.call(builder.module.declare_intrinsic("llvm.prefetch.p0i8", (), kind), [place, *flags])


def _moved(builder: Any, base: Any, by: Any, times: int) -> Any:
    return builder.add(base, builder.mul(by, ir.Constant(I64, times)))


def _at(builder: Any, base: Any, offset: int, kind: Any) -> Any:
    return builder.inttoptr(builder.add(base, ir.Constant(I64, offset)), kind.as_pointer())


def tile(kind: Kind) -> Callable[..., None]:
    """Make the inner loop of a kind: called with 1 … ROWS rows and the fields of `Places`."""

    @instruction
    def run(
        _typing: Any,
        rows: Any,
        weights: Any,
        panel: Any,
        step: Any,
        steps: Any,
        operand: Any,
        stride: Any,
        start: Any,
        out: Any,
        across: Any,
        ahead: Any,
    ) -> Any:
        def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> None:
            done = builder.append_basic_block("done")
            switch = builder.switch(args[0], done)
            for count in range(1, ROWS + 1):
                block = builder.append_basic_block(f"rows{count}")
                switch.add_case(ir.Constant(I64, count), block)
                builder.position_at_end(block)
                kind.emit(builder, count, Places(*args[1:]))
                builder.branch(done)
            builder.position_at_end(done)

        return types.void(*[types.int64] * 11), emit

    return run


def codes_by(madd: Madd) -> Kind:
    """Return the kind of codes, multiplied in a given way."""
    return Kind(INTS, madd, (_whole,), PANELS, lambda rows: 4 if rows <= 2 else 2)


codes = tile(codes_by(best_madd()))
halves = tile(Kind(FLOATS, madd_floats, (_low, _high), PANELS, lambda rows: 4 if rows <= 2 else 2 if rows <= 4 else 1))
singles = tile(Kind(FLOATS, madd_floats, (_whole,), PANELS, lambda rows: 4 if rows <= 4 else 1))
single = tile(Kind(FLOATS, madd_floats, (_whole,), 1, lambda _rows: 1))

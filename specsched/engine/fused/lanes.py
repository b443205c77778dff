"""Sixteen float32 side by side, as numba sees them: a type, its arithmetic, and moving it to and from memory.

One operation is one instruction of LLVM's, so the order of every sum is written here and in the kernels, and no
optimiser changes it. A place in memory is an array or an address, and an index in elements of four bytes.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
I32, I64, F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
INTS, FLOATS = ir.VectorType(I32, LANES), ir.VectorType(F32, LANES)


class Lanes(types.Type):
    """The type."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]  # numba is Any to mypy
    def __init__(self, manager: Any, front_end_type: Any) -> None:
        super().__init__(manager, front_end_type, FLOATS)


LANES_TYPE = Lanes()


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of argument types, which returns a signature and what emits code, one that kernels call."""
    return cast("Callable[..., Any]", intrinsic(function))


def _offer(symbol: Callable[..., Any], instruction: str) -> None:
    """Let an operator of Python's mean an instruction."""
    cases = {"cases": [signature(LANES_TYPE, LANES_TYPE, LANES_TYPE)]}
    infer_global(symbol)(type(f"_{symbol.__name__}", (ConcreteTemplate,), cases))
    lower_builtin(symbol, LANES_TYPE, LANES_TYPE)(lambda _c, builder, _s, args: getattr(builder, instruction)(*args))


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _offer(_symbol, _instruction)
_offer(operator.truediv, "fdiv")


def pointer(context: Any, builder: Any, kind: Any, element: Any, base: Any, index: Any) -> Any:
    """Emit the address of `base[index]`, the base an array or an address."""
    if isinstance(kind, types.Array):
        base = builder.ptrtoint(context.make_array(kind)(context, builder, base).data, I64)
    at = builder.add(base, builder.mul(index, ir.Constant(I64, 4)))
    return builder.inttoptr(at, element.as_pointer())


def spread(builder: Any, number: Any, vector: Any) -> Any:
    """Emit a vector of one number sixteen times."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(INTS, [0] * LANES))


def call(builder: Any, name: str, *args: Any) -> Any:
    """Emit a call of LLVM's intrinsic `name`; its result is of the first argument's type."""
    kind = ir.FunctionType(args[0].type, [arg.type for arg in args])
    return builder.call(builder.module.declare_intrinsic(name, (), kind), args)


def _floats(values: list[float]) -> Any:
    return ir.Constant(FLOATS, values)


@instruction
def load(_typing: Any, base: Any, index: Any) -> Any:
    """Sixteen numbers from `base[index]` on."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(pointer(context, builder, sig.args[0], FLOATS, *args[:2]), align=4)

    return LANES_TYPE(base, types.int64), emit


@instruction
def store(_typing: Any, base: Any, index: Any, value: Any) -> Any:
    """Put sixteen numbers to `base[index]` and on."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], pointer(context, builder, sig.args[0], FLOATS, *args[:2]), align=4)

    return types.void(base, types.int64, LANES_TYPE), emit


@instruction
def load_ints(_typing: Any, base: Any, index: Any) -> Any:
    """Sixteen 32-bit integers from `base[index]` on, as floats."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = builder.load(pointer(context, builder, sig.args[0], INTS, *args[:2]), align=4)
        return builder.sitofp(whole, FLOATS)

    return LANES_TYPE(base, types.int64), emit


@instruction
def store_codes(_typing: Any, base: Any, index: Any, value: Any) -> Any:
    """Round sixteen numbers of -127 to 127 to bytes of 1 to 255, to `base[index]` and on."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = builder.fptosi(call(builder, "llvm.rint.v16f32", args[2]), INTS)
        codes = builder.trunc(builder.add(whole, ir.Constant(INTS, [128] * LANES)), ir.VectorType(ir.IntType(8), LANES))
        builder.store(codes, pointer(context, builder, sig.args[0], codes.type, *args[:2]), align=4)

    return types.void(base, types.int64, LANES_TYPE), emit


@instruction
def splat(_typing: Any, number: Any) -> Any:
    """One number in all lanes."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return spread(builder, args[0], FLOATS)

    return LANES_TYPE(types.float32), emit


@instruction
def fma(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once."""
    return LANES_TYPE(a, b, c), lambda _c, builder, _s, args: call(builder, "llvm.fma.v16f32", *args)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    """Emit the larger of each pair, one instruction of x86; b where either is no number."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@instruction
def larger(_typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of each pair, `b` where either is no number."""
    return LANES_TYPE(a, b), lambda _c, builder, _s, args: _larger(builder, *args)


def _larger_bits(builder: Any, a: Any, b: Any) -> Any:
    """Emit the larger of two that are not negative, by their bits: ordered like the numbers, NaN above all."""
    left, right = (builder.bitcast(each, INTS) for each in (a, b))
    return builder.bitcast(builder.select(builder.icmp_signed(">", left, right), left, right), FLOATS)


@instruction
def larger_magnitude(_typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of a ≥ 0 and |b|; what is no number stays none."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return _larger_bits(builder, args[0], call(builder, "llvm.fabs.v16f32", args[1]))

    return LANES_TYPE(a, b), emit


@instruction
def largest_magnitude(_typing: Any, value: Any) -> Any:
    """Return the largest of all lanes, none of them negative; what is no number stays none."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return _folded(builder, args[0], lambda a, b: _larger_bits(builder, a, b))

    return types.float32(value), emit


@instruction
def below(_typing: Any, value: Any, count: Any, otherwise: Any) -> Any:
    """The first `count` lanes of `value`, and `otherwise` in the rest."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        limit = spread(builder, builder.trunc(args[1], I32), INTS)
        mine = builder.icmp_signed("<", ir.Constant(INTS, list(range(LANES))), limit)
        return builder.select(mine, args[0], args[2])

    return LANES_TYPE(value, types.int64, otherwise), emit


def _folded(builder: Any, value: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Combine halves until one number is left: the order of every sum across lanes."""
    half = LANES // 2
    while half:
        upper = [*range(half, 2 * half), *([0] * (LANES - half))]
        mask = ir.Constant(INTS, upper)
        value = combine(value, builder.shuffle_vector(value, ir.Constant(FLOATS, ir.Undefined), mask))
        half //= 2
    return builder.extract_element(value, ir.Constant(I32, 0))


@instruction
def total(_typing: Any, value: Any) -> Any:
    """The sum of all lanes."""
    return types.float32(value), lambda _c, builder, _s, args: _folded(builder, args[0], builder.fadd)


@instruction
def largest(_typing: Any, value: Any) -> Any:
    """The largest of all lanes; what is no number stays none."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return _folded(builder, args[0], lambda a, b: call(builder, "llvm.maximum.v16f32", a, b))

    return types.float32(value), emit


@instruction
def exp(_typing: Any, value: Any) -> Any:
    """Raise e to the power of each, to 2 ulp (Cephes' expf); below -87 it is e^-87, which is as good as 0."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        def each(number: float) -> Any:
            return _floats([number] * LANES)

        x = _larger(builder, each(-87.0), args[0])
        x = builder.select(builder.fcmp_ordered("<", each(88.0), x), each(88.0), x)
        twos = call(builder, "llvm.rint.v16f32", builder.fmul(x, each(1.44269504088896341)))
        rest = call(builder, "llvm.fma.v16f32", twos, each(-0.693359375), x)
        rest = call(builder, "llvm.fma.v16f32", twos, each(2.12194440e-4), rest)
        series = each(1.9875691500e-4)
        for term in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
            series = call(builder, "llvm.fma.v16f32", series, rest, each(term))
        near = call(builder, "llvm.fma.v16f32", series, builder.fmul(rest, rest), builder.fadd(rest, each(1.0)))
        exponent = builder.add(builder.fptosi(twos, INTS), ir.Constant(INTS, [127] * LANES))
        return builder.fmul(near, builder.bitcast(builder.shl(exponent, ir.Constant(INTS, [23] * LANES)), FLOATS))

    return LANES_TYPE(value), emit


@instruction
def address(_typing: Any, array: Any) -> Any:
    """Where an array's first number lies."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ptrtoint(context.make_array(sig.args[0])(context, builder, args[0]).data, I64)

    return types.int64(array), emit


@instruction
def put(_typing: Any, base: Any, index: Any, value: Any) -> Any:
    """Put one number to `base[index]`."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], pointer(context, builder, sig.args[0], F32, *args[:2]), align=4)

    return types.void(base, types.int64, types.float32), emit

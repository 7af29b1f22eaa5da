from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Multiplier", "mac16", "parameters"]

_SPARE_BITS = 16
#: Width of those parameters of SB_MAC16 that are no single bits.
_BITS = {f"{half}{name}": 2 for half in ("TOP", "BOT")
         for name in ("OUTPUT_SELECT", "ADDSUB_LOWERINPUT", "ADDSUB_CARRYSELECT")}


class Multiplier(wiring.Component):
    """``o = a b``, ``~(a b)``, ``c + a b`` or ``c - a b - 1``, with registers where they cost nothing.

    One of the places where a vendor's cell may stand: an iCE40UP gets an SB_MAC16 as it is to be,
    operands, addend and sum kept within. Yosys would leave most of these registers outside; and
    it drops a multiplier that follows another. Every other target gets what its tools infer.

    Parameters
    ----------
    a, b : shapes, 16 bits at most; only the first may be signed
    pads : (:class:`int`, :class:`int`)
        Zeros below ``a`` and below ``b``, by which ``o`` is further up.
    held : :class:`bool`
        ``b`` stays as it was when ``load`` was last high.
    a_stages, b_stages, c_stages, product_stages, sum_stages : :class:`int`
        Registers on the way of each: up to 1; of the product, up to 2.
    add : ``""``, ``"~"``, ``"+"`` or ``"-"``
    spare : :class:`int`
        Clocks, 1 or 2, by which the half of the cell that makes the product's low 16 bits delays
        something else: then ``o`` has only the high ones. Not together with ``c``.

    Members
    -------
    a, b : :py:`In`
    load : :py:`In(1)`, if ``held``
    c : :py:`In(32)`, if ``add`` is ``"+"`` or ``"-"``
    o : :py:`Out(32)`
    carry : :py:`Out(1)`, if ``add`` is ``"+"``
        Of the sum, never registered.
    i, delayed : :py:`In(16)`, :py:`Out(16)`, if ``spare``
    """

    def __init__(self, a, b, *, pads=(0, 0), held=False, a_stages=0, b_stages=0, c_stages=0, product_stages=0,
                 sum_stages=0, add="", spare=0):
        assert add in ("", "~", "+", "-") and not (add in ("+", "-") and spare)
        assert max(Shape.cast(x).width + pad for x, pad in zip((a, b), pads, strict=True)) <= 16
        assert not Shape.cast(b).signed
        self.pads = pads
        self.held, self.add, self.spare, self.has_c = held, add, spare, add in ("+", "-")
        self.a_stages, self.b_stages, self.c_stages = a_stages, b_stages, c_stages
        self.product_stages, self.sum_stages = product_stages, sum_stages
        self.is_signed = Shape.cast(a).signed
        super().__init__({
            "a": In(a), "b": In(b), **({"load": In(1)} if held else {}), "o": Out(32),
            **({"c": In(32)} if self.has_c else {}), **({"carry": Out(1)} if add == "+" else {}),
            **({"i": In(_SPARE_BITS), "delayed": Out(_SPARE_BITS)} if spare else {})})

    def elaborate(self, platform):
        m = Module()
        if str(getattr(platform, "device", "")).startswith("iCE40UP"):
            m.submodules.mac16 = mac16(self)
            return m

        def late(name, value, stages):
            for _ in range(stages):
                result = Signal.like(value, name=name, reset_less=True)
                m.d.sync += result.eq(value)
                value = result
            return value

        a, c = late("a_late", self.a, self.a_stages), 0
        if self.held:
            b = Signal.like(self.b, name="b_held", reset_less=True)
            with m.If(self.load):
                m.d.sync += b.eq(self.b)
        else:
            b = late("b_late", self.b, self.b_stages)
        # No wider than it is: Yosys' techmap does not like registers of constants.
        product = Signal(Shape(len(self.a) + len(self.b), self.is_signed))
        m.d.comb += product.eq(a * b)
        product = late("product_late", product, self.product_stages)
        whole = Signal(Shape(32, self.is_signed))
        m.d.comb += whole.eq(product << sum(self.pads))
        total = Signal(33)
        if self.has_c:
            c = late("c_late", self.c, self.c_stages)
        m.d.comb += total.eq({"": whole, "~": ~whole, "+": c + whole.as_unsigned(),
                              "-": c + ~whole}[self.add])
        if self.add == "+":
            m.d.comb += self.carry.eq(total[32])
        o = late("o_late", total[:32], self.sum_stages)
        if self.spare:
            m.d.comb += [self.o.eq(Cat(C(0, 16), o[16:])),
                         self.delayed.eq(late("spare", self.i, self.spare))]
        else:
            m.d.comb += self.o.eq(o)
        return m


def parameters(multiplier: Multiplier) -> dict[str, int]:
    """Of its SB_MAC16; those that are missing are zero."""
    add, spare, late = multiplier.add, multiplier.spare, multiplier.product_stages
    # The product, or, of the adder, its output or the register behind that.
    output = 1 if multiplier.sum_stages else 0 if add else 3
    return {
        "A_REG": multiplier.a_stages, "B_REG": multiplier.b_stages | multiplier.held,
        "C_REG": multiplier.c_stages, "D_REG": int(spare == 2) or multiplier.c_stages,
        "TOP_8x8_MULT_REG": int(late == 2), "BOT_8x8_MULT_REG": int(late == 2),
        "PIPELINE_16x16_MULT_REG1": int(late == 2), "PIPELINE_16x16_MULT_REG2": int(late > 0),
        "TOPOUTPUT_SELECT": output, "TOPADDSUB_LOWERINPUT": 2, "TOPADDSUB_UPPERINPUT": 1,
        # A complement is 0 - 1 - the product, of each half on its own.
        "TOPADDSUB_CARRYSELECT": {"": 0, "~": 1}.get(add, 2),
        "BOTOUTPUT_SELECT": 1 if spare else output, "BOTADDSUB_LOWERINPUT": 2,
        "BOTADDSUB_UPPERINPUT": 1, "BOTADDSUB_CARRYSELECT": int(add in ("-", "~")),
        "A_SIGNED": int(multiplier.is_signed)}


def mac16(multiplier: Multiplier) -> Instance:
    """The cell of an iCE40UP."""
    zero = dict.fromkeys((
        "AHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT", "OLOADTOP",
        "OHOLDTOP", "OHOLDBOT", "CI", "ACCUMCI", "SIGNEXTIN"), C(0, 1))
    subtract = C(multiplier.add in ("-", "~"), 1)

    def extended(value, pad):
        """All 16 pins of an operand."""
        above = value[-1] if value.shape().signed else C(0, 1)
        return Cat(C(0, pad), value, above.replicate(16 - len(value) - pad))

    inputs = {
        **zero, "CLK": ClockSignal(), "CE": C(1, 1),
        "A": extended(multiplier.a, multiplier.pads[0]),
        "B": extended(multiplier.b, multiplier.pads[1]),
        "BHOLD": ~multiplier.load if multiplier.held else C(0, 1),
        "C": multiplier.c[16:] if multiplier.has_c else C(0, 16),
        "D": (multiplier.c[:16] if multiplier.has_c else multiplier.i if multiplier.spare
              else C(0, 16)),
        "OLOADBOT": C(multiplier.spare > 0, 1), "ADDSUBTOP": subtract, "ADDSUBBOT": subtract}
    low = multiplier.delayed if multiplier.spare else multiplier.o[:16]
    outputs = {"O": Cat(low, multiplier.o[16:])}
    if multiplier.add == "+":
        outputs["CO"] = multiplier.carry
    # Who checks that no product is without a register has to know that this one is meant to be.
    through = [] if multiplier.product_stages or multiplier.sum_stages else [("a", "through", 1)]
    return Instance(
        "SB_MAC16", *through, *(("p", name, Const(value, _BITS.get(name, 1)))
                      for name, value in parameters(multiplier).items()),
        *(("i", name, value) for name, value in inputs.items()),
        *(("o", name, value) for name, value in outputs.items()))

"""Phase-locked loops: the core's clock from a board's oscillator."""

from itertools import product

from amaranth import *

__all__ = ["ecp5_pll", "ice40_pll", "xilinx_pll"]


def _best(settings, wanted_Hz, limits):
    """The setting whose clock is nearest; only one within 0.1 % is any use to a UART."""
    fitting = [(abs(hz - wanted_Hz), setting) for hz, setting in settings]
    if not fitting or min(fitting)[0] > wanted_Hz * 1e-3:
        raise ValueError(f"no PLL setting gives {wanted_Hz} Hz {limits}")
    return min(fitting)[1]


def ice40_pll(m, source, input_Hz, clock_Hz, *, pad):
    """SB_PLL40; ``source`` is the pad itself (``pad``) or a signal. Returns clock and lock.

    Limits are those of the family's data sheet: phase detector 10 to 133 MHz, VCO 533 to 1066 MHz.
    """
    def settings():
        for divf, divq in product(range(128), range(1, 7)):
            vco_Hz = input_Hz * (divf + 1)
            if 533e6 <= vco_Hz <= 1066e6:
                yield vco_Hz / (1 << divq), (divf, divq)

    divf, divq = _best(settings(), clock_Hz, f"from {input_Hz} Hz")
    clock, locked = Signal(name="pll_clock"), Signal(name="pll_locked")
    m.submodules.pll = Instance(
        "SB_PLL40_PAD" if pad else "SB_PLL40_CORE",
        p_FEEDBACK_PATH="SIMPLE", p_DIVR=C(0, 4), p_DIVF=C(divf, 7), p_DIVQ=C(divq, 3),
        # For a phase detector below 17 MHz.
        p_FILTER_RANGE=C(1, 3),
        i_RESETB=C(1), i_BYPASS=C(0),
        **{"i_PACKAGEPIN" if pad else "i_REFERENCECLK": source},
        o_PLLOUTGLOBAL=clock, o_LOCK=locked)
    return clock, locked


def ecp5_pll(m, source, input_Hz, clock_Hz):
    """EHXPLLL; phase detector 3.125 to 400 MHz, VCO 400 to 800 MHz."""
    def settings():
        for ref, feedback in product(range(1, 33), range(1, 65)):
            if input_Hz / ref < 3.125e6:
                continue
            hz = input_Hz / ref * feedback
            for output in range(1, 129):
                if 400e6 <= hz * output <= 800e6:
                    # The middle of the VCO's range before its edges.
                    yield hz, (abs(hz * output - 600e6), ref, feedback, output)

    _, ref, feedback, output = _best(settings(), clock_Hz, f"from {input_Hz} Hz")
    clock, locked = Signal(name="pll_clock"), Signal(name="pll_locked")
    m.submodules.pll = Instance(
        "EHXPLLL",
        a_FREQUENCY_PIN_CLKI=f"{input_Hz / 1e6:g}", a_FREQUENCY_PIN_CLKOP=f"{clock_Hz / 1e6:g}",
        a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED", p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB",
        p_OUTDIVIDER_MUXC="DIVC", p_OUTDIVIDER_MUXD="DIVD",
        p_CLKI_DIV=ref, p_CLKFB_DIV=feedback, p_CLKOP_DIV=output,
        p_CLKOP_ENABLE="ENABLED", p_CLKOP_CPHASE=output // 2, p_CLKOP_FPHASE=0,
        p_FEEDBK_PATH="CLKOP",
        i_RST=C(0), i_STDBY=C(0), i_PHASESEL0=C(0), i_PHASESEL1=C(0), i_PHASEDIR=C(1),
        i_PHASESTEP=C(1), i_PHASELOADREG=C(1), i_PLLWAKESYNC=C(0), i_ENCLKOP=C(0),
        i_CLKI=source, i_CLKFB=clock, o_CLKOP=clock, o_LOCK=locked)
    return clock, locked


def xilinx_pll(m, source, input_Hz, clock_Hz):
    """PLLE2_BASE; VCO 800 to 1600 MHz."""
    def settings():
        for mult, output in product(range(2, 65), range(1, 129)):
            if 800e6 <= input_Hz * mult <= 1600e6:
                yield input_Hz * mult / output, (mult, output)

    mult, output = _best(settings(), clock_Hz, f"from {input_Hz} Hz")
    raw, feedback, clock = (Signal(name=name) for name in ("pll_raw", "pll_feedback", "pll_clock"))
    locked = Signal(name="pll_locked")
    m.submodules.pll = Instance(
        "PLLE2_BASE", p_CLKIN1_PERIOD=1e9 / input_Hz, p_CLKFBOUT_MULT=mult,
        p_CLKOUT0_DIVIDE=output, p_DIVCLK_DIVIDE=1,
        i_CLKIN1=source, i_CLKFBIN=feedback, o_CLKFBOUT=feedback, o_CLKOUT0=raw, o_LOCKED=locked,
        i_PWRDWN=C(0), i_RST=C(0))
    m.submodules.pll_buffer = Instance("BUFG", i_I=raw, o_O=clock)
    return clock, locked

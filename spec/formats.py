"""Fixed-point formats of the neuron. Gateware, golden model and compiler read them from here.

``NAME_BITS`` is a width, ``NAME_FRAC`` the weight of the least significant bit as a power of two:
``value = integer * 2**-NAME_FRAC``. See docs/model.md for the equations they serve.
"""

__all__ = [
    "ACC_BITS", "DRIVE_SHIFT", "EH_SHIFT", "F_BITS", "F_FRAC", "GAP_SHIFT", "G_BITS", "G_FRAC",
    "H_BITS", "H_ENTRIES", "H_FRAC", "KB_BITS", "KB_SHIFT", "KF_BITS", "KG_BITS", "KR_BITS",
    "KR_SHIFT", "LFSR_LEAP", "LFSR_TAPS", "LFSR_WIDTH", "MU_BITS", "MU_FRAC", "NOISE_BITS",
    "NOISE_ENTRIES", "NOISE_FRAC", "ONE", "R_BITS", "R_FRAC", "R_HIGH_BITS", "R_LOW_BITS",
    "R_NOISE_BITS", "R_NOISE_SHIFT",
    "SCALE_BITS", "SCALE_SHIFT", "THETA_BITS", "THETA_SHIFT", "THETA_STUCK", "WEIGHT_BITS", "XI_MEAN",
]

F_BITS, F_FRAC = 16, 15         # filament length f, unsigned; 1.0 bridges the gap
R_BITS, R_FRAC = 19, 19         # residue length r, unsigned; its slow leak needs the extra bits
R_HIGH_BITS = 15                # the part of r on the scale of f, R_FRAC - F_FRAC bits above
R_LOW_BITS = R_BITS - R_HIGH_BITS
G_BITS, G_FRAC = 12, 11         # gate voltage g and drive v, unsigned volts, 0 to 2 V
ONE = 1 << F_FRAC               # a bridged gap

KF_BITS = 16                    # filament loss per tick,  1 - a_f = Kf / 2**16
KR_BITS = 16                    # residue loss per tick,   1 - a_r = Kr / 2**16
KG_BITS = 12                    # gate discharge per tick, 1 - a_g = Kg / 2**12
KB_BITS = 16                    # filament to residue per tick,  b = Kb / 2**16
MU_BITS, MU_FRAC = 12, 13       # growth G per volt and tick, up to 0.5 / V
THETA_BITS, THETA_SHIFT = 8, 6  # signed mismatch of the gap, in units of 2**(6 - F_FRAC)
THETA_STUCK = -128              # of a device that is stuck on: it has no gap
R_NOISE_BITS, R_NOISE_SHIFT = 8, 3  # residue noise, r units per unit of xi2: r_noise << 3

H_ENTRIES, H_BITS, H_FRAC = 256, 12, 8  # feedback h against the gap, 0 to 16
GAP_SHIFT = F_FRAC - 8          # gap -> index of h
NOISE_ENTRIES, NOISE_BITS, NOISE_FRAC = 64, 15, 4   # standard deviation against |df|

WEIGHT_BITS = 8                 # signed
# Of what is quantised, both ways; so of votes. It follows from the width, and is no part of the contract.
WEIGHT_MAX = (1 << WEIGHT_BITS - 1) - 1
NARROW_BITS = 4                 # of a narrow row's: the upper ones, the others are 0
ACC_BITS = 16                   # signed, saturating
SCALE_BITS, SCALE_SHIFT = 15, 8     # volts per weight unit: scale / 2**(SCALE_SHIFT + G_FRAC)

EH_SHIFT = H_FRAC               # e * h is kept at the scale of e
DRIVE_SHIFT = MU_FRAC + G_FRAC - F_FRAC     # e * h * G -> the scale of f
KR_SHIFT = KR_BITS - (R_FRAC - 16)          # (r >> 3) * Kr -> the scale of r
KB_SHIFT = KB_BITS - (R_FRAC - F_FRAC)      # f * Kb -> the scale of r

# x^64 + x^63 + x^61 + x^60 + 1 is primitive (proved in tests/test_lfsr.py); Fibonacci form.
LFSR_WIDTH, LFSR_TAPS, LFSR_LEAP = 64, (64, 63, 61, 60), 16
XI_MEAN = 30                    # of the sum of four 4-bit nibbles

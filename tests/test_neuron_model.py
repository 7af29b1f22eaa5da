"""The golden neuron against its equations, written again in plain integers."""

import numpy as np

from ionspike.sim.neuron import Neuron, State
from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device

SEED = 20251027


def plain(state, acc, word, c, kg, mu, theta, feedback, noise):
    """One neuron, one tick: state (f, r, g, on) to the next, and whether it spikes."""
    f, r, g, on = state
    v = min(max(acc * c["scale"] // 256, 0), 4095)
    e = max(0, v - g)
    limit = 32768 + 64 * theta if theta > -128 else 0
    gap = limit - f - r // 16
    h = feedback[min(255, max(0, gap) // 128)]
    d = min(65535, e * h // 256 * mu // 512)
    df = d - f * c["kf"] // 65536 - 1
    size = df if df >= 0 else -df - 1
    # 0 to 3, then four bins from each power of two to the next.
    k = size if size < 4 else 4 * (size.bit_length() - 2) + int(f"{size:b}"[1:3], 2)
    n0, n1, n2, n3 = ((word >> s) % 16 for s in (0, 4, 8, 12))
    xi, xi_r = n0 + n1 + n2 + n3 - 30, n0 - n1 + n2 - n3
    f = min(max(f + df + xi * noise[k] // 16, 0), 65535)
    r = max(0, r - r // 8 * c["kr"] // 8192 - 1) + f * c["kb"] // 4096 + 8 * xi_r * c["r_noise"]
    r = min(max(r, 0), c["r_max"] * 16 + 15)
    gap = max(0, limit - r // 16)
    f, g = (gap, max(g, v)) if f >= gap else (f, max(0, g - g * kg // 4096 - 1))
    g = v if theta == -128 else g
    out = g >= c["spike_level"]
    return (f, r, g, out), bool(out and (c["sustained"] or not on))


def corner(rng, bits, *shape):
    """Small, large and middling numbers alike."""
    top = (1 << bits) - 1
    drawn = rng.integers(0, top + 1, shape)
    kinds = [np.zeros(shape), np.ones(shape), np.full(shape, top), np.full(shape, top >> 1), drawn,
             drawn >> rng.integers(0, bits, shape)]
    return np.choose(rng.integers(0, len(kinds), shape), kinds).astype(np.int64)


def snapshot(s):
    fields = [x.tolist() for x in (s.f, s.r, s.g, s.on)]
    return [list(zip(*rows, strict=True)) for rows in zip(*fields, strict=True)]


def coefficient_words(kg, mu, theta):
    return (np.array(kg) | np.array(mu) << 12 | (np.array(theta) & 0xFF) << 24).astype(np.uint32)


def test_every_field_equals_the_equations_over_the_whole_range():
    rng = np.random.default_rng(SEED)
    spikes = latched = stuck = 0
    limits = np.zeros(3, int)
    for case in range(80):
        trials, neurons = ((1, 40), (7, 24), (5, 64), (300, 80))[case % 4]
        c = {name: int(corner(rng, bits)) for name, bits in
             (("kf", 16), ("kr", 16), ("kb", 16), ("scale", 15), ("r_max", 15),
              ("spike_level", 12), ("r_noise", 8), ("sustained", 1))}
        feedback, noise = corner(rng, fmt.H_BITS, 256), corner(rng, fmt.NOISE_BITS, 64) * (case > 9)
        kg, mu, theta = (corner(rng, bits, neurons) for bits in (12, 12, 8))
        theta = np.where(rng.random(neurons) < 0.1, 128, theta)
        theta = np.where(theta > 127, theta - 256, theta)
        model = Neuron(c, coefficient_words(kg, mu, theta), feedback.astype(np.uint16),
                       noise.astype(np.uint16))
        state = State(*(corner(rng, bits, trials, neurons).astype(np.int32)
                        for bits in (16, 19, 12)), on=rng.random((trials, neurons)) < 0.5)
        at_level = rng.random((trials, neurons)) < 0.2
        state.g[at_level] = (c["spike_level"] + rng.integers(-1, 3, at_level.sum())).clip(0, 4095)
        # Every trial of the small cases, a few of the large, which is about the batching.
        checked = range(trials) if trials < 10 else rng.choice(trials, 4).tolist()
        for _ in range(4):
            acc = np.where(rng.random((trials, neurons)) < 0.7,
                           corner(rng, 16, trials, neurons) - 32768,
                           rng.integers(0, 300, (trials, neurons))).astype(np.int32)
            words = rng.integers(0, 1 << 16, (trials, neurons)).astype(np.uint16)
            before = snapshot(state)
            got = model.step(state, acc, words)
            after = snapshot(state)
            for t in checked:
                expected = [plain(before[t][n], int(acc[t, n]), int(words[t, n]), c, int(kg[n]),
                                  int(mu[n]), int(theta[n]), feedback.tolist(), noise.tolist())
                            for n in range(neurons)]
                assert after[t] == [new for new, _ in expected], f"case {case}"
                assert got[t].tolist() == [spike for _, spike in expected], f"case {case}"
                spikes += sum(spike for _, spike in expected)
                latched += sum(new[3] and not spike for new, spike in expected)
                stuck += sum(spike for (_, spike), code in zip(expected, theta, strict=True)
                             if code == -128)
                # Where noise has the last word on the residue.
                if c["r_noise"] > 9 and c["kb"] < 9:
                    residues = np.array([new[1] for new, _ in expected])
                    top = c["r_max"] * 16 + 15
                    limits += [(residues == 0).sum(), (residues == top).sum(),
                               ((residues > 0) & (residues < top)).sum()]
    assert spikes > 1000 and latched > 1000 and stuck > 100 and limits.min() > 100


def test_state_words_round_trip():
    words = np.random.default_rng(SEED).integers(0, 1 << 16, (3, 50, 3)).astype(np.uint16)
    assert (State.from_words(words).words() == words).all()


def preset(ticks_s=5e-4, **changes):
    device = Device.load("zhao2025_ms").with_(**changes)
    c = coefficients(device, ticks_s)
    return Neuron(c.registers | {"scale": 256}, coefficient_words([c.kg], [c.mu], [0]),
                  np.array(c.feedback, np.uint16), np.array(c.noise, np.uint16))


def respond(model, volts, trials=1, seed=SEED):
    """Spikes [ticks, trials] of the device to a drive in volts, one value per tick."""
    rng = np.random.default_rng(seed)
    state = State(*(np.zeros((trials, 1), np.int32) for _ in range(3)),
                  on=np.zeros((trials, 1), bool))
    drive = np.round(np.asarray(volts) * 2048).astype(np.int32)
    return np.array([model.step(state, np.full((trials, 1), v, np.int32),
                                rng.integers(0, 1 << 16, (trials, 1)).astype(np.uint16))[:, 0]
                     for v in drive])


def first(spikes):
    return np.where(spikes.any(axis=0), spikes.argmax(axis=0), len(spikes))


def test_threshold_is_a_sigmoid_in_the_voltage():
    fired = [respond(preset(), [v] * 30, 400).any(axis=0).mean() for v in (0.7, 0.8, 0.85, 0.9, 1)]
    assert fired == sorted(fired) and fired[0] < 0.05 and fired[-1] > 0.98


def test_leaky_integration_needs_more_pulses_with_longer_gaps():
    needed = [np.median(first(respond(preset(), ([0.9] * 2 + [0] * gap) * 300, 40))) / (2 + gap)
              for gap in (1, 2, 4)]
    assert needed == sorted(needed) and needed[-1] > 1.5 * needed[0]


def test_residue_shortens_the_next_latency_and_fades():
    def second(gap):
        spikes = respond(preset(), [1.0] * 80 + [0] * gap + [1.0] * 80, 100)
        return float(first(spikes[-80:]).mean()), float(first(spikes[:80]).mean())

    near, before = second(60)
    far, _ = second(2000)
    assert near < 0.6 * before and near < far <= 1.1 * before


def test_refractory_period_grows_with_the_control_resistor():
    intervals = []
    for ohm in (50e6, 250e6, 1e9):
        spikes = respond(preset(r_control_ohm=ohm), ([0.8] * 2 + [0] * 2) * 1000, 20)[1000:]
        intervals.append(float(np.mean([np.diff(np.flatnonzero(s)).mean() for s in spikes.T])))
    assert intervals == sorted(intervals) and intervals[-1] > 5 * intervals[0]

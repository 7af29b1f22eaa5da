import math
from unittest import mock

import numpy as np
import pytest

from ionspike.host.compiler import compile
from ionspike.host.frame import with_bias
from ionspike.host.mismatch import Mismatch
from ionspike.host.narrow import UNIT
from ionspike.host.network import Network
from ionspike.host.seeds import lfsr_states
from ionspike.sim.model import Model
from ionspike.spec.device import Device
from ionspike.spec.shape import DEFAULT_SHAPE

torch = pytest.importorskip("torch", reason="not installed: torch (pip install torch)")

from ionspike.train import layer as normalised  # noqa: E402
from ionspike.train import native, neuron, steps  # noqa: E402
from ionspike.train.properties import PROPERTIES, without  # noqa: E402
from ionspike.train.recurrent import Recurrent  # noqa: E402
from ionspike.train.unroll import Unroll, delayed  # noqa: E402

DT_S = 1e-3
SILENT = {"sigma1": 0.0, "residue_noise": 0.0}
DEVICE = Device.load("zhao2025_ms").with_(r_control_ohm=200e6)


def recurrent(hidden=(24, 16), outputs=8, inputs=12, seed=1, native=False, device=DEVICE,
              growth=1.0, gain_V=.8, bias_V=.8, delay=0, bits=8, **changes):
    """A network with devices of many kinds, and means and variances that its inputs gave it."""
    generator = torch.Generator().manual_seed(seed)
    model = Recurrent(device.with_(**changes), DT_S, inputs, hidden, outputs, growth=growth,
                      scale_V=4096 * 2.0**-19, gain_V=gain_V, bias_V=bias_V, recurrent_V=.1,
                      dropout=0.3, generator=generator, delay=delay, native=native, bits=bits)
    with torch.no_grad():
        for layer in model.layers:
            layer.growths += torch.randn(layer.growths.shape, generator=generator) * 0.3
        with mock.patch.object(normalised, "_MOMENTUM", 1.0):
            model(stimulus(inputs=inputs))
    return model.eval()


def stimulus(ticks=60, batch=16, inputs=12, seed=2, rate=0.3):
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((ticks, batch, inputs)) < rate).astype(np.float32))


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, n, left, bridged, off, reaches):
        ctx.save_for_backward(left, off)
        return (bridged & off & reaches).to(n)

    @staticmethod
    def backward(ctx, grad):
        left, off = ctx.saved_tensors
        return grad * off / (1 + (10 * left) ** 2), None, None, None, None


class _Ends(torch.autograd.Function):
    @staticmethod
    def forward(ctx, g, level):
        ctx.save_for_backward(g)
        ctx.level = level
        return (g >= level).to(g)

    @staticmethod
    def backward(ctx, grad):
        g, = ctx.saved_tensors
        return grad / (1 + (10 * (g / ctx.level - 1)) ** 2) / ctx.level, None


def arrived(spikes, tick, delays, like):
    return torch.stack([spikes[tick - 1 - d][:, k] if d < tick else torch.zeros_like(like[:, k])
                        for k, d in enumerate(delays)], -1)


def by_autograd(model, x):
    """The same equations, differentiated by torch: n is a filament's way, with its value from f."""
    m, rest = neuron.Memristors(model.device, model.dt_s), model.rest
    mean, limit = steps.way(m.h)[1], model.limit
    kg, growth, found = model.kg(), model.growth(), []
    for layer, part in zip(model.layers, model.ranges, strict=True):
        f = r = g = n = begun = torch.zeros(x.shape[1], layer.bias.numel()).to(x)
        stay = 1 - 1 / (math.log(.8 / m.spike_level) / -torch.log1p(-kg[part].detach())).clamp(min=1)
        delays = np.arange(n.shape[1]) * (model.delay + 1) // n.shape[1]
        off = torch.ones_like(f, dtype=torch.bool)
        spikes = []
        for tick, drive in enumerate(layer.drive(x)):
            if layer.recurrent is not None:
                drive = drive + arrived(spikes, tick, delays, n) @ layer.own()
            v = neuron._Drive.apply(drive)
            e = torch.relu(v - g) + steps._OPEN_SLOPE * (v - v.detach()) * (v <= g)
            at = lambda gap: (gap * len(m.h)).clamp(0, len(m.h) - 1).long()  # noqa: E731
            h = model.table[at(limit - f - r)]
            f = (f + growth[part].detach() * e.detach() * h - m.kf * f - neuron._F_LOSS).clamp(0, neuron._F_MAX)
            r = (torch.relu((1 - m.kr) * r - neuron._R_LOSS) + m.kb * f).clamp(0, m.r_max)
            over = f + r - limit
            bridged = over >= 0
            left = torch.where(bridged, over / (float(m.h[0]) * mean), rest[at(-over)])
            n = (1 - m.kf) * n + growth[part] * e / mean
            z = _Spike.apply(n, left, bridged, off, v.detach() >= m.spike_level)
            n = torch.where(bridged, 0.0, n)
            begun = stay * begun + z
            f = torch.where(bridged, limit - r, f)
            held = torch.where(g > v, g, v.detach())
            g = torch.where(bridged, held, ((1 - kg[part]) * g - steps._V_LOSS).clamp(min=0))
            off = g < m.spike_level
            if m.sustained:
                # While a gate is held, its drive decides nothing.
                ends = _Ends.apply(torch.where(bridged, g.detach(), g), m.spike_level)
                z = ends + (begun - begun.detach())
            spikes.append(z)
        found.append(torch.stack(spikes))
        x = torch.stack([arrived(spikes, tick, delays, n) for tick in range(len(x))])
    return torch.cat(found, -1)


@pytest.mark.parametrize("delay, sustained", [(0, False), (2, False), (0, True), (3, True)])
@pytest.mark.parametrize("learning", [False, True], ids=["settled", "normalised"])
def test_gradients_are_those_of_autograd(learning, delay, sustained):
    # Double precision, where no rounding makes spikes differ.
    model = recurrent(delay=delay, sustained=sustained, **SILENT).double().train(learning)
    x = stimulus().double()
    generator = torch.Generator().manual_seed(5)
    towards = torch.randn(60, 16, model.neurons, generator=generator).double()
    found = []
    for run in (model, lambda x: by_autograd(model, x)):
        model.zero_grad()
        spikes = run(x)
        (spikes * towards).sum().backward()
        found.append((spikes.detach(), [p.grad.clone() for p in model.parameters()]))
    (own, gradients), (other, expected) = found
    rate = own.mean((0, 1))
    assert torch.equal(own, other) and (rate > 0).float().mean() > 0.7 and rate.max() < (0.9 if sustained else 0.5)
    for got, wanted in zip(gradients, expected, strict=True):
        assert wanted.abs().max() > 0
        assert torch.allclose(got, wanted, rtol=1e-7, atol=1e-9 * float(wanted.abs().max()))


needs_compiler = pytest.mark.skipif(not native.available(), reason="no C++ compiler")


@needs_compiler
@pytest.mark.parametrize("batch, hidden, delay, sustained", [
    (16, (24, 16), 0, False), (7, (33, 5), 0, True), (1, (1,), 0, False), (5, (24, 17), 3, True), (4, (9,), 15, False)])
def test_in_cpp_it_is_the_same(batch, hidden, delay, sustained):
    """Without noise: spikes, but for what rounding moves, and gradients, where no spike was moved."""
    x, found = stimulus(ticks=20, batch=batch), []
    for chosen in (False, True):
        model = recurrent(hidden=hidden, native=chosen, delay=delay, sustained=sustained, **SILENT).train()
        model.settle(True)
        spikes = model(x)
        (spikes * torch.linspace(-1, 1, spikes.shape[-1])).sum().backward()
        found.append((spikes.detach(), [p.grad for p in model.parameters() if p.grad is not None]))
    (plain, gradients), (fast, others) = found
    assert plain.any() and torch.equal(plain, fast)
    for a, b in zip(gradients, others, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(a.abs().max()))


@needs_compiler
def test_noise_in_cpp_is_the_devices_and_of_the_generator_alone():
    drives, found = torch.full((1, 2000, 40), 0.9), []
    for chosen in (False, True):
        model = neuron.Memristors(DEVICE.with_(sigma1=0.05), 1e-4)
        step = steps.Steps(model, True)
        run = [Unroll.apply(drives.expand(40, -1, -1), torch.full((40,), 0.01), torch.full((40,), 0.05),
                            torch.full((40,), model.limit), model.h, steps.way(model.h)[0], step,
                            torch.Generator().manual_seed(seed), None, None, chosen) for seed in (1, 1, 2)]
        assert torch.equal(run[0], run[1]) and not torch.equal(run[0], run[2])
        first = torch.where(run[0].any(0), run[0].argmax(0), 40).float()
        # No neuron, no item and no tick has the noise of another.
        flat = (first - first.mean()) / first.std()
        assert abs(float((flat[1:] * flat[:-1]).mean())) < 0.02
        assert abs(float((flat[:, 1:] * flat[:, :-1]).mean())) < 0.06
        found.append(first)
    plain, fast = found
    assert plain.std() > 1 and abs(float(plain.mean() - fast.mean())) < 0.1
    assert float(fast.std()) == pytest.approx(float(plain.std()), rel=0.05)


def test_a_filaments_way_is_even_where_the_field_grows():
    h = neuron.Memristors(DEVICE, DT_S).h.double()
    rest, mean = steps.way(h)
    assert rest[0] == 0 and 0.99 < rest[-1] < 1 and (rest.diff() > 0).all()
    # Under equal drives, with no leak, each tick covers as much of the way as the others.
    f, step, places = 0.0, 0.002, []
    while f < 1:
        gap = int((1 - f) * 256)
        places.append(1 - float(rest[min(gap, 255)]))
        f += step * float(h[min(gap, 255)])
    assert np.diff(places[::20]) == pytest.approx(20 * step / mean, rel=0.15)
    assert steps.way(torch.ones(4))[0].tolist() == [0, 0.25, 0.5, 0.75]


def test_a_drive_is_normalised_while_it_learns_and_a_cores_from_then_on():
    model, x = recurrent(gain_V=0.4), stimulus()
    layer = model.layers[0].train()
    drive = layer.drive(x).flatten(0, 1)
    assert torch.allclose(drive.mean(0), layer.bias, atol=1e-4)
    assert torch.allclose(drive.std(0), layer.gain, rtol=1e-2)
    mean = layer.mean.clone()
    model.settle(True)
    weights, bias = layer.folded()
    assert torch.equal(layer.drive(x), x @ weights + bias.sum(0)) and torch.equal(layer.mean, mean)
    assert torch.allclose(layer.drive(x).flatten(0, 1), drive, atol=0.1)
    units = torch.cat([weights.flatten(), bias.flatten()]) / model.scale_V
    assert torch.equal(units, units.round()) and units.abs().max() <= 127


def test_drop_out_is_of_its_generator_and_spares_the_inputs():
    model, x = recurrent(**SILENT), stimulus()
    first, rest = model.ranges[0], slice(model.ranges[0].stop, None)
    whole, one, again, other = (model(x, None, None, g) for g in (None, *(
        torch.Generator().manual_seed(s) for s in (1, 1, 2))))
    assert torch.equal(one, again) and not torch.equal(one[..., rest], other[..., rest])
    assert torch.equal(one[..., first], whole[..., first])


def test_without_a_compiler_it_runs_in_torch(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("IONSPIKE_CACHE", str(tmp_path))
    native._library.cache_clear()
    try:
        assert not native.available()
        one = recurrent(native=True)(stimulus(), torch.Generator().manual_seed(1))
        monkeypatch.setenv("CXX", "false")
        native._library.cache_clear()
        assert not native.available()
    finally:
        native._library.cache_clear()
    other = recurrent()(stimulus(), torch.Generator().manual_seed(1))
    assert one.any() and torch.equal(one, other)


def golden(network, x, seed=1):
    """Spikes ``[ticks, batch, neurons]`` of the golden model."""
    compiled = compile(network, DEFAULT_SHAPE)
    raster = with_bias(network, x.numpy().transpose(1, 0, 2) > 0)
    model = Model(compiled.image, lfsr_states(seed, len(raster)))
    return model.run(compiled.to_board(raster))[..., compiled.neuron_slots].transpose(1, 0, 2), compiled


def exported(model):
    return model.network(tuple(str(k // 2) for k in range(model.outputs)), {})


@pytest.mark.parametrize("changes", [{}, {"gap": -0.05}, {"delay": 3}, {"delay": 1, "sustained": True}, {"bits": 4}, *(
    {"device": without(DEVICE, name)} for name in PROPERTIES if name != "cascade")])
def test_golden_model_has_the_float_models_coefficients_and_nearly_its_spikes(changes):
    model, x = recurrent(**SILENT, **changes), stimulus(batch=64)
    network = exported(model)
    exact, compiled = golden(network, x)
    words = compiled.image.coefficients[compiled.neuron_slots].astype(np.int64)
    assert (words & 0xFFF).tolist() == np.rint(model.kg().detach().numpy() * 4096).tolist()
    assert (words >> 12 & 0xFFF).tolist() == np.rint(model.growth().detach().numpy() * 8192).tolist()
    # Each neuron under what the golden model's spikes make its drive: no neuron answers for another.
    before = torch.cat([delayed(torch.from_numpy(exact[..., part]).float(), delays)
                        for part, delays in zip(model.ranges, model.delays, strict=True)], -1)
    alone = []
    for k, (layer, part) in enumerate(zip(model.layers, model.ranges, strict=True)):
        drive = layer.drive(before[..., model.ranges[k - 1]] if k else x)
        if layer.recurrent is not None:
            drive = drive + before[..., part] @ layer.own()
        alone.append(Unroll.apply(
            drive, model.kg()[part], model.growth()[part], torch.full_like(layer.bias, model.limit),
            model.table, model.rest, model._steps[False], None, None).detach().numpy() > 0)
    alone = np.concatenate(alone, -1)
    assert 0.02 < exact.mean() < (0.6 if "sustained" in changes else 0.3) and (exact.mean((0, 1)) > 0).mean() > 0.5
    assert (exact == alone).all(axis=0).mean() > 0.98
    # And all of them together, where a spike that rounding has moved moves others.
    together = model(x).detach().numpy() > 0
    assert (exact == together).mean() > 0.98
    assert np.abs(exact.mean((0, 1)) - together.mean((0, 1))).mean() < 0.02 * exact.mean()


def test_rates_agree_under_noise_and_mismatch():
    model, x = recurrent(), stimulus(batch=256)
    drawn = Mismatch.draw(model.neurons, seed=4, growth=0.2, gap=0.03, rc=0.2)
    floating = model(x, torch.Generator().manual_seed(1), drawn).detach().numpy() > 0
    network = exported(model)
    both = Mismatch(network.mismatch.growth * drawn.growth, drawn.gap, drawn.rc)
    exact, _ = golden(Network(**{**vars(network), "mismatch": both}), x)
    plain, _ = golden(network, x)
    by_neuron = [a.mean((0, 1)) for a in (exact, floating, plain)]
    assert np.abs(by_neuron[0] - by_neuron[1]).mean() < 0.05 * by_neuron[0].mean()
    assert np.abs(by_neuron[2] - by_neuron[1]).mean() > 0.1 * by_neuron[0].mean()


def test_a_spike_reaches_others_in_the_next_tick():
    model = recurrent(hidden=(1,), outputs=1, inputs=1, **SILENT)
    with torch.no_grad():
        for layer in model.layers:
            layer.mean.zero_(), layer.variance.fill_(1), layer.bias.zero_()
            layer.weights.fill_(2), layer.gain.fill_(1)
            layer.scale_V = model.scale_V = 2.0**-5
            layer.growths.fill_(0)      # as much as allowed: one strong pulse bridges within few ticks
        model.layers[0].recurrent.zero_()
    x = torch.ones(20, 1, 1)
    spikes = model(x)[:, 0].detach().numpy() > 0
    exact, _ = golden(exported(model), x)
    assert np.array_equal(exact[:, 0], spikes)
    first = np.argmax(spikes[:, 0])
    assert spikes[first, 0] and not spikes[:first + 1, 1].any()


def test_of_four_bits_are_all_weights_but_the_biases():
    network = exported(recurrent(bits=4))
    biases, others = ([p.weights for p in network.projections
                       if (p.source == "inputs" and p.source_start == 12) == which] for which in (True, False))
    assert len(biases) == 3 and any((weights % UNIT).any() for weights in biases)
    assert not any((weights % UNIT).any() for weights in others)
    assert max(np.abs(weights).max() for weights in others) <= 7 * UNIT


def test_delays_are_spread_over_a_layer_and_reach_the_board():
    model, x = recurrent(hidden=(10, 5), outputs=3, delay=2, **SILENT), stimulus()
    assert [each.tolist() for each in model.delays] == [[0, 0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 0, 1, 1, 2], [0, 1, 2]]
    network = exported(model)
    reached = {(p.source_start, p.target_start, len(p.weights)): p.delay
               for p in network.projections if p.source == "neurons"}
    assert reached == {(0, 0, 4): 0, (4, 0, 3): 1, (7, 0, 3): 2, (0, 10, 4): 0, (4, 10, 3): 1, (7, 10, 3): 2,
                       (10, 10, 2): 0, (12, 10, 2): 1, (14, 10, 1): 2, (10, 15, 2): 0, (12, 15, 2): 1, (14, 15, 1): 2}
    assert not torch.equal(model(x), recurrent(hidden=(10, 5), outputs=3, **SILENT)(x))


def test_noise_is_of_the_generator_alone():
    model, x = recurrent(), stimulus()
    one, again, other = (model(x, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)

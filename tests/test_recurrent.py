import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ionspike.host.compiler import compile
from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network
from ionspike.host.seeds import lfsr_states
from ionspike.sim.model import Model
from ionspike.spec.device import Device
from ionspike.spec.shape import DEFAULT_SHAPE

torch = pytest.importorskip("torch", reason="not installed: torch (pip install torch)")

from ionspike.train import neuron, steps  # noqa: E402
from ionspike.train.properties import PROPERTIES, without  # noqa: E402
from ionspike.train.recurrent import Recurrent  # noqa: E402
from ionspike.train.unroll import Unroll  # noqa: E402

DT_S = 1e-3
SILENT = {"sigma1": 0.0, "residue_noise": 0.0}
DEVICE = Device.load("zhao2025_ms").with_(r_control_ohm=200e6)


def recurrent(hidden=(24, 16), outputs=8, inputs=12, seed=1, compiled=False, device=DEVICE, **changes):
    """A network with devices of many kinds."""
    generator = torch.Generator().manual_seed(seed)
    model = Recurrent(device.with_(**changes), DT_S, inputs, hidden, outputs,
                      scale_V=4096 * 2.0**-19, spread_V=0.25, mean_V=0.3, recurrent_V=0.15,
                      generator=generator, compiled=compiled)
    with torch.no_grad():
        model.gates += torch.randn(model.neurons, generator=generator) * 0.5
        model.growths += torch.randn(model.neurons, generator=generator) * 0.3
    return model


def stimulus(ticks=60, batch=16, inputs=12, seed=2, rate=0.3):
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((ticks, batch, inputs)) < rate).astype(np.float32))


def by_autograd(model, x, weights, kg, growth):
    """The same equations, differentiated by torch."""
    first, limit, m = weights[0], model.limit, neuron.Memristors(model.device, model.dt_s)
    m.h = m.h.to(x)
    f = r = g = z = torch.zeros(x.shape[1], model.neurons).to(x)
    off = torch.ones_like(f, dtype=torch.bool)
    spikes = []
    for now in x:
        drive = torch.nn.functional.pad(now @ first, (0, model.neurons - model.first.stop))
        for block, w in zip(model.blocks, weights[1:], strict=True):
            left, right = block.target.start, model.neurons - block.target.stop
            drive = drive + torch.nn.functional.pad(z[:, block.source] @ w, (left, right))
        v = neuron._Drive.apply(drive)
        e = torch.relu(v - g) + steps._OPEN_SLOPE * (v - v.detach()) * (v <= g)
        h = neuron._Feedback.apply(f + r, limit, m.h, m.feedback_bound)
        f = (f + growth * e * h - m.kf * f - neuron._F_LOSS).clamp(0, neuron._F_MAX)
        r = (torch.relu((1 - m.kr) * r - neuron._R_LOSS) + m.kb * f).clamp(0, m.r_max)
        over = f + r - limit
        z = neuron._Spike.apply(over, off, v.detach() >= m.spike_level)
        bridged = over.detach() >= 0
        f = torch.where(bridged, limit - r.detach(), f)
        held = torch.where(g > v, g, v.detach())
        g = torch.where(bridged, held, ((1 - kg) * g - steps._V_LOSS).clamp(min=0))
        off = g < m.spike_level
        spikes.append(z)
    return torch.stack(spikes)


def test_gradients_are_those_of_autograd():
    # Double precision, where no rounding makes spikes differ.
    model, x = recurrent(**SILENT).double(), stimulus().double()
    model.table = model.table.double()
    generator = torch.Generator().manual_seed(5)
    towards = torch.randn(60, 16, model.neurons, generator=generator).double()
    found = []
    for run in ("own", "autograd"):
        model.zero_grad()
        if run == "own":
            spikes = model(x)
        else:
            spikes = by_autograd(model, x, [neuron.quantise(w, model.scale_V) for w in model.weights],
                                 model.kg(), model.growth())
        (spikes * towards).sum().backward()
        found.append((spikes.detach(), [p.grad.clone() for p in model.parameters()]))
    (own, gradients), (other, expected) = found
    rate = own.mean((0, 1))
    assert torch.equal(own, other) and (rate > 0).float().mean() > 0.7 and rate.max() < 0.5
    for got, wanted in zip(gradients, expected, strict=True):
        assert wanted.abs().max() > 0
        assert torch.allclose(got, wanted, rtol=1e-7, atol=1e-9 * float(wanted.abs().max()))


def test_compiled_steps_are_the_plain_ones():
    """In a process of its own: compiled backward passes have aborted one that had run other tests."""
    if not steps.can_compile():
        pytest.skip("no C++ compiler")
    subprocess.run([sys.executable, "-c", "import test_recurrent as t; t.compare_compiled()"],
                   cwd=Path(__file__).parent, check=True, timeout=600)


def compare_compiled():
    x, found = stimulus(ticks=12, batch=4), []
    for compiled in (False, True):
        model = recurrent(hidden=(8,), outputs=4, compiled=compiled)
        spikes = model(x, torch.Generator().manual_seed(3))
        spikes.sum().backward()
        assert model._steps[True].is_compiled == compiled
        found.append((spikes.detach(), [p.grad for p in model.parameters()]))
    (plain, gradients), (fast, others) = found
    assert plain.any() and (plain == fast).float().mean() > 0.99
    for a, b in zip(gradients, others, strict=True):
        assert torch.allclose(a, b, rtol=0.02, atol=0.02 * float(a.abs().max()))


def test_steps_that_cannot_be_compiled_run_as_they_are(monkeypatch):
    def broken(*_, **__):
        def fails(*_):
            raise RuntimeError("no compiler after all")
        return fails

    monkeypatch.setattr(torch, "compile", broken)
    model = recurrent(hidden=(8,), outputs=4, compiled=True)
    assert model._steps[False].is_compiled
    expected = recurrent(hidden=(8,), outputs=4)
    assert torch.equal(model(stimulus()), expected(stimulus()))
    assert not model._steps[False].forward.is_compiled


def golden(network, x, seed=1):
    """Spikes ``[ticks, batch, neurons]`` of the golden model."""
    compiled = compile(network, DEFAULT_SHAPE)
    raster = x.numpy().transpose(1, 0, 2) > 0
    model = Model(compiled.image, lfsr_states(seed, len(raster)))
    return model.run(compiled.to_board(raster))[..., compiled.neuron_slots].transpose(1, 0, 2), compiled


def exported(model):
    return model.network(tuple(str(k // 2) for k in range(model.outputs)), {})


@pytest.mark.parametrize("changes", [{}, {"gap": -0.05}, *(
    {"device": without(DEVICE, name)} for name in PROPERTIES if name != "cascade")])
def test_golden_model_has_the_float_models_coefficients_and_nearly_its_spikes(changes):
    model, x = recurrent(**SILENT, **changes), stimulus(batch=64)
    network = exported(model)
    exact, compiled = golden(network, x)
    words = compiled.image.coefficients[compiled.neuron_slots].astype(np.int64)
    assert (words & 0xFFF).tolist() == np.rint(model.kg().detach().numpy() * 4096).tolist()
    assert (words >> 12 & 0xFFF).tolist() == np.rint(model.growth().detach().numpy() * 8192).tolist()
    # Each neuron under what the golden model's spikes make its drive: no neuron answers for another.
    first, *others = (neuron.quantise(w, model.scale_V) for w in model.weights)
    drive = torch.nn.functional.pad(x @ first, (0, model.neurons - model.first.stop))
    for block, w in zip(model.blocks, others, strict=True):
        drive[1:, :, block.target] += torch.from_numpy(exact[:-1, :, block.source]).float() @ w
    alone = Unroll.apply(drive, model.kg(), model.growth(), torch.full((model.neurons,), model.limit),
                         model.table, model._steps[False], (), None).detach().numpy() > 0
    assert 0.02 < exact.mean() < 0.3 and (exact.mean((0, 1)) > 0).mean() > 0.5
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
        for w, volts in zip(model.weights, (2.0, 0.0, 2.0), strict=True):
            w.fill_(volts)
        model.scale_V = 2.0**-5
        model.growths.fill_(0)      # as much as allowed: one strong pulse bridges within few ticks
    x = torch.ones(20, 1, 1)
    spikes = model(x)[:, 0].detach().numpy() > 0
    exact, _ = golden(exported(model), x)
    assert np.array_equal(exact[:, 0], spikes)
    first = np.argmax(spikes[:, 0])
    assert spikes[first, 0] and not spikes[:first + 1, 1].any()


def test_noise_is_of_the_generator_alone():
    model, x = recurrent(), stimulus()
    one, again, other = (model(x, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)

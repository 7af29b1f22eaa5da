"""NIR networks in floating point against the frameworks that export them: every spike."""

import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import lack, require_package

from ionspike.host.lif_float import simulate
from ionspike.host.nir_graph import Graph

#: What the frameworks warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

STEPS = 1000
#: As snnTorch writes them: its files are of no time, this one stands for a step.
SNNTORCH_DT_S = 1e-4
#: Norse multiplies its time constants by its step of 1 ms when it writes them.
NORSE_DT_S = 1e-6


def there(name, how):
    """A framework is there, which no extra brings."""
    if find_spec(name) is None:
        lack(f"not installed: {name} (pip install {how})")


@pytest.fixture(scope="module")
def torch():
    require_package("torch", "train")
    require_package("nir", "nir")
    import torch
    return torch


@pytest.fixture(scope="module")
def snn(torch):
    there("snntorch", "snntorch==1.0.0 nirtorch==2.6")
    import snntorch
    return snntorch


@pytest.fixture(scope="module")
def norse(torch):
    there("norse", "--no-deps norse==1.1.0 torchvision==0.29.2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norse.torch
    return norse.torch


def inputs(width, rate=0.2, seed=0):
    return np.random.default_rng(seed).random((STEPS, width)) < rate


def exported(snn, torch, modules, width):
    """A snnTorch network as NIR, and its spikes layer by layer."""
    from snntorch.export_nir import export_to_nir
    net = torch.nn.Sequential(*modules)
    graph = Graph.of(export_to_nir(net, torch.zeros(width)).to_dict())

    def run(raster):
        found = {}
        hooks = [module.register_forward_hook(lambda _, __, out, k=k: found.setdefault(k, []).append(
            out[0] if isinstance(out, tuple) else out))
            for k, module in enumerate(modules) if isinstance(module, snn.SpikingNeuron)]
        for module in modules:
            if hasattr(module, "reset_mem"):
                module.reset_mem()
        with torch.no_grad():
            for row in torch.tensor(raster, dtype=torch.float32):
                net(row[None])
        for hook in hooks:
            hook.remove()
        return [torch.cat(outs).numpy() > 0 for outs in found.values()]

    return graph, run


def weights(torch, rows, columns, seed, scale=0.3):
    layer = torch.nn.Linear(columns, rows)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rng.normal(0.1, scale, (rows, columns))))
        layer.bias.copy_(torch.tensor(rng.normal(0, 0.05, rows)))
    return layer


def constant(torch, size, value):
    # One value for all is exported as a number without a size, which nir refuses.
    return torch.full((size,), value)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.97])
def test_two_layers_of_snntorch(snn, torch, reset, beta):
    leaky = [snn.Leaky(beta=constant(torch, n, beta), threshold=constant(torch, n, 1.0),
                       init_hidden=True, reset_mechanism=reset) for n in (32, 10)]
    graph, run = exported(snn, torch, [weights(torch, 32, 20, 1), leaky[0],
                                       weights(torch, 10, 32, 2), leaky[1]], 20)
    x = inputs(20)
    expected = run(x)
    found = simulate(graph, x, SNNTORCH_DT_S, reset=reset).spikes
    for wanted, got in zip(expected, found.values(), strict=True):
        assert wanted.any() and not wanted.all()
        assert np.array_equal(wanted, got)


# With its delay, a reset to zero of the next two also drops what arrives in the step after a spike;
# without, as snnTorch itself reads NIR files, it does not. Of Leaky, both are the same.

@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_recurrence_of_snntorch(snn, torch, reset):
    layer = snn.RLeaky(beta=constant(torch, 24, 0.9), threshold=constant(torch, 24, 1.0),
                       linear_features=24, init_hidden=True, reset_mechanism=reset,
                       reset_delay=reset == "subtract")
    with torch.no_grad():
        layer.recurrent.weight.copy_(torch.tensor(
            np.random.default_rng(3).normal(-0.05, 0.15, (24, 24))))
    graph, run = exported(snn, torch, [weights(torch, 24, 20, 4), layer], 20)
    assert {(c.source, c.target) for c in graph.connections} >= {("1.lif", "1.lif")}
    x = inputs(20)
    found = simulate(graph, x, SNNTORCH_DT_S, reset=reset).spikes["1.lif"]
    (wanted,) = run(x)
    assert wanted.any() and np.array_equal(wanted, found)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_currents_of_snntorch(snn, torch, reset):
    layer = snn.Synaptic(alpha=constant(torch, 16, 0.8), beta=constant(torch, 16, 0.9),
                         threshold=constant(torch, 16, 1.0), init_hidden=True,
                         reset_mechanism=reset, reset_delay=reset == "subtract")
    graph, run = exported(snn, torch, [weights(torch, 16, 20, 5, 0.1), layer], 20)
    assert [layer.kind for layer in graph.layers.values()] == ["CubaLIF"]
    x = inputs(20)
    (wanted,) = run(x)
    assert wanted.any() and np.array_equal(
        wanted, simulate(graph, x, SNNTORCH_DT_S, reset=reset).spikes["1"])


def step_by_step(torch, net, x):
    """What a network of Norse gives, ``[STEPS, out]``."""
    state, out = None, []
    with torch.no_grad():
        for row in torch.tensor(x, dtype=torch.float32):
            given, state = net(row[None], state)
            out.append(given[0].numpy().copy())
    return np.array(out)


def test_if_of_norse(norse, torch):
    from norse.torch.utils.export_nir import to_nir
    p = norse.IAFParameters(v_th=torch.full((24,), 1.0))
    net = norse.SequentialState(weights(torch, 24, 20, 6), norse.IAFCell(p))
    root = to_nir(net, torch.zeros(1, 20)).to_dict()
    # Which it leaves out.
    root["nodes"]["1"]["r"] = np.full(24, 1 / NORSE_DT_S)
    graph, x = Graph.of(root), inputs(20)
    assert graph.layers["1"].kind == "IF"
    wanted = step_by_step(torch, net, x) > 0
    assert wanted.any() and not wanted.all()
    assert np.array_equal(wanted, simulate(graph, x, NORSE_DT_S).spikes["1"])


def test_currents_of_norse(norse, torch):
    from norse.torch.utils.export_nir import to_nir
    p = norse.LIFParameters(tau_syn_inv=torch.full((24,), 200.0), tau_mem_inv=torch.full((24,), 100.0),
                            v_leak=torch.zeros(24), v_th=torch.full((24,), 0.5))
    net = norse.SequentialState(weights(torch, 24, 20, 6), norse.LIFCell(p))
    root = to_nir(net, torch.zeros(1, 20)).to_dict()
    # Spikes are added to its currents as they are: the scale of NIR's equation it leaves out too.
    root["nodes"]["1"]["w_in"] = np.asarray(root["nodes"]["1"]["tau_syn"]) / NORSE_DT_S
    graph, x = Graph.of(root), inputs(20)
    assert graph.layers["1"].kind == "CubaLIF"
    wanted = step_by_step(torch, net, x) > 0
    assert wanted.any() and not wanted.all()
    assert np.array_equal(wanted, simulate(graph, x, NORSE_DT_S).spikes["1"])


def test_membranes_of_norse(norse, torch):
    from norse.torch.utils.export_nir import to_nir
    p = norse.LIBoxParameters(tau_mem_inv=torch.full((24,), 100.0), v_leak=torch.full((24,), 0.3))
    net = norse.SequentialState(weights(torch, 24, 20, 6), norse.LIBoxCell(p))
    graph, x = Graph.of(to_nir(net, torch.zeros(1, 20)).to_dict()), inputs(20)
    wanted = step_by_step(torch, net, x)
    got = simulate(graph, x, NORSE_DT_S, membranes=("1",)).membranes["1"]
    # It computes in 32 bits.
    assert np.ptp(wanted) > 0.3 and np.abs(got - wanted).max() < 1e-5


def test_lif_of_norse(norse, torch):
    from norse.torch.utils.export_nir import to_nir
    p = norse.LIFBoxParameters(
        tau_mem_inv=torch.full((24,), 100.0), v_leak=torch.zeros(24), v_th=torch.full((24,), 0.15))
    net = norse.SequentialState(weights(torch, 24, 20, 6), norse.LIFBoxCell(p))
    graph = Graph.of(to_nir(net, torch.zeros(1, 20)).to_dict())
    x, state, wanted = inputs(20), None, []
    with torch.no_grad():
        for row in torch.tensor(x, dtype=torch.float32):
            out, state = net(row[None], state)
            wanted.append(out[0].numpy() > 0)
    wanted = np.array(wanted)
    assert wanted.any() and not wanted.all()
    assert np.array_equal(wanted, simulate(graph, x, NORSE_DT_S).spikes["1"])

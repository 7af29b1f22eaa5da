"""A LIF network as NIR, handwritten digits through it, in floating point and on a core.

Run: ``python examples/digits_nir.py digits.nir``. It needs the extra ``nir``, and no framework: the ten
neurons are those of a logistic regression, whose weights any framework could have trained. Beside
``digits.nir`` it writes ``digits.npz``, inputs for ``ionspike import --sample`` and ``ionspike run``.
"""

import sys
from pathlib import Path

import numpy as np
import sklearn.datasets
import sklearn.linear_model
import sklearn.model_selection

from ionspike import Board, Spikes
from ionspike.host.lif_float import simulate
from ionspike.host.nir_import import imported
from ionspike.host.steps import to_ticks

DT_S, TAU_S, STEPS, DIGITS, SEED = 1e-3, 1e-2, 40, 100, 1


def network(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Write the graph; returns digits it has not seen, as spikes ``[digits, steps, 64]``, and labels."""
    import nir
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    seen, unseen, seen_labels, unseen_labels = sklearn.model_selection.train_test_split(
        images / 16, labels, random_state=SEED)
    fit = sklearn.linear_model.LogisticRegression(C=0.1, max_iter=200).fit(seen, seen_labels)
    neurons = np.ones(10)
    nir.write(path, nir.NIRGraph.from_list(
        nir.Input(np.array([64])), nir.Affine(0.35 * fit.coef_, 0.35 * fit.intercept_ + 0.06),
        nir.LIF(tau=neurons * TAU_S, r=neurons * TAU_S / DT_S, v_leak=neurons * 0,
                v_threshold=neurons, v_reset=neurons * 0),
        nir.Output(np.array([10]))))
    rng = np.random.default_rng(SEED)
    return rng.random((DIGITS, STEPS, 64)) < 0.5 * unseen[:DIGITS, None], unseen_labels[:DIGITS]


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python examples/digits_nir.py FILE.nir")
    path = Path(sys.argv[1])
    inputs, labels = network(str(path))
    Spikes(inputs.reshape(-1, 64), DT_S).save(path.with_suffix(".npz"))
    found = imported(path, dt_s=DT_S, sample=inputs.reshape(-1, 64))
    assert found.graph is not None
    floats = np.array([simulate(found.graph, x, DT_S).spikes["lif"].sum(axis=0) for x in inputs])
    with Board.open(backend="golden") as board:
        board.load(found.network)
        results = board.run_many([to_ticks(Spikes(x, DT_S), found.network) for x in inputs],
                                 seeds=[SEED] * DIGITS, final_state=False)
    core = np.array([result.output_counts for result in results])
    for name, counts in (("floating point", floats), ("core", core)):
        right = (counts.argmax(axis=1) == labels).sum()
        print(f"{name:<15} {right} of {DIGITS} digits right, {counts.sum():,} spikes")
    print(f"{'the same answer':<15} {(floats.argmax(axis=1) == core.argmax(axis=1)).sum()} of {DIGITS}")


if __name__ == "__main__":
    main()

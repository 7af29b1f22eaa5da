"""NIR's files: HDF5, as a tree of groups and arrays."""

from pathlib import Path

from ionspike.host import hdf5
from ionspike.host.errors import InputError
from ionspike.host.hdf5 import Tree

__all__ = ["LIMITS", "read_hdf5", "read_nir", "root_of"]

#: The largest core holds far less.
LIMITS = hdf5.Limits(bytes=1 << 28, memory=1 << 31, cpu_s=30, wall_s=60)


def read_nir(path: str | Path) -> Tree:
    """The root node of a NIR file, as :meth:`nir.NIRGraph.to_dict` gives it.

    Raises
    ------
    InputError
        For a file that cannot be read, is damaged, or holds no NIR graph.
    """
    return root_of(read_hdf5(path), str(path))


def root_of(tree: Tree, where: str) -> Tree:
    """The root node in the tree of a NIR file."""
    if not isinstance(node := tree.get("node"), dict):
        raise InputError(f"{where}: holds no NIR graph: there is no group 'node' in it")
    return node


def read_hdf5(path: str | Path) -> Tree:
    """Everything in a file of NIR: :func:`ionspike.host.hdf5.read`."""
    return hdf5.read(path, LIMITS, extra="nir")

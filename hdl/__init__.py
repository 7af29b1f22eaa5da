"""Gateware, in Amaranth; imports nothing of ours but :mod:`ionspike.spec`."""

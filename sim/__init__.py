"""Golden model, cocotb testbenches and the virtual board."""

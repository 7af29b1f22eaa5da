"""Training of networks of memristor neurons; needs the ``train`` extra."""

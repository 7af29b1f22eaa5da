"""How closely the emulated neuron follows the published one: experiments, figures, errors."""

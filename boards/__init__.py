"""Board platforms, and the tools that build for them."""

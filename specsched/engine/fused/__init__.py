"""One compiled forward for small models on a CPU: a whole network in one call, in Python that numba compiles.

`lanes` is the machine (16 numbers side by side), `tile` the inner loop of every product, `product`, `attention` and
`forward` the network on top of them, `weights` how a network's weights are laid out for it, `decoder` what the engine
sees. Nothing but `decoder` is imported where numba is missing.

What a token computes depends on its own row alone: integer sums are exact, and every sum of floats is made in one
order, however many tokens there are beside it. So a row's logits are the same bits in any batch, width or stretch.
"""

"""The HTTP face: routes, and the protocols behind them."""

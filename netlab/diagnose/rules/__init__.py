"""nftables rules: their text as nft prints it, and the objects of the cluster behind them."""

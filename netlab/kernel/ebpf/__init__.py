"""BPF programs, and the kernel's own reason for a dropped packet (the tracepoint skb:kfree_skb)."""

"""The agent as its callers see it, and the way into a Pod: start, find, ask and end it; enter a sandbox."""

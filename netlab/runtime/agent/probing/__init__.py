"""Startup, readiness and liveness probes, asked from the Pod's node as a kubelet does. ``grpc`` uses a helper process."""

"""What leaves the gateway about itself: OpenTelemetry over OTLP/gRPC, and Prometheus text.

Open `readings.py` first. Everything here is made in the observer process, after the fork: gRPC and the SDK's threads do
not survive one.
"""

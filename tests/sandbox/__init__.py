"""The gateway with no more power than deploy/ gives it: under the filters of its unit, and as a container's user."""

"""`make test-fresh`: what the README promises, on a Debian that has nothing else."""

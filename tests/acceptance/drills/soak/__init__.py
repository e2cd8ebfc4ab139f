"""The soak: gateways under load are struck again and again, at random. Open `soak.py` first."""

"""The configuration as a whole: where its variables come from, and all that is wrong with it, at once.

Open `faults.py` first. `env_file.py` reads a file of variables as systemd does; `names.py` looks for misspelt names.
What a single variable means is told in `oxidicom/settings.py`.
"""

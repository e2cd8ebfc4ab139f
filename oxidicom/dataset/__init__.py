"""What an instance says about itself: the few attributes that its path and its row are made of.

Open `describer.py` first: what is like its neighbours is recognized by one comparison; else `scanner.py` reads the
header, and where that stumbles pydicom does (`odd_dataset.py`). No socket, clock, thread or log: bytes in, values out.
"""

"""The final tree, `SERVICES/PACS`: a file comes to its final path whole, once, and of two versions the later stays.

Open `final_tree.py` first. Knows nothing of the spool: it is given names and descriptors.
"""

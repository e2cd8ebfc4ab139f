"""Where everything stands below CHRIS_FILES_ROOT. Pure: no file is touched here.

Open `final_path.py` first: CUBE has agreed on what it says.
"""

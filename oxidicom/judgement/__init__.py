"""The judgement: how a gateway is, in three levels and plain words, the same wherever it is shown.

`condition` is what a gateway knows of itself at one moment, `rules` turns it into reasons. Pure: what is looked at, and
how it is told to others, is elsewhere. Open `rules.py` first.
"""

"""The judgement: how a gateway is, in three levels and plain words, the same wherever it is shown.

`condition` is what a gateway knows of itself at one moment, `rules` turns it into reasons, `published` is how a running
gateway tells others on the same storage. No sockets, no processes. Open `rules` first.
"""

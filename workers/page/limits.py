"""How much of everything the page allows: whoever reaches its port may be anybody, or a port scan."""

MAX_CONNECTIONS = 16
"""At once. One more takes the place of the oldest without a whole request: so a probe finds one during a port scan."""
MAX_CONNECTIONS_FOR_A_MOMENT = 4 * MAX_CONNECTIONS
"""For a tenth of a second, where each of them has said something. One more is cut off."""
MAX_VIEWERS = 8
"""Connections that stay for events: fewer than all, so that probes find room. Others ask every few seconds."""
REQUEST_SECONDS = 5.0
"""Within which a request must be whole, from the connection or from the response before."""
WRITE_SECONDS = 10.0
"""Whoever takes nothing of a response for so long is cut off."""
VIEW_SECONDS = 600.0
"""So long events go on at most; a browser comes back by itself."""
STORAGE_SECONDS = 5.0
"""So long an answer waits for the storage at most."""
MAX_BUFFER_BYTES = 16 * 1024
"""Of what one connection has not taken; the kernel holds as much again and a little more."""

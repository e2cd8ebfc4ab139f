"""`make foreign-clients`: C-STORE clients that others wrote, in their own languages, against this gateway.

files      the 30 files that every client sends
install    fetches the clients from package registries into `.foreign/`
clients    how each is called, and what it can do
peers      who receives: the gateway, and DCMTK's storescp as the measure of what a client can send at all
trial      one client in one mode, sent and judged
dcm4che/, dcmjs/   small programs around libraries that come without one
"""

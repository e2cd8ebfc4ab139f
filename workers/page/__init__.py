"""The page: what people, Prometheus and Kubernetes see of the gateway over HTTP, at CHRIS_HTTP_PORT.

Open `page.py` first; `site.py` has what the process does, `application.py` what is where. It only reads, and when it
dies nothing else notices. Nothing that `page.py` imports at once may bring the web libraries: they belong to this
process alone.
"""

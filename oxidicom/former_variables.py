"""Variables of the former gateway, in Rust, that have no meaning here, and what is to be said of each.

Those that have one are aliases, by the rule of `variables.py`. A value is never told: some hold a password.
"""

from collections.abc import Mapping

_NO_BROKER = "is not needed: rows are written to CUBE's database directly, without a Celery task, worker or broker"
_NO_REST = "is not needed: rows are written to CUBE's database directly, not by its REST API"

FORMER_VARIABLES: Mapping[str, str] = {
    # Versions 3 and 4: CUBE's worker registered what a message told it.
    "CHRIS_AMQP_ADDRESS": _NO_BROKER,
    "CHRIS_CELERY_BROKER": _NO_BROKER,
    "CHRIS_QUEUE_NAME": _NO_BROKER,
    "CHRIS_SCP_PROMISCUOUS": "is not needed: SOP classes that are in no dictionary are always accepted",
    "CHRIS_DEV_SLEEP": "is not needed: it slowed messages down while the former gateway was developed",
    "RUST_LOG": "is not read: CHRIS_VERBOSE=yes shows debugging messages",
    # Version 2.
    "CHRIS_DB_BATCH_SIZE": "is not needed: a batch of rows grows by itself while another one is under way",
    # Version 1, and what came before it.
    "CHRIS_URL": _NO_REST,
    "CHRIS_USERNAME": _NO_REST,
    "CHRIS_PASSWORD": _NO_REST,
    "CHRIS_HTTP_RETRIES": _NO_REST,
    "CHRIS_PUSHER_THREADS": _NO_REST,
    "CHRIS_SCP_THREADS": "is not read: CHRIS_LISTENER_THREADS is the number of associations at a time",
    "CHRIS_PACS_NAME": "is not needed: a PACS is known by its calling AE title",
}

INSTEAD_OF_A_DATABASE = ("CHRIS_AMQP_ADDRESS", "CHRIS_CELERY_BROKER", "CHRIS_QUEUE_NAME", "CHRIS_URL")
"""Who has one of these used to have no CHRIS_DB_CONNECTION."""

"""One DICOM association, seen from the side that accepts it, without any input or output.

Bytes come in, events and bytes come out (PS3.8: upper layer; PS3.7: C-STORE and C-ECHO). Nothing here knows a
socket, a clock, a thread or a log: whoever owns the connection drives an `Acceptor` and decides about
deadlines.

Open `acceptor.py` first.

    acceptor       the upper layer's state machine; the one class that a listener talks to
    pdu_reader     the receive buffer, and the PDUs and fragments in it
    dimse          fragments to messages; answers what needs no decision of the listener
    associate      A-ASSOCIATE-RQ decoded, A-ASSOCIATE-AC encoded
    negotiation    what we answer to a proposal: a pure function
    syntaxes       which abstract and transfer syntaxes we take
    commands       command sets: decoded and encoded
    pdu            numbers of PS3.8, and the encoders of the small PDUs
    uids, events
"""

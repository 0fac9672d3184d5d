"""Makes the daemon one of protocol version 23, as far as clients can tell: it says so, and tells nobody that a question
was answered, which is all that version 24 added. No daemon of that version can be installed from PyPI any more, so this
is the one of today without it.
"""

from nicos.services.daemon.proto import classic

send_event = classic.ServerTransport.send_event


def send_event_of_23(handler, name, payload, blobs):
    if name != "promptdone":
        send_event(handler, name, payload, blobs)


classic.PROTO_VERSION = 23
classic.ServerTransport.send_event = send_event_of_23

"""The daemon process. Its address comes from the environment (see `run`)."""
import hashlib
from os import environ

description = 'test rig execution daemon'
group = 'special'


def _sha1(text):
    return hashlib.sha1(text.encode()).hexdigest()

devices = dict(
    Auth = device('nicos.services.daemon.auth.list.Authenticator',
        hashing = 'sha1',
        # levels: guest = 0, user = 10, admin = 20
        passwd = [
            ('service', _sha1('servicepw'), 'admin'),
            ('adam', _sha1('adampw'), 'admin'),
            ('uma', _sha1('umapw'), 'user'),
            ('ulf', _sha1('ulfpw'), 'user'),
            ('gus', _sha1('guspw'), 'guest'),
        ],
    ),
    Daemon = device('nicos.services.daemon.NicosDaemon',
        server = environ.get('RIG_DAEMON_ADDR', '127.0.0.1:1301'),
        servercls = 'nicos.services.daemon.proto.classic.Server',
        serializercls = environ.get('RIG_SERIALIZER') or
            'nicos.protocols.daemon.classic.ClassicSerializer',
        authenticators = ['Auth'],
        loglevel = 'info',
    ),
)

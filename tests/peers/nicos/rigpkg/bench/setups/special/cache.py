"""The cache: needed for dry runs and history only."""
from os import environ, path

description = 'test rig cache'
group = 'special'

devices = dict(
    DB = device('nicos.services.cache.database.FlatfileCacheDatabase',
        storepath = path.join(environ['RIG_RUN'], 'cachedb'),
    ),
    Server = device('nicos.services.cache.server.CacheServer',
        server = environ.get('RIG_CACHE_ADDR') or '127.0.0.1:14869',
        db = 'DB',
    ),
)

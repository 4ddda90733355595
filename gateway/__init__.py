"""
The front door to S3.

The packages, in reading order:

- ``message``, ``identity``, ``errors``: the words the rest speaks.
- ``server.pipeline``: the life of every S3 request, top to bottom. Read this first.
- ``s3``: operations, names, rewriting. ``sigv4``: signatures and payloads. ``policy``: who may do what.
- ``oidc``, ``sessions``, ``accesskeys``: who somebody is and how that was shown.
- ``upstream``: which S3 server, with whose credentials, over which connection.
- ``state``, ``observe``, ``config``, ``snapshot``: what is kept, what is told, what is in force.
- ``app``: builds every object and joins them. ``cli``: the commands. ``demo``: all of it on loopback.
"""

__version__ = "0.1.0"

"""The console's addresses by their beginning: which class of pages answers what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from zope.interface import implementer

from gateway.sandbox.web_request import WebRequest


@implementer(IResource)
class Mounts:
    """Gives a request to the first resource whose path it is, or lies below; to default, when there is none.

    The resources get the whole path: they are Klein's, and their routes are written out in full.
    """

    isLeaf = True  # Twisted's name

    def __init__(self, resources: Mapping[str, IResource], default: IResource) -> None:
        self._resources = [(path.encode(), resource) for path, resource in resources.items()]
        self._default = default

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:  # Twisted's name
        """A leaf has no children."""
        raise LookupError(name)

    def putChild(self, path: bytes, child: IResource) -> None:  # Twisted's name
        """A leaf takes no children."""
        raise TypeError("the console's routes are fixed")

    def render(self, request: IRequest) -> object:
        """Let the pages of this path answer."""
        path = cast("WebRequest", request).path
        for mounted, resource in self._resources:
            if path == mounted or path.startswith(mounted + b"/"):
                return resource.render(request)
        return self._default.render(request)

"""URLs in the form that the HTTP client hands to its agent."""

from __future__ import annotations

import pytest
from twisted.web.client import URI

from gateway.http_client import ready_url


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("https://api.postscale.io/v1/domains?limit=1", b"api.postscale.io", 443, b"/v1/domains?limit=1"),
        ("http://127.0.0.1:8025/sandbox/postscale/v1/send", b"127.0.0.1", 8025, b"/sandbox/postscale/v1/send"),
        ("http://[::1]:8443/v1", b"::1", 8443, b"/v1"),
        ("https://bücher.example/x", b"xn--bcher-kva.example", 443, b"/x"),
    ],
)
def test_host_port_and_path_come_through_as_they_are(text, host, port, path):
    url = ready_url(text)
    uri = URI.fromBytes(url)
    assert (uri.host, uri.port, uri.originForm) == (host, port, path)
    assert ready_url(text) is url

from __future__ import annotations

import pytest

from tests.http.peers import KEY, Server, running_client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with running_client(tmp_path_factory.mktemp("client")) as running:
        yield running
        assert KEY not in running.log()


@pytest.fixture
def serve():
    """Starts a server that does as the script says."""
    servers = []

    def start(script, context=None):
        servers.append(Server(script, context))
        return servers[-1]

    yield start
    for one in servers:
        one.close()

"""TLS towards the vendor is verified and closed on any doubt: whoever cannot prove its name gets not an octet."""

from __future__ import annotations

import ssl
import threading

import pytest

from .certificates import Root
from .peers import KEY, running_client

BODY = {"subject": "Hello"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def root(folder):
    return Root(folder, "trusted")


@pytest.fixture(scope="module")
def client(folder, root):
    with running_client(folder, str(root.file)) as running:
        yield running
        assert KEY not in running.log()
        assert "Traceback" not in running.log()


def by_name(server):
    return server.url.replace("127.0.0.1", "localhost")


def script(visit):
    while head := visit.read_request():
        visit.head = head
        visit.answer()


def refused(told, server):
    assert told.get("wholly_written") is False, told
    assert told["reason"]
    assert KEY not in told["reason"]
    assert not any(hasattr(visit, "head") for visit in server.visits)


@pytest.mark.parametrize("names", [["localhost"], ["other.example", "localhost"], ["LOCALHOST"]], ids=str)
def test_a_good_certificate_of_a_private_root_is_taken(client, serve, root, names):
    server = serve(script, root.leaf(*names))
    assert client.exchange(by_name(server), BODY).get("status") == 200
    assert client.exchange(by_name(server), BODY).get("status") == 200
    assert len(server.visits) == 1


def test_an_address_in_the_url_is_verified_as_an_address(client, serve, root):
    assert client.exchange(serve(script, root.leaf("ip:127.0.0.1")).url, BODY).get("status") == 200


@pytest.mark.parametrize(
    "names",
    [
        [], ["other.example"], ["*"], ["*.*"], ["*.localhost"], ["ip:127.0.0.1"], ["uri:https://localhost/"],
        ["localhost.evil.example"],
        ["127.0.0.1"], ["xlocalhost"], ["l*"],
    ],
    ids=str,
)  # fmt: skip
def test_a_leaf_that_does_not_name_the_host_is_refused_even_when_its_common_name_does(client, serve, root, names):
    server = serve(script, root.leaf(*names, common_name="localhost"))
    refused(client.exchange(by_name(server), BODY), server)


@pytest.mark.parametrize("names", [[], ["localhost"], ["127.0.0.1"], ["ip:127.0.0.2"], ["*"], ["ip:::1"]], ids=str)
def test_a_leaf_that_does_not_name_the_address_is_refused(client, serve, root, names):
    server = serve(script, root.leaf(*names))
    refused(client.exchange(server.url, BODY), server)


def test_an_expired_certificate_is_refused(client, serve, root):
    server = serve(script, root.leaf("localhost", days=-1))
    refused(client.exchange(by_name(server), BODY), server)


def test_a_certificate_of_an_unknown_root_is_refused(client, serve, tmp_path):
    server = serve(script, Root(tmp_path, "unknown").leaf("localhost"))
    refused(client.exchange(by_name(server), BODY), server)


def test_a_root_of_the_same_name_with_another_key_is_refused(client, serve, tmp_path):
    server = serve(script, Root(tmp_path, "trusted").leaf("localhost"))
    refused(client.exchange(by_name(server), BODY), server)


def test_the_systems_roots_do_not_know_a_private_one(serve, root, tmp_path):
    server = serve(script, root.leaf("localhost"))
    with running_client(tmp_path) as of_the_system:
        refused(of_the_system.exchange(by_name(server), BODY), server)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # that they are deprecated is the point
def test_versions_below_tls_1_2_are_not_spoken(client, serve, root):
    context = root.leaf("localhost")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    server = serve(script, context)
    refused(client.exchange(by_name(server), BODY), server)


def test_a_server_that_speaks_no_tls_gets_nothing(client, serve):
    heads = []

    def plain(visit):
        heads.append(visit.connection.recv(65536))
        visit.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    told = client.exchange(serve(plain).url.replace("http:", "https:"), BODY)
    assert told.get("wholly_written") is False
    assert KEY.encode() not in b"".join(heads)


def test_a_server_that_hangs_up_in_the_handshake_has_nothing(client, serve):
    server = serve(lambda visit: visit.connection.recv(65536))
    told = client.exchange(server.url.replace("http:", "https:"), BODY)
    assert told.get("wholly_written") is False, told


def test_a_server_that_stalls_in_the_handshake_has_nothing(client, serve):
    done = threading.Event()
    server = serve(lambda visit: done.wait(10))
    told = client.exchange(server.url.replace("http:", "https:"), BODY, deadline_seconds=0.2)
    done.set()
    assert told.get("wholly_written") is False, told

"""The settings file: what is refused, with which words; where secrets come from; which vendor a client's mail takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.secret import Secret, SecretError
from gateway.settings import Settings, SettingsError, VendorSettings, embedded, read_settings
from gateway.vendor import load

VENDOR = '[vendors.postscale]\napi = "postscale"\n'


def problems_of(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "gateway.toml"
    file.write_text(text, "utf-8")
    try:
        read_settings(file)
    except SettingsError as error:
        assert str(error) == "\n".join(map(str, error.problems))
        return list(map(str, error.problems))
    return []


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "gateway.toml"
    file.write_text(text, "utf-8")
    return read_settings(file)


def test_an_empty_file_is_all_defaults(tmp_path):
    assert read(tmp_path, "") == Settings()


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("hostnam = 'x'", "hostnam", "did you mean hostname?"),
        ("hostname = 5", "hostname", "expected a string"),
        ("hostname = 'a b'", "hostname", "a domain name"),
        ("hostname = 'ünï.example'", "hostname", "a domain name"),
        ("hostname = 'x.example\\u000d'", "hostname", "a domain name"),
        ("hostname = '-x.example'", "hostname", "a domain name"),
        ("hostname = '[192.0.2.300]'", "hostname", "a domain name"),
        (f"hostname = '{'a.' * 128}a'", "hostname", "255"),
        ("[store]\nurl = 'sqlite:'", "store.url", '"sqlite:" and a path'),
        ("[vendors.x]\napi = '__init__'", "vendors.x.api", "is known"),
        ("[[listeners]]\nendpoint = 'tcp:1'\ndialect = '__init__'", "listeners[0].dialect", "is known"),
        ("listeners = []", "listeners", "at least one listener"),
        ("[[listeners]]\ntls = 'none'", "listeners[0].endpoint", "missing"),
        ("[[listeners]]\nendpoint = 'tcp:1'\ntls = 'ssl'", "listeners[0].tls", '"starttls" or "implicit"'),
        ("[[listeners]]\nendpoint = 'tcp:1'\ndialect = 'nosuch'", "listeners[0].dialect", '"nosuch" is known'),
        ("[[listeners]]\nendpoint = 'tcp:1'\ndialect = '../x'", "listeners[0].dialect", "is known"),
        ("[[listeners]]\nendpoint = 'tcp:1'\ncertificate = 'c.pem'", "listeners[0].private_key", "go together"),
        ("[tls]\nprivate_key = 'k.pem'", "tls.certificate", "go together"),
        ("[tls]\nminimum_version = '1.1'", "tls.minimum_version", '"1.2" or "1.3"'),
        ("[limits]\nrecipients = 0", "limits.recipients", "at least 1"),
        ("[limits]\nrecipient = 5", "limits.recipient", "did you mean recipients?"),
        ("[store]\nurl = 'mysql://x'", "store.url", 'got "mysql://x"'),
        ("[store]\nurl = 'postgresql://[x'", "store.url", '"postgresql://USER@HOST/DATABASE"'),
        ("[store]\nurl = 'postgresql://x/a b'", "store.url", '"postgresql://USER@HOST/DATABASE"'),
        ("[store]\npassword = { env = 'X' }", "store.password", "postgresql:// URL only"),
        ("[store]\ncontent_days = 0", "store.content_days", "above 0"),
        ("[vendors.x]\napi = 'nosuch'", "vendors.x.api", "is known"),
        ("[vendors.x]", "vendors.x.api", "missing"),
        ("[vendors.x]\napi = 'postscale'\nexchange_seconds = -1", "vendors.x.exchange_seconds", "above 0"),
        (VENDOR + "[[routes]]\nvendors = ['nosuch']", "routes[0].vendors", "there is no [vendors.nosuch]"),
        (VENDOR + "[[routes]]\nmode = 'later'", "routes[0].mode", '"direct" or "queued" or "spill"'),
        (VENDOR + "[[routes]]\nnotices = ['fax']", "routes[0].notices[0]", "dsn, bounce"),
        ("[queue]\nlongest_retry_seconds = 5", "queue.longest_retry_seconds", "at least first_retry_seconds"),
        ("[queue]\nlease_seconds = 3601", "queue.lease_seconds", "at most 3600"),
        ("[queue]\nexpire_seconds = 0", "queue.expire_seconds", "above 0"),
        ("[console]\nendpoint = 'tcp:8025'", "console.endpoint", "loopback"),
        ("[console]\nendpoint = 'tcp:8025:interface=0.0.0.0'", "console.endpoint", "loopback"),
        ("[sandbox]\nenabled = 'yes'", "sandbox.enabled", "true or false"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_path_and_what_was_expected(tmp_path, text, path, words):
    problems = problems_of(tmp_path, text)
    assert any(one.startswith(f"{path}: ") and words in one for one in problems), problems


@pytest.mark.parametrize(
    "name", ["localhost", "smtp.shop.example", "xn--mnchen-3ya.example", "[192.0.2.1]", "[IPv6:::1]"]
)
def test_names_that_the_gateway_may_have(tmp_path, name):
    assert problems_of(tmp_path, f'hostname = "{name}"') == []


@pytest.mark.parametrize(
    ("machine", "name"), [("my_host", "localhost"), ("mx-1.example", "mx-1.example"), ("", "localhost")]
)
def test_a_machine_with_a_name_that_is_no_domain_is_localhost(monkeypatch, machine, name):
    monkeypatch.setattr("platform.node", lambda: machine)
    assert Settings().hostname == name


def test_a_broken_vendor_file_is_not_taken_for_none(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere\n")
    (tmp_path / "empty.py").write_text("")
    monkeypatch.setattr("gateway.vendors.__path__", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        load("broken")
    with pytest.raises(LookupError, match="empty"):
        load("empty")


def test_what_is_too_much_for_settings_is_told(tmp_path):
    (deep,) = problems_of(tmp_path, f"x = {'[' * 5000}{']' * 5000}")
    (large,) = problems_of(tmp_path, "#" * (1024 * 1024 + 1))
    assert "nested too deeply" in deep
    assert "1,048,576 octets" in large
    assert problems_of(tmp_path, "#" * 1024 * 1024) == []


def test_a_dialect_that_nobody_can_log_in_with_is_told(tmp_path):
    other = '[[listeners]]\nendpoint = "tcp:1"\ndialect = "postmark"\n' + VENDOR
    assert any("nobody can log in" in one for one in problems_of(tmp_path, other))
    assert problems_of(tmp_path, other + 'key = { env = "KEY" }\n') == []


def test_all_tables_are_checked_in_one_go(tmp_path):
    text = "hostname = 1\n[limits]\nx = 1\n[vendors.a]\napi = 'b'\nurl = 'ftp://x'\n[tls]\nprivate_key = 'k'"
    paths = {one.partition(":")[0] for one in problems_of(tmp_path, text)}
    assert paths == {"hostname", "limits.x", "vendors.a.api", "vendors.a.url", "tls.certificate"}


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example/v1", "https://api.example:8443", "http://127.0.0.1:8025/x", "http://localhost/v1",
        "http://[::1]:8025", "http://127.9.9.9", "https://127.0.0.1", "HTTPS://api.example",
    ],
)  # fmt: skip
def test_urls_that_are_safe_for_a_key(tmp_path, url):
    assert problems_of(tmp_path, f'{VENDOR}url = "{url}"') == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/v1", "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example/",
        "http://evil.example#127.0.0.1", "http://localhost.evil.example", "http://0.0.0.0", "http://192.168.0.1",
        "http://2130706433/", "http://[::]", "ftp://x", "//x", "api.example", "https://", "https:///v1",
        "https://user:pw@api.example", "https://api.example?x=1", "https://api.example/#x", "https://x:99999",
        "https://x:y", "https://[::1", "http://", "https://api example/v1", "https://api.example/v1 ",
        "https://api.example/\\nx", "https://api.example/\\tx", "http://user@127.0.0.1/", "http://127.0.0.1/?x=1",
    ],
)  # fmt: skip
def test_urls_that_are_not(tmp_path, url):
    (problem,) = problems_of(tmp_path, f'{VENDOR}url = "{url}"')
    assert problem.startswith('vendors.postscale.url: expected "https://..."')
    assert "\n" not in problem


@pytest.mark.parametrize("value", ['"ps_live_secret"', '{ value = "ps_live_secret" }', '["ps_live_secret"]'])
def test_a_key_in_the_file_itself_is_refused_and_not_repeated(tmp_path, value):
    (problem,) = problems_of(tmp_path, f"{VENDOR}key = {value}")
    assert problem.startswith("vendors.postscale.key: ")
    assert "ps_live_secret" not in problem


@pytest.mark.parametrize("octets", [b"a = ", b"[x\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_what_is_no_toml_is_told_with_the_file(tmp_path, octets):
    file = tmp_path / "gateway.toml"
    file.write_bytes(octets)
    with pytest.raises(SettingsError, match="no TOML") as error:
        read_settings(file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("name", ["nosuch.toml", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path, name):
    with pytest.raises(SettingsError, match=r"No such file|Is a directory"):
        read_settings(tmp_path / name)


def test_keys_are_asked_of_the_vendor_whose_api_it_is_by_the_routes_order(tmp_path):
    two = VENDOR + '[vendors.b]\napi = "postscale"\n'
    routes = '[[routes]]\ndialect = "postmark"\nvendors = ["postscale"]\n[[routes]]\nvendors = ["b"]\n'
    assert read(tmp_path, VENDOR).key_vendor("postscale") == "postscale"
    assert read(tmp_path, two).key_vendor("postscale") == "postscale"
    assert read(tmp_path, two + routes).key_vendor("postscale") == "b"
    assert read(tmp_path, two + routes).key_vendor("postmark") is None


def test_the_embedded_settings_have_no_problem_and_stay_on_this_machine():
    settings = embedded()
    assert list(settings.problems()) == []
    assert all("interface=127.0.0.1" in one.endpoint for one in (*settings.listeners, settings.console))
    assert settings.vendors["postscale"].url.startswith("http://127.0.0.1:")


# -- secrets


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path):
    (tmp_path / "key").write_text("ps_live_x\r\n")
    assert Secret("file", str(tmp_path / "key")).reveal() == "ps_live_x"


def test_a_secret_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("THE_KEY", "ps_live_x\n")
    assert Secret("env", "THE_KEY").reveal() == "ps_live_x"


def test_a_secret_comes_from_systemds_credentials(tmp_path, monkeypatch):
    (tmp_path / "key").write_text("ps_live_x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secret("credential", "key").reveal() == "ps_live_x"


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b" \n", b"ps_\xff\xfe", b"ps_live_x\nps_live_y\n", b"ps_live_x y", b"ps_\x00x"]
)
def test_a_secret_that_is_none_is_refused_without_being_shown(tmp_path, octets):
    (tmp_path / "key").write_bytes(octets)
    with pytest.raises(SecretError) as error:
        Secret("file", str(tmp_path / "key")).reveal()
    assert "ps_" not in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    "secret", [Secret("file", "/no/such/file"), Secret("env", "NO_SUCH"), Secret("credential", "no-such")]
)
def test_a_secret_that_is_not_there_is_told_by_its_place(secret):
    with pytest.raises(SecretError, match=f"^{secret.kind} {secret.place}"):
        secret.reveal()


def test_settings_show_where_a_secret_is_and_not_what_it_is(tmp_path):
    (tmp_path / "key").write_text("ps_live_x")
    vendor = VendorSettings("postscale", key=Secret("file", str(tmp_path / "key")))
    assert vendor.key is not None
    assert vendor.key.reveal() not in repr(vendor)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hid-den@db.example/mail",
        "postgresql://db.example/mail?user=ann&password=hid-den",
        "postgresql://db.example/mail?sslpassword=hid-den",
        "postgres://:hid-den@db.example/mail",
        "mysql://ann:hid-den@db.example/mail",
    ],
)
def test_a_password_in_the_url_of_the_store_is_refused_and_not_shown(tmp_path, url):
    with pytest.raises(SettingsError) as error:
        read(tmp_path, f"[store]\nurl = '{url}'")
    assert "store.url" in str(error.value)
    assert "hid-den" not in str(error.value)


def test_the_store_may_be_a_postgresql_database_with_its_password_elsewhere(tmp_path):
    url = "postgresql://ann@db.example:5433/mail?sslmode=verify-full&target_session_attrs=any"
    settings = read(tmp_path, f"[store]\nurl = '{url}'\npassword = {{ env = 'DB_PASSWORD' }}")
    assert (settings.store_url, settings.store.password) == (url, Secret("env", "DB_PASSWORD"))


def test_the_store_is_a_file_of_the_state_folder_unless_said_otherwise(tmp_path):
    assert read(tmp_path, "state_dir = '/x'").store_url == "sqlite:/x/store.sqlite"

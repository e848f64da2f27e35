"""The import rule of the house: who may know whom. Read from the source with ast, so that nothing has to be run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "gateway").rglob("*.py"))

NO_IO = {
    f"gateway.smtp.{name}"
    for name in (
        "grammar", "replies", "extensions", "session", "conversation", "verbs", "authentication", "lines", "maildata",
        "sasl", "events", "limits", "proxy_header",
    )
} | {
    "gateway.vendor", "gateway.message", "gateway.outcome", "gateway.notices.dsn", "gateway.notices.fields",
    "gateway.notices.verdicts", "gateway.notices.wording", "gateway.queue.schedule", "gateway.queue.breaker",
    "gateway.queue.lanes",
}  # fmt: skip
OUTSIDE_WORLD = {
    "twisted", "treq", "klein", "OpenSSL", "time", "datetime", "socket", "ssl", "select", "selectors", "asyncio", "os",
    "io", "pathlib", "tempfile", "threading", "subprocess", "sqlite3", "random", "secrets", "urllib.request", "http",
    "smtplib", "logging",
}  # fmt: skip
LONG_FILES = {
    "gateway/vendors/postmark.py": "a vendor is one file",
    "gateway/vendors/postscale.py": "a vendor is one file",
    "gateway/vendors/poststack.py": "a vendor is one file",
}
LONGEST_LINES = 300
LANGUAGE = {"gateway.quickly", "gateway.line_ends"}  # of dataclasses and octets; they know nothing of mail
GLOBAL_REACTOR = (
    "gateway.service",
    "gateway.command",
    "gateway.check_command",
    "gateway.workers.__main__",
)  # where processes begin


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): ast.parse(file.read_text("utf-8")) for file in FILES}


def imports(node: ast.AST, *, at_import_time: bool = False) -> Iterator[str]:
    """The full names of what is imported below a node; at_import_time leaves out functions and TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (one.name for one in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide who imports whom"
            for one in child.names:
                full = f"{child.module}.{one.name}"
                yield full if full in MODULES else str(child.module)
        elif not (at_import_time and runs_later(child)):
            yield from imports(child, at_import_time=at_import_time)


def runs_later(node: ast.AST) -> bool:
    """Whether loading a module leaves this out: the inside of a function, and what is for type checkers only."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def ours(module: str, *, at_import_time: bool = False) -> set[str]:
    return {one for one in imports(MODULES[module], at_import_time=at_import_time) if one.split(".")[0] == "gateway"}


def under(module: str, *packages: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def in_package(*packages: str) -> list[str]:
    return [module for module in MODULES if under(module, *packages)]


WITHOUT_IO = NO_IO | {*in_package("gateway.vendors", "gateway.content", "gateway.smtp.mechanisms")} - {
    "gateway.content.spool"
}


def test_the_rule_is_checked_on_files_that_exist():
    assert MODULES.keys() >= NO_IO
    assert all((ROOT / name).exists() for name in LONG_FILES)


@pytest.mark.parametrize("module", in_package("gateway.smtp"))
def test_smtp_has_never_heard_of_a_vendor(module):
    forbidden = (
        "gateway.vendor", "gateway.vendors", "gateway.store", "gateway.queue", "gateway.relay", "gateway.content",
        "gateway.dispatch", "gateway.delivery", "gateway.http_client", "gateway.accounts", "gateway.settings",
    )  # fmt: skip
    assert [one for one in ours(module) if under(one, *forbidden)] == []


@pytest.mark.parametrize("module", in_package("gateway.vendors"))
def test_a_vendor_knows_only_the_neutral_model(module):
    assert ours(module) <= {"gateway.vendor", "gateway.message", "gateway.outcome"}


@pytest.mark.parametrize("module", in_package("gateway.content"))
def test_content_knows_only_the_neutral_model(module):
    known = {one for one in ours(module, at_import_time=True) if not under(one, "gateway.content")}
    assert known <= {"gateway.message", *LANGUAGE}


@pytest.mark.parametrize("module", in_package("gateway.store"))
def test_the_store_knows_only_the_neutral_model_and_what_a_credential_is_made_of(module):
    known = {one for one in ours(module) if not under(one, "gateway.store")}
    assert known <= {"gateway.message", "gateway.scram", *LANGUAGE}


@pytest.mark.parametrize("module", in_package("gateway.notices"))
def test_notices_are_called_by_the_queue_and_know_nothing_of_it(module):
    forbidden = (
        "gateway.queue", "gateway.smtp", "gateway.vendors", "gateway.dispatch", "gateway.delivery", "gateway.relay",
        "gateway.settings", "gateway.console", "gateway.http_client", "gateway.store.sqlite", "gateway.store.postgres",
    )  # fmt: skip
    assert [one for one in ours(module) if under(one, *forbidden)] == []


@pytest.mark.parametrize("module", in_package("gateway.queue"))
def test_the_queue_knows_neither_sessions_nor_pages_nor_a_database(module):
    forbidden = (
        "gateway.smtp", "gateway.delivery", "gateway.dispatch", "gateway.console", "gateway.notices",
        "gateway.settings", "gateway.http_client", "gateway.store.sqlite", "gateway.store.postgres", "gateway.sandbox",
    )  # fmt: skip
    assert [one for one in ours(module) if under(one, *forbidden)] == []


@pytest.mark.parametrize("module", in_package("gateway.sandbox"))
def test_the_sandbox_stands_in_for_somebody_else_and_shares_no_code_with_the_gateway(module):
    assert [one for one in ours(module) if not under(one, "gateway.sandbox")] == []


@pytest.mark.parametrize("module", sorted(WITHOUT_IO))
def test_files_without_io_know_neither_twisted_nor_a_clock_nor_a_file(module):
    assert [one for one in imports(MODULES[module]) if under(one, *OUTSIDE_WORLD)] == []


@pytest.mark.parametrize("module", sorted(NO_IO))
def test_files_without_io_import_no_file_of_ours_that_has_some(module):
    """Through any number of steps, as far as importing runs code."""
    reached, waiting = set(), [module]
    while waiting:
        one = waiting.pop()
        if one not in reached and one in MODULES:
            reached.add(one)
            waiting += ours(one, at_import_time=True)
    assert {
        one for one in reached for name in imports(MODULES[one], at_import_time=True) if under(name, "twisted")
    } == set()


def test_the_neutral_model_imports_nothing_of_ours_but_itself():
    neutral = {"gateway.message", "gateway.outcome", "gateway.events"}
    assert set().union(*map(ours, neutral)) <= neutral | LANGUAGE


def test_only_the_http_client_imports_treq():
    assert [module for module in MODULES if any(under(one, "treq") for one in imports(MODULES[module]))] == [
        "gateway.http_client"
    ]


def test_only_one_file_needs_psycopg_which_not_everybody_installs():
    assert [module for module in MODULES if any(under(one, "psycopg") for one in imports(MODULES[module]))] == [
        "gateway.store.postgres"
    ]


@pytest.mark.parametrize("module", in_package("gateway.console"))
def test_the_console_shows_what_is_stored_and_touches_no_mail_on_its_way(module):
    forbidden = (
        "gateway.settings", "gateway.smtp", "gateway.vendor", "gateway.vendors", "gateway.relay", "gateway.dispatch",
        "gateway.delivery", "gateway.http_client", "gateway.queue",
    )  # fmt: skip
    assert [one for one in ours(module) if under(one, *forbidden)] == []


def test_nobody_imports_the_service_but_the_plugin():
    assert [module for module in MODULES if "gateway.service" in ours(module)] == []
    assert "gateway.service" in (ROOT / "twisted/plugins/mailgateway_plugin.py").read_text("utf-8")


def test_no_module_imports_the_global_reactor_when_it_is_loaded():
    """A reactor is an argument: whoever imports the global one chooses it for everybody."""
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "twisted.internet":
                names = {one.name for one in node.names}
                assert "reactor" not in names or module in GLOBAL_REACTOR, module
        assert "twisted.internet.reactor" not in set(imports(tree))


def test_there_are_no_import_circles():
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in done:
            for one in sorted(ours(module, at_import_time=True) & MODULES.keys()):
                walk(one, (*way, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_stay_short_enough_to_be_read_at_once(file):
    name = str(file.relative_to(ROOT))
    lines = len(file.read_text("utf-8").splitlines())
    assert lines <= LONGEST_LINES or name in LONG_FILES, f"{name} has {lines} lines"

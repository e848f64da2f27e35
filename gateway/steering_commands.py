"""`mailgateway messages` and `mailgateway queue`: where is my mail, and what to do about it.

Everything goes through the control API.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from click._termui_impl import ProgressBar  # click's own name for what progressbar() gives

from gateway.control_client import ControlClient, ControlError, control_client
from gateway.settings import SettingsError, embedded, read_settings
from gateway.store.records import State

F = TypeVar("F", bound=Callable[..., Any])
SHOWN = 50  # messages without --all: a screen or two
TITLES = ("ID", "RECEIVED", "STATE", "FROM", "TO", "SUBJECT", "NEXT ATTEMPT")
WIDTHS = (26, 20, 10, 28, 28, 30, 20)  # of the columns, in characters; what is longer is cut, except in --json

COMMON = (
    click.option("--config", type=click.Path(path_type=Path), help="The settings file; without one, the default."),
    click.option("--url", default="", help="Where the console is; without, what the settings say, on this machine."),
    click.option("--token", envvar="MAILGATEWAY_TOKEN", default="", help="Better: the variable MAILGATEWAY_TOKEN."),
    click.option("--json", "as_json", is_flag=True, help="JSON instead of a table."),
)
FILTERS = (
    click.option("--id", "ids", multiple=True, help="A message id; may be repeated."),
    click.option("--account", default="", help="An account's name."),
    click.option("--vendor", default="", help="A vendor entry."),
    click.option("--recipient", default="", help="A part of a recipient's address."),
    click.option("--message-id", "header_message_id", default="", help="The Message-ID header field."),
    click.option("--vendor-id", "vendor_message_id", default="", help="The vendor's own id."),
    click.option("--text", default="", help="A part of the subject, of the author or of the reverse-path."),
    click.option("--since", "from_", default="", help="Received at this time or later: 2026-01-31T12:00:00Z."),
    click.option("--until", default="", help="Received before this time."),
    click.option("--state", "states", multiple=True, type=click.Choice([one.value for one in State])),
)


def with_options(*groups: tuple[Callable[[F], F], ...]) -> Callable[[F], F]:
    """All options of these groups, in order."""

    def decorate(command: F) -> F:
        for option in reversed([one for group in groups for one in group]):
            command = option(command)
        return command

    return decorate


@click.group("messages", invoke_without_command=True)
@with_options(COMMON, FILTERS)
@click.option("--all", "everything", is_flag=True, help=f"All that fit, not the newest {SHOWN}.")
@click.pass_context
def messages(context: click.Context, /, as_json: bool, everything: bool, **given: Any) -> None:
    """Where is my mail? Lists the message log, newest first; `messages show ID` tells one message's story."""
    context.obj = given | {"as_json": as_json}
    if context.invoked_subcommand is None:
        _list(_client(given), "/messages", _query(given), as_json=as_json, most=None if everything else SHOWN)


@messages.command("show")
@click.argument("message_id")
@click.pass_obj
def show_message(given: dict[str, Any], message_id: str) -> None:
    """One message: where it stands, every attempt with the vendor's answer, what was done to it."""
    _show(_client(given), message_id, as_json=given["as_json"])


@click.group("queue")
def queue() -> None:
    """What waits to be relayed, and what to do with it."""


@queue.command("list")
@with_options(COMMON, FILTERS)
@click.option("--all", "everything", is_flag=True, help=f"All that wait, not the newest {SHOWN}.")
def list_queue(as_json: bool, everything: bool, **given: Any) -> None:
    """What is queued or held, newest first."""
    _list(_client(given), "/queue", _query(given), as_json=as_json, most=None if everything else SHOWN)


@queue.command("show")
@with_options(COMMON)
@click.argument("message_id")
def show_queued(as_json: bool, message_id: str, **given: Any) -> None:
    """One message, as `mailgateway messages show`."""
    _show(_client(given), message_id, as_json=as_json)


@queue.command("totals")
@with_options(COMMON)
def totals(as_json: bool, **given: Any) -> None:
    """The sum: accepted = relayed + refused + expired + cancelled + queued + held. Status 1 when it is not whole."""
    found = _asked(lambda: _client(given).get("/totals"))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        names = ("relayed", "refused", "expired", "cancelled", "queued", "held")
        click.echo(f"accepted {found['accepted']} = " + " + ".join(f"{name} {found[name]}" for name in names))
        for lane in found["lanes"]:
            click.echo(f"  {lane['lane']}: {lane['messages']} waiting")
    if not found["whole"]:
        raise click.ClickException("the sum is not whole: please report this, with the gateway's log")


def _steering_command(action: str, text: str) -> None:
    """One command for one action."""

    @queue.command(action, help=text)
    @with_options(COMMON, FILTERS)
    @click.option("--all", "everything", is_flag=True, help="All that wait; without it, at least one condition.")
    @click.argument("message_ids", nargs=-1)
    def command(message_ids: tuple[str, ...], everything: bool, as_json: bool, **given: Any) -> None:
        given["ids"] = (*given["ids"], *message_ids)
        _act(action, given, everything=everything, as_json=as_json)


_steering_command("retry", "Attempt now what waits for its next attempt, or is held.")
_steering_command("hold", "Make no attempt until it is released.")
_steering_command("release", "Attempt again what is held.")
_steering_command("cancel", "Take out of the queue for good. Nobody is told.")


@queue.command("move")
@with_options(COMMON, FILTERS)
@click.option("--all", "everything", is_flag=True, help="All that wait; without it, at least one condition.")
@click.option("--to", "vendors", multiple=True, required=True, help="A [vendors] entry; repeat it, in order.")
@click.argument("message_ids", nargs=-1)
def move(message_ids: tuple[str, ...], vendors: tuple[str, ...], everything: bool, as_json: bool, **given: Any) -> None:
    """Let waiting messages leave by other vendors than their route says."""
    given["ids"] = (*given["ids"], *message_ids)
    _act("move", given, everything=everything, as_json=as_json, vendors=vendors)


def _act(action: str, given: dict[str, Any], *, everything: bool, as_json: bool, vendors: tuple[str, ...] = ()) -> None:
    query = _query(given)
    if not query and not everything:
        raise click.UsageError("which messages? Give ids, a condition such as --recipient, or --all")
    client = _client(given)
    pages = _asked(lambda: list(client.pages("/queue", query, None)))
    ids = [one["id"] for page in pages for one in page]
    changed: list[str] = []
    # Who names a message wants to know when it is not among those that wait
    unchanged = [one for one in dict.fromkeys(given["ids"]) if one not in set(ids)]
    with _progress(len(ids), action, hidden=as_json) as bar:
        for start in range(0, len(ids), SHOWN):
            some = ids[start : start + SHOWN]
            done = _post(client, {"action": action, "ids": some} | ({"vendors": list(vendors)} if vendors else {}))
            changed += done["changed"]
            # What a call does not name had left the queue before it
            unchanged += [one for one in some if one not in set(done["changed"])]
            bar.update(len(some))
    if as_json:
        click.echo(json.dumps({"changed": changed, "unchanged": unchanged}, indent=2))
        return
    click.echo(f"{action}: {len(changed)} of {len(changed) + len(unchanged)} messages")
    for one in unchanged:
        click.echo(f"  {one} was not changed: it is being attempted at this moment, or waits no longer", err=True)


def _progress(length: int, label: str, *, hidden: bool) -> ProgressBar[int]:
    """A bar on a terminal; nothing where the output is read by a program."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden)


def _post(client: ControlClient, document: dict[str, Any]) -> dict[str, list[str]]:
    done: dict[str, list[str]] = _asked(lambda: client.post("/queue", document))
    return done


def _list(client: ControlClient, path: str, query: list[tuple[str, str]], *, as_json: bool, most: int | None) -> None:
    pages = client.pages(path, query, most)
    if as_json:
        click.echo(json.dumps([one for page in _asked(lambda: list(pages)) for one in page], indent=2))
        return
    found = _asked(lambda: next(pages))
    lines = _lines(found, pages)
    if most is None:
        click.echo_via_pager(f"{line}\n" for line in lines)
        return
    for line in lines:
        click.echo(line)
    if not found:
        click.echo("none", err=True)


def _lines(first: list[dict[str, Any]], rest: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    yield _row(TITLES)
    yield from map(_line, first)
    for page in rest:
        yield from map(_line, page)


def _line(one: dict[str, Any]) -> str:
    paths = [recipient["path"] for recipient in one["recipients"]]
    to = paths[0] + (f" +{len(paths) - 1}" if len(paths) > 1 else "")
    received, due = one["received_at"][:19], (one["next_attempt_at"] or "")[:19]
    return _row((one["id"], received, one["state"], one["reverse_path"] or "<>", to, one["subject"], due))


def _row(values: tuple[str, ...]) -> str:
    return "  ".join(f"{_cut(value, width):<{width}}" for value, width in zip(values, WIDTHS, strict=True)).rstrip()


def _cut(value: str, width: int) -> str:
    return _printable(value if len(value) <= width else f"{value[: width - 1]}…")


def _show(client: ControlClient, message_id: str, *, as_json: bool) -> None:
    one = _asked(lambda: client.get(f"/messages/{message_id}"))
    if as_json:
        click.echo(json.dumps(one, indent=2))
        return
    for name in ("id", "received_at", "state", "mode", "account", "reverse_path", "author", "subject", "size_octets"):
        click.echo(f"{name.replace('_', ' ') + ':':<18}{_printable(one[name])}")
    click.echo(f"{'session:':<18}{one['session_id']}")
    if about := one["notice_of"]:
        click.echo(f"{'a DSN about:':<18}{_printable(about['id'])}{'' if about['state'] else ' (not kept any more)'}")
    if one["next_attempt_at"]:
        click.echo(f"{'next attempt at:':<18}{one['next_attempt_at']}, until {one['expires_at']}")
    for path in one["recipients"]:
        unknown = " (may have been handed over already)" if path["unknown"] else ""
        told = " ".join(filter(None, (path["vendor"], path["vendor_message_id"], path["cause"], path["reason"])))
        click.echo(f"  {_printable(path['path'])}: {path['state']}{unknown} {_printable(told)}".rstrip())
    for attempt in one["story"]["attempts"]:
        outcomes = ", ".join(f"{path} {outcome}" for path, outcome in attempt["outcomes"].items())
        click.echo(
            f"  {attempt['began_at']} {attempt['vendor']}: {_printable(outcomes)} {_printable(attempt['reason'])}"
        )
        for call in attempt["calls"]:
            click.echo(f"    {call['method']} {call['url']}: {call['status'] or 'no answer'} in {call['seconds']} s")
    for event in one["story"]["events"]:
        click.echo(f"  {event['at']} {event['name']} {_printable(event['detail'].get('dsn', ''))}".rstrip())


def _printable(text: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(text))


def _query(given: dict[str, Any]) -> list[tuple[str, str]]:
    """The filters as the API's parameters."""
    lists = [("id", one) for one in given["ids"]] + [("state", one) for one in given["states"]]
    names = ("account", "vendor", "recipient", "header_message_id", "vendor_message_id", "text", "until")
    texts = [(name, given[name]) for name in names if given[name]]
    return [*lists, *texts, *([("from", given["from_"])] if given["from_"] else [])]


def _client(given: dict[str, Any]) -> ControlClient:
    try:
        settings = read_settings(given["config"]) if given["config"] else embedded()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    return _asked(lambda: control_client(settings, given["url"], given["token"]))


T = TypeVar("T")


def _asked(call: Callable[[], T]) -> T:
    """What the gateway says, or its refusal as the command's."""
    try:
        return call()
    except ControlError as error:
        raise click.ClickException(str(error)) from None

"""The commands, one function each (RFC 5321 §4.1.1), and the table of when each is obeyed (RFC 5321 §4.1.4).

A function writes its reply, or asks outside and leaves the reply to it, or raises GrammarError with the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.outcome import Cause, Reply, reply_for
from gateway.smtp import authentication, events, replies, transfer
from gateway.smtp.conversation import Conversation, State
from gateway.smtp.extensions import check_mail_parameters, check_rcpt_parameters, hello_text
from gateway.smtp.grammar import (
    Command,
    GrammarError,
    parse_chunk,
    parse_forward_path,
    parse_hello,
    parse_reverse_path,
)


def obey(conversation: Conversation, command: Command) -> None:
    """Carry out a command, if the conversation is where it is allowed."""
    verb = VERBS.get(command.verb)
    if verb is None:
        raise GrammarError(replies.UNKNOWN_COMMAND)
    if verb.function is not _not_smtp:
        conversation.verb = command.verb
    if conversation.state not in verb.states:
        raise GrammarError(verb.otherwise)
    verb.function(conversation, command.argument)


def _ehlo(conversation: Conversation, argument: str) -> None:
    conversation.greeted(parse_hello(argument), extended=True)
    conversation.write(Reply(250, hello_text(conversation.situation())))  # no enhanced code here (RFC 2034 §4)


def _helo(conversation: Conversation, argument: str) -> None:
    conversation.greeted(parse_hello(argument), extended=False)
    conversation.write(Reply(250, conversation.rules.hostname))


def _starttls(conversation: Conversation, argument: str) -> None:
    _no_argument(argument)
    if conversation.secure:
        raise GrammarError(replies.TLS_ALREADY)
    if not conversation.rules.offers_tls:
        raise GrammarError(replies.TLS_NOT_OFFERED)
    if len(conversation.lines):
        # CVE-2011-0411: what was sent in clear must not be obeyed under TLS, and nobody honest sends it
        conversation.shut(replies.PIPELINED_STARTTLS)
        return
    conversation.end_transaction()
    conversation.write(replies.READY_FOR_TLS)
    conversation.ask(events.TlsWanted())


def _mail(conversation: Conversation, argument: str) -> None:
    rules = conversation.rules
    if rules.needs_tls and not conversation.secure:
        raise GrammarError(replies.TLS_FIRST)
    if not conversation.authenticated:
        raise GrammarError(reply_for(Cause.AUTHENTICATION_REQUIRED, "", rules.wording))
    if conversation.state is State.TRANSACTION:
        raise GrammarError(replies.NESTED_MAIL)
    if conversation.messages >= rules.limits.messages_per_session:
        conversation.write(replies.TOO_MANY_MESSAGES)  # announced, and no error: another session takes the rest
        return
    path = parse_reverse_path(argument)
    check_mail_parameters(path, rules.limits)
    conversation.ask(events.ReversePath(path.address, path.parameters))


def _rcpt(conversation: Conversation, argument: str) -> None:
    if conversation.chunks is not None:
        raise GrammarError(replies.CHUNKS_BEGUN)
    path = parse_forward_path(argument)
    check_rcpt_parameters(path, smtputf8=conversation.smtputf8)
    if conversation.recipients >= conversation.rules.limits.recipients:
        conversation.write(replies.TOO_MANY_RECIPIENTS)  # no error of the client: it sends to the rest later
        return
    conversation.ask(events.ForwardPath(path.address, path.parameters))


def _data(conversation: Conversation, argument: str) -> None:
    _no_argument(argument)
    if conversation.chunks is not None:
        raise GrammarError(replies.CHUNKS_BEGUN)
    if conversation.body == "BINARYMIME":
        raise GrammarError(replies.BINARY_NEEDS_BDAT)
    if not conversation.recipients:
        raise GrammarError(replies.NO_VALID_RECIPIENTS)
    conversation.ask(events.MailDataWanted())


def _bdat(conversation: Conversation, argument: str) -> None:
    try:
        octets, last = parse_chunk(argument)
    except GrammarError:
        # How many octets follow cannot be told, and none of them may be taken for a command
        conversation.shut(replies.CHUNK_SIZE_UNKNOWN)
        return
    refusal = None
    if conversation.state is not State.TRANSACTION:
        refusal = replies.MAIL_FIRST
    elif not conversation.recipients:
        refusal = replies.NO_VALID_RECIPIENTS
    transfer.begin_chunk(conversation, octets, last=last, refusal=refusal)


def _rset(conversation: Conversation, argument: str) -> None:
    _no_argument(argument)
    conversation.end_transaction()
    conversation.write(replies.RESET)


def _noop(conversation: Conversation, argument: str) -> None:
    conversation.write(replies.OK)  # RFC 5321 §4.1.1.9: an argument is ignored


def _vrfy(conversation: Conversation, argument: str) -> None:
    if not argument:
        raise GrammarError(replies.SYNTAX_ERROR)
    conversation.write(replies.CANNOT_VERIFY)


def _expn(conversation: Conversation, argument: str) -> None:
    raise GrammarError(replies.NOT_IMPLEMENTED)  # RFC 5321 §7.3: lists are nobody's business here


def _help(conversation: Conversation, argument: str) -> None:
    conversation.write(replies.HELP)


def _quit(conversation: Conversation, argument: str) -> None:
    _no_argument(argument)
    conversation.shut(replies.CLOSING)


def _not_smtp(conversation: Conversation, argument: str) -> None:
    # A browser can be made to post a form to any port; its header lines must not be tried as commands
    conversation.shut(replies.NOT_SMTP)


def _no_argument(argument: str) -> None:
    if argument:
        raise GrammarError(replies.NO_ARGUMENT_ALLOWED)


class Verb(NamedTuple):
    """What a verb does, the states in which it is obeyed, and the reply in the others."""

    function: Callable[[Conversation, str], None]
    states: tuple[State, ...]  # few: to hash one would take longer than to look at them all
    otherwise: Reply


_ANY = (State.GREETED, State.READY, State.TRANSACTION)
_AFTER_HELLO = (State.READY, State.TRANSACTION)
_IN_TRANSACTION = (State.TRANSACTION,)

VERBS: Mapping[str, Verb] = {
    "EHLO": Verb(_ehlo, _ANY, replies.HELLO_FIRST),
    "HELO": Verb(_helo, _ANY, replies.HELLO_FIRST),
    "STARTTLS": Verb(_starttls, _AFTER_HELLO, replies.HELLO_FIRST),
    "AUTH": Verb(authentication.start, _AFTER_HELLO, replies.HELLO_FIRST),
    "MAIL": Verb(_mail, _AFTER_HELLO, replies.HELLO_FIRST),
    "RCPT": Verb(_rcpt, _IN_TRANSACTION, replies.MAIL_FIRST),
    "DATA": Verb(_data, _IN_TRANSACTION, replies.MAIL_FIRST),
    "BDAT": Verb(_bdat, _ANY, replies.MAIL_FIRST),
    "RSET": Verb(_rset, _ANY, replies.HELLO_FIRST),
    "NOOP": Verb(_noop, _ANY, replies.HELLO_FIRST),
    "VRFY": Verb(_vrfy, _ANY, replies.HELLO_FIRST),
    "EXPN": Verb(_expn, _ANY, replies.HELLO_FIRST),
    "HELP": Verb(_help, _ANY, replies.HELLO_FIRST),
    "QUIT": Verb(_quit, _ANY, replies.HELLO_FIRST),
    **{verb: Verb(_not_smtp, _ANY, replies.NOT_SMTP) for verb in ("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT")},
}

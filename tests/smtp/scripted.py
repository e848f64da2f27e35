"""What the world behind the SMTP side says in these tests, told by the words of the client itself.

A user name is its own verdict (good, bad, wrongname, undecided, broken). An address "at-PLACE.VERDICT@..." is one for
the place mail, rcpt, data, chunk, end or lost: VERDICT is a cause's name, a code for Rejection, "smtp-" and a code for
Twisted's SMTPServerError, or "raise".
"""

from __future__ import annotations

from twisted.mail.smtp import SMTPServerError

from gateway.errors import LoginRefused, LoginUndecided, Rejection
from gateway.outcome import Cause, Reply, printable, reply_for
from gateway.smtp import events, replies
from gateway.smtp.credentials import credentials_of
from gateway.smtp.extensions import SessionRules
from gateway.smtp.limits import Limits
from gateway.vendor import load

DIALECT = load("postscale").dialect
TAKEN = Reply(250, "Message taken", "2.0.0")
REASON = 'Domain "shop.example" is not verified'


def session_rules(listener: str = "starttls", *, enhanced: bool = False, **limits: int) -> SessionRules:
    """starttls and implicit need TLS, optional offers it and needs none, none has no TLS."""
    return SessionRules(
        hostname="gateway.test",
        offers_tls=listener in ("starttls", "optional"),
        needs_tls=listener in ("starttls", "implicit"),
        mechanisms=DIALECT.mechanisms,
        enhanced=enhanced,
        wording={} if enhanced else DIALECT.wording,
        limits=Limits(**limits),
    )


def check_login(user_name: str, password: str) -> None:
    if user_name == "good":
        return
    if user_name == "undecided":
        raise LoginUndecided("nobody can say")
    if user_name == "broken":
        raise RuntimeError("the checker is broken")
    raise LoginRefused(Cause.USER_NAME_INVALID if user_name == "wrongname" else Cause.AUTHENTICATION_FAILED)


def check_place(place: str, address: str, rules: SessionRules) -> None:
    where, _, verdict = address.partition("@")[0].partition(".")
    if where != f"at-{place}":
        return
    if verdict.isdigit():
        raise Rejection(Reply(int(verdict), f"As told at {place}"))
    if verdict.startswith("smtp-"):
        raise SMTPServerError(int(verdict[5:]), b"As told at " + place.encode())
    if verdict == "raise":
        raise RuntimeError(f"told to break at {place}")
    raise Rejection(reply_for(Cause[verdict.upper().replace("-", "_")], REASON, rules.wording))


class ScriptedWorld:
    """Answers the events of a session core at once, as SubmissionProtocol would with the delivery of serve.py."""

    def __init__(self, rules: SessionRules) -> None:
        self.rules = rules
        self.recipients: list[str] = []

    def reply(self, event: events.Event) -> Reply:
        try:
            return self._ask(event)
        except Rejection as rejection:
            return rejection.reply
        except SMTPServerError as error:
            return Reply(error.code, printable(error.resp.decode()))
        except LoginRefused as error:
            return reply_for(error.cause, "", self.rules.wording)
        except LoginUndecided:
            return reply_for(Cause.AUTHENTICATION_UNAVAILABLE, "", self.rules.wording)
        except RuntimeError:
            return replies.LOCAL_ERROR

    def _ask(self, event: events.Event) -> Reply:
        match event:
            case events.LoginWanted():
                credentials = credentials_of(event.login)
                check_login(credentials.username.decode(), credentials.password.decode())
                return replies.AUTHENTICATED
            case events.ReversePath():
                check_place("mail", event.address, self.rules)
                self.recipients = []
                return replies.REVERSE_PATH_OK
            case events.ForwardPath():
                check_place("rcpt", event.address, self.rules)
                self.recipients.append(event.address)
                return replies.FORWARD_PATH_OK
            case events.MailDataWanted():
                self._check_all("data")
                return replies.START_MAIL_INPUT
            case events.MailDataEnd():
                self._check_all("end")
                return TAKEN
        raise AssertionError(f"nobody answers {event}")

    def _check_all(self, place: str) -> None:
        for address in self.recipients:
            check_place(place, address, self.rules)

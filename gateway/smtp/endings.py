"""Why a session ended, in one word, by the last reply that it got. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.outcome import Reply
from gateway.smtp import replies

CLIENT_GONE = "client-gone"
OTHERWISE = "refused"
"""For a last reply that no other word is for: that of an avatar, or of a command that no session survives."""

ENDINGS: Mapping[tuple[int, str], str] = {
    (reply.code, reply.text): word
    for word, those in {
        "quit": (replies.CLOSING,),
        "silence": (replies.TIMED_OUT,),
        "too-long": (replies.SESSION_TOO_LONG,),
        "stop": (replies.SHUTTING_DOWN,),
        "errors": (replies.TOO_MANY_ERRORS, replies.LINE_TOO_LONG._replace(code=421)),
        "commands": (replies.TOO_MANY_COMMANDS,),
        "logins": (replies.TOO_MANY_LOGINS,),
        "sessions": (replies.TOO_MANY_SESSIONS,),
        "no-smtp": (replies.NOT_SMTP, replies.PLAIN_ON_TLS_PORT, replies.TLS_ON_PLAIN_PORT),
        "fault": (replies.LOCAL_ERROR._replace(code=421),),
    }.items()
    for reply in those
}
"""By code and text of the reply; a few words, so that they can be counted by."""


def ending(last_word: Reply | None) -> str:
    """Why a session ended whose last reply this was; None: the client closed it without QUIT."""
    if last_word is None:
        return CLIENT_GONE
    return ENDINGS.get((last_word.code, last_word.text), OTHERWISE)

"""Calls Postmark's API with Postmarker: call_with_postmarker.py HOST TOKEN CALL [DOCUMENT].

The call is email, template, batch, template_batch or server. Prints the answer as JSON, or {"error": class, "code"}.
"""

import json
import sys

from postmarker.core import PostmarkClient
from postmarker.exceptions import ClientError
from requests import HTTPError

host, token, call, text = [*sys.argv[1:], "{}"][:4]
client = PostmarkClient(server_token=token, root_api_url=f"http://{host}/", timeout=20)
document = json.loads(text)


def template(one):
    """A template's message as the library's own class: it takes no dictionary there without its manager."""
    return client.emails.EmailTemplate(**one)


calls = {
    "email": lambda: client.emails.send(**document),
    "template": lambda: client.emails.send_with_template(**document),
    "batch": lambda: client.emails.send_batch(*document),
    "template_batch": lambda: client.emails.send_template_batch(*map(template, document)),
    "server": lambda: client.server.get().as_dict(),
}
try:
    answer = calls[call]()
except ClientError as error:
    answer = {"error": "ClientError", "code": error.error_code}
except HTTPError as error:
    answer = {"error": "HTTPError", "code": error.response.status_code}
print(json.dumps(answer, default=str))

"""Calls Postmark's API with Postmarker: call_with_postmarker.py HOST TOKEN (email|template|server) [DOCUMENT].

Prints the answer as JSON, or {"error": class, "code"}.
"""

import json
import sys

from postmarker.core import PostmarkClient
from postmarker.exceptions import ClientError
from requests import HTTPError

host, token, call, text = [*sys.argv[1:], "{}"][:4]
client = PostmarkClient(server_token=token, root_api_url=f"http://{host}/", timeout=20)
document = json.loads(text)
calls = {
    "email": lambda: client.emails.send(**document),
    "template": lambda: client.emails.send_with_template(**document),
    "server": lambda: client.server.get().as_dict(),
}
try:
    answer = calls[call]()
except ClientError as error:
    answer = {"error": "ClientError", "code": error.error_code}
except HTTPError as error:
    answer = {"error": "HTTPError", "code": error.response.status_code}
print(json.dumps(answer, default=str))

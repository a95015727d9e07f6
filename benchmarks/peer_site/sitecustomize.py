"""Python runs this at the start of a process that has this folder on its path: https://acme.zendesk.com is a local server then.

Some clients take a subdomain and nothing else. Only where requests sends a request does it go to `PEER_URL`; whoever asks sees
the address that it asked for.
"""

from __future__ import annotations

import os
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

ACCOUNT = "https://acme.zendesk.com"

_send = HTTPAdapter.send


def _send_to_local_server(self: HTTPAdapter, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
    asked = request.url or ""
    request.url = asked.replace(ACCOUNT, os.environ["PEER_URL"], 1)
    response = _send(self, request, *args, **kwargs)
    request.url = response.url = asked
    return response


HTTPAdapter.send = _send_to_local_server  # type: ignore[method-assign]

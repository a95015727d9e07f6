"""A client of an HTTPS host that is reached through a proxy, and what an error of it would reveal in a log."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticket_events_pipeline.credentials import ApiToken, BearerToken, ClientCredentials, Password
from ticket_events_pipeline_tests.support.client_bench import SECRET, Bench, bench
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer
from ticket_events_pipeline_tests.support.tls import HOST, certificate, proxy_to, speak_tls

KINDS = {
    "token": BearerToken(SECRET),
    "client": ClientCredentials("id", SECRET),
    "api token": ApiToken("a@example.com", SECRET),
    "password": Password("a@example.com", SECRET + "<é&'\">"),
}
PROXY_PASSWORD = "proxy-hush"


@contextmanager
def at_a_real_host(folder: Path, monkeypatch, *script: Item, kind="token", trusted=True, host=HOST, **proxy) -> Iterator:
    """A client of https://acme.zendesk.invalid, which a proxy leads to a server of ours; what the three of them saw."""
    paths = certificate(folder, host)
    netrc = folder / ".netrc"
    netrc.write_text(f"machine {HOST} login wrong password from-netrc\ndefault login wrong password from-netrc\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(paths[0]))
    with speak_tls(ScriptedServer(script), paths) as server, proxy_to(server, **proxy) as way:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PROXY_PASSWORD}@127.0.0.1:{way.port}")
        with bench(credentials=KINDS[kind]) as somewhere:
            made = Bench(somewhere.server, KINDS[kind], base_url=f"https://{HOST}")
            made.server = server
            with made.client:
                yield made, way


def shown(error: BaseException) -> str:
    """The traceback with local variables, as some loggers write it, without the tests' own frames."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(str(Path(__file__).parents[1])):
        frames = frames.tb_next
    return "".join(traceback.TracebackException(type(error), error, frames, capture_locals=True).format())

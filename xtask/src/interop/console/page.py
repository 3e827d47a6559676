"""Walks through the page in Chromium: nothing is asked of another machine, nothing that a sender names runs,
and the browser's own console stays silent."""

import json
import pathlib
import sys
import urllib.request
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

page_url, pictures, part = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
pictures.mkdir(parents=True, exist_ok=True)
SCRIPT = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script>"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run", "--disable-quic"]
SIZES = {"wide": (1440, 900), "narrow": (400, 800)}


def ask(path):
    with urllib.request.urlopen(f"{page_url}data/{path}") as answer:
        return json.load(answer)


class Visit:
    """A page that remembers what it asked for and what went wrong."""

    def __init__(self, browser, size, scheme="light"):
        width, height = SIZES[size]
        self.size = size
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.wrong = []
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append("a dialog"))
        self.page.on("request", self.asked)

    def asked(self, request):
        host = urlsplit(request.url).hostname
        if host not in ("127.0.0.1", None):
            self.wrong.append(f"a request to {host}")

    def picture(self, name):
        self.page.screenshot(path=pictures / f"{part}-{name}-{self.size}.png")

    def go(self, view):
        self.page.goto(f"{page_url}#/{view}")

    def end(self):
        ran = self.page.evaluate("window.ran")
        assert ran is None, "a name was run"
        assert not self.wrong, self.wrong
        self.context.close()


def hostile(browser):
    http = sys.argv[4]
    attribute = {"key": SCRIPT, "value": {"stringValue": SCRIPT}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SCRIPT}}, attribute]}
    span = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": SCRIPT, "kind": 2,
            "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": [attribute],
            "events": [{"timeUnixNano": "1", "name": SCRIPT, "attributes": [attribute]}], "status": {"code": 2, "message": SCRIPT}}
    log = {"timeUnixNano": "1", "severityNumber": 17, "body": {"stringValue": SCRIPT}, "attributes": [attribute],
           "traceId": span["traceId"], "spanId": span["spanId"]}
    metric = {"name": SCRIPT, "description": SCRIPT, "unit": SCRIPT, "gauge": {"dataPoints": [{"asDouble": 1.5, "timeUnixNano": "1", "attributes": [attribute]}]}}
    scope = {"name": SCRIPT}
    for path, body in (("traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}]}),
                       ("logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [log]}]}]}),
                       ("metrics", {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope, "metrics": [metric]}]}]})):
        request = urllib.request.Request(f"http://{http}/v1/{path}", json.dumps(body).encode(), {"content-type": "application/json"})
        urllib.request.urlopen(request).read()
    visit = Visit(browser, "wide")
    for view in ("map", "traces", f"trace/{span['traceId']}?span={span['spanId']}&logs=1", "logs", "metrics", "guards", "apis"):
        visit.go(view)
        visit.page.wait_for_timeout(700)
    assert "onerror" in visit.page.content() or ask("traces")["traces"]
    visit.end()
    print("script in every name: nothing ran")


with sync_playwright() as play:
    browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
    {"hostile": hostile}[part](browser)
    browser.close()

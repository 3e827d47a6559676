"""Walks through the page in Chromium, with the shop's traffic: each view shows what it should, an order's
trace is three clicks from the map and its log lines one more, Jaeger's own page reads the same, nothing is
asked of another machine, nothing that a sender names runs, and the browser's own console stays silent."""

import json
import mimetypes
import pathlib
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from playwright.sync_api import Error, expect, sync_playwright

page_url, pictures, part = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
pictures.mkdir(parents=True, exist_ok=True)
SCRIPT = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script>"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run", "--disable-quic"]
SIZES = {"wide": (1440, 900), "narrow": (400, 800), "projector": (1920, 1080)}
VIEWS = ("map", "traces", "logs", "metrics", "guards", "apis")


def ask(path):
    with urllib.request.urlopen(f"{page_url}data/{path}") as answer:
        return json.load(answer)


def whole_trace(services):
    """A trace that all of these services have sent spans of."""
    for _ in range(120):
        found = ask("traces?q=service:stock&limit=20")["traces"]
        for trace in found:
            if trace["rooted"] and {name for name, *_ in trace["services"]} >= set(services):
                return trace
        time.sleep(0.5)  # the shop goes on selling
    raise AssertionError(f"no trace of {services}: {found}")


class Visit:
    """A page that remembers what it asked for and what went wrong."""

    def __init__(self, browser, size, scheme="light"):
        width, height = SIZES[size]
        self.size = size
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.wrong = []
        self.clicks = 0
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

    def click(self, selector):
        """Clicks on the first: lists are drawn anew as calls come, so the one that was found may be gone by then."""
        self.clicks += 1
        for left in reversed(range(20)):
            try:
                return self.page.locator(selector).first.click(force=True)
            except Error as error:
                if not left or not any(gone in str(error) for gone in ("not visible", "not attached", "detached")):
                    raise
                self.page.wait_for_timeout(100)

    def see(self, selector):
        expect(self.page.locator(selector).first).to_be_visible()

    def end(self):
        ran = self.page.evaluate("window.ran")
        assert ran is None, "a name was run"
        assert not self.wrong, self.wrong
        self.context.close()


def well(browser):
    visit = Visit(browser, "wide")
    page = visit.page
    visit.go("map")
    for service in ("gateway", "orders", "auth", "stock", "mailer"):
        visit.see(f'[data-node="{service}"]')
    # From an edge of the map to an order's trace, and to its log lines.
    visit.click('[data-edge="orders>stock"] .wide')
    visit.click(".panel .trace-list a")
    visit.see(".span-row")
    assert page.url.split("#/")[1].startswith("trace/"), page.url
    expect(page.locator(".trace-title")).to_contain_text("POST /shop/orders")
    assert visit.clicks <= 3, visit.clicks
    visit.clicks = 0
    visit.click(".tools-line .word")
    visit.see(".log-line")
    assert visit.clicks == 1
    visit.picture("trace")
    visit.click(".span-row:not(.log-line)")
    visit.see(".panel .pairs")
    for view, shows in (("traces", "a.trace-row"), ("logs", ".log-row"), ("metrics", ".service-card"),
                        ("guards", ".card.closed"), ("apis", ".version"), ("map", "[data-node]")):
        page.locator(f'.tabs a[data-view="{view}"]').click()
        visit.see(shows)
        if view == "apis":
            # Who still calls a deprecated version.
            visit.see(".version.deprecated .caller")
        visit.picture(view)
    keyboard(visit)
    visit.go("constructor")  # no view is called so
    visit.see("[data-node]")
    away(visit)
    visit.end()
    for size, scheme in (("narrow", "light"), ("narrow", "dark"), ("projector", "dark")):
        visit = Visit(browser, size, scheme)
        for view in VIEWS:
            visit.go(view)
            visit.page.wait_for_timeout(400)
            wide = visit.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= SIZES[size][0], f"{view} is {wide} wide"
            visit.picture(f"{view}-{scheme}")
            if view == "logs":
                for part in ("time", ".service", ".text"):
                    visit.see(f".log-row {part}")
            if view == "traces":
                visit.click("a.trace-row")
                name = visit.page.locator(".span-row .name").nth(1)
                expect(name).to_be_visible()
                assert name.evaluate("name => name.scrollWidth <= name.clientWidth"), "a span's name is cut off"
        visit.end()
    print("the shop in Chromium: a trace in two clicks from the map, its log lines in one more, six views, three sizes")


def away(visit):
    """A console that cannot be reached is said, in every place, and found again."""
    page = visit.page
    assert not visit.wrong, visit.wrong
    visit.context.set_offline(True)
    expect(page.locator(".live-word")).to_have_text("Away")
    expect(page.locator(".pulse .headline")).to_contain_text("does not answer")
    visit.click('[data-edge="orders>stock"] .wide')
    expect(page.locator(".panel")).to_contain_text("does not answer")
    page.locator('.tabs a[data-view="metrics"]').click()
    expect(page.locator(".empty:visible")).to_contain_text("does not answer")
    visit.context.set_offline(False)
    visit.see(".service-card")
    expect(page.locator(".live-word")).to_have_text("Live")
    # The browser says of itself what it could not load.
    visit.wrong = [wrong for wrong in visit.wrong if "Failed to load resource" not in wrong]


def keyboard(visit):
    keys, page = visit.page.keyboard, visit.page
    keys.press("g")
    keys.press("t")
    visit.see("a.trace-row")
    keys.press("j")
    keys.press("Enter")
    visit.see(".span-row")
    keys.press("Escape")
    visit.see("a.trace-row")
    keys.press("/")
    keys.type("service:stock status:error")
    keys.press("Enter")
    visit.see("a.trace-row.bad")
    keys.press("?")
    expect(page.locator("dialog[open]")).to_be_visible()
    keys.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    # To an edge of the map by Tab alone.
    keys.press("g")
    keys.press("m")
    visit.see("[data-node]")
    page.locator("main").focus()
    for _ in range(3):
        keys.press("Tab")
    keys.press("Enter")
    visit.see(".panel .tiles")


def broken(browser):
    visit = Visit(browser, "wide")
    page = visit.page
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    visit.go("guards")
    visit.see('.card.open[data-peer="orders>stock"]')
    visit.picture("guards")
    visit.go("map")
    expect(page.locator(".pulse[data-level='3'] .headline")).to_contain_text("stock")
    expect(page.locator('[data-edge="orders>stock"].bad')).to_be_attached()
    visit.picture("map")
    for view in ("traces", "logs", "metrics"):
        visit.go(view)
        page.wait_for_timeout(500)
        visit.picture(view)
    visit.end()
    visit = Visit(browser, "narrow", "dark")
    visit.go("map")
    expect(visit.page.locator(".pulse[data-level='3'] .headline")).to_contain_text("stock")
    visit.picture("map")
    visit.end()
    print("an outage in Chromium: stock named first, its breaker seen open")


def jaeger(browser):
    """Jaeger's own page, which asks our query API."""
    files = pathlib.Path(sys.argv[4])
    asked = []
    told = {}  # how many spans each trace had when the page asked for it: services send theirs one by one

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path
            if path.startswith("/api/"):
                asked.append(path)
                try:
                    with urllib.request.urlopen(page_url.rstrip("/") + self.path) as answer:
                        body = answer.read()
                        if path.startswith("/api/traces/"):
                            told[path] = len(json.loads(body)["data"][0]["spans"])
                        return self.answer(answer.status, answer.headers["content-type"], body)
                except urllib.error.HTTPError as error:
                    return self.answer(error.code, "application/json", error.read())
            file = files / path.lstrip("/")
            file = file if file.is_file() else files / "index.html"
            self.answer(200, mimetypes.guess_type(file)[0] or "text/plain", file.read_bytes())

        def answer(self, status, kind, body):
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_address[1]}"
    trace = whole_trace(("gateway", "orders", "auth", "stock"))
    visit = Visit(browser, "wide")
    page = visit.page
    page.goto(f"{at}/trace/{trace['id']}")
    for service in ("gateway", "orders", "auth", "stock"):
        expect(page.locator(".span-svc-name", has_text=service).first).to_be_visible()
    spans = told[f"/api/traces/{trace['id']}"]
    expect(page.locator(".span-row")).to_have_count(spans)
    visit.picture("trace")
    page.goto(f"{at}/search?service=orders&limit=20&lookback=1h")
    expect(page.locator(".ResultItem").first).to_be_visible()
    visit.picture("search")
    page.goto(f"{at}/dependencies")
    page.wait_for_timeout(2000)
    visit.picture("dependencies")
    text = page.content()
    for service in ("gateway", "orders", "auth", "stock"):
        assert service in text, service
    assert any(path == "/api/dependencies" for path in asked), asked
    visit.context.close()
    print(f"Jaeger's own page: a trace of {spans} spans, a search and the dependencies, by {sorted(set(p.split('/')[2] for p in asked))}")


def hostile(browser):
    http = sys.argv[4]
    attribute = {"key": SCRIPT, "value": {"stringValue": SCRIPT}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SCRIPT * 3}}, attribute]}
    span = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": SCRIPT * 20, "kind": 2,
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
        if view.startswith("trace/"):
            visit.see(".span-row")  # long names leave it its place
            visit.picture("trace")
    assert "onerror" in visit.page.content() or ask("traces")["traces"]
    visit.end()
    print("script in every name: nothing ran")


with sync_playwright() as play:
    browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
    {"well": well, "broken": broken, "jaeger": jaeger, "hostile": hostile}[part](browser)
    browser.close()

"""The metrics page: Prometheus' text format, read strictly, and numbers that are true."""

import json
import math
import pathlib
import re
import shutil
import subprocess

from escapement_driver import equal, eventually, unique
from http_client import HttpClient
from suite import case, own

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")


def number(text):
    return {"+Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan}.get(text) if text in ("+Inf", "-Inf", "NaN") else float(text)


def parse(page):
    """{family: (type, {(sample name, labels): value})}; anything that promtool would complain about is an error."""
    assert page.endswith("\n"), "the page ends with a line break"
    families, current = {}, None
    for line in page.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name, _, text = line[7:].partition(" ")
            assert re.fullmatch(NAME, name) and text and name not in families, line
            current = name
            families[name] = [None, {}]
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current and families[name][0] is None and not families[name][1], line
            assert kind in ("counter", "gauge", "histogram"), line
            families[name][0] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, f"no sample: {line!r}"
            name, labels, value = match.groups()
            kind, samples = families[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [current + suffix for suffix in suffixes], f"{line!r} does not belong to {current}"
            key = (name, labels or "")
            assert key not in samples, f"twice: {line!r}"
            samples[key] = number(value)
    for name, (kind, samples) in families.items():
        check_family(name, kind, samples)
    return families


def check_family(name, kind, samples):
    assert name.startswith("escapement_") and kind, name
    assert name.endswith("_total") == (kind == "counter"), f"counters end with _total: {name}"
    assert "_ms" not in name and "_us" not in name, f"base units: {name}"
    if kind == "counter":
        assert all(value >= 0 for value in samples.values()), name
    if kind == "histogram":
        buckets = [(number(re.search(r'le="([^"]*)"', labels).group(1)), value)
                   for (sample, labels), value in samples.items() if sample.endswith("_bucket")]
        bounds, counts = zip(*buckets)
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == math.inf, f"{name}: {bounds}"
        assert list(counts) == sorted(counts), f"{name}: buckets add up: {counts}"
        equal(samples[(name + "_count", "")], counts[-1], name)
        assert samples[(name + "_sum", "")] >= 0


def scrape(client, *headers):
    response = client.request("GET", "/metrics", None, *headers)
    equal(response.status, 200)
    equal(response.fields["content-type"], "text/plain; version=0.0.4; charset=utf-8")
    return parse(response.body.decode())


def value(families, name, labels=""):
    family = next(family for family in families if name.startswith(family) and (name, labels) in families[family][1])
    return families[family][1][(name, labels)]


@case
def the_page_is_well_formed():
    """Every family has HELP and TYPE, counters end with `_total`, histograms add up, no sample stands twice."""
    running = own("--http", "127.0.0.1:0")
    client = HttpClient(running.address_for("HTTP"))
    client.ok("createTopic", topic="a.b-c_d")
    families = scrape(client)
    assert len(families) > 30, sorted(families)


@case
def the_numbers_are_true():
    """Counters, gauges and histograms say what happened; they agree with `stats`."""
    running = own("--http", "127.0.0.1:0")
    client, topic = HttpClient(running.address_for("HTTP")), unique()
    for index in range(5):
        client.ok("schedule", topic=topic, delayMs=0, body=index)
    for index in range(3):
        client.ok("schedule", topic=topic, delayMs=3_600_000, body=index)
    eventually(lambda: client.ok("stats")["released"] == 5, what="five releases")
    client.ok("fetch", topic=topic, group="g", max=2)
    families = scrape(client)
    equal(value(families, "escapement_scheduled_messages_total"), 8)
    equal(value(families, "escapement_released_messages_total"), 5)
    equal(value(families, "escapement_pending_messages"), 3)
    equal(value(families, "escapement_release_lateness_seconds_count"), 5)
    assert value(families, "escapement_journal_sync_seconds_count") >= 1
    assert value(families, "escapement_reply_seconds_count") >= 9
    equal(value(families, "escapement_topic_messages_total", f'topic="{topic}"'), 5)
    equal(value(families, "escapement_topic_pending_messages", f'topic="{topic}"'), 3)
    equal(value(families, "escapement_group_in_flight_messages", f'topic="{topic}",group="g"'), 2)
    equal(value(families, "escapement_group_lag_messages", f'topic="{topic}",group="g"'), 5)
    stats = client.ok("stats")
    equal(stats["pending"], value(families, "escapement_pending_messages"))
    equal(stats["journalSyncs"] >= value(families, "escapement_journal_sync_seconds_count"), True)


@case
def topics_with_metrics_are_bounded():
    """At most `--max-metric-topics` topics have metrics of their own; how many have none is told."""
    running = own("--http", "127.0.0.1:0", "--max-metric-topics", 3)
    client = HttpClient(running.address_for("HTTP"))
    for index in range(10):
        client.ok("createTopic", topic=f"t{index}")
    families = scrape(client)
    equal(len(families["escapement_topic_messages_total"][1]), 3)
    equal(value(families, "escapement_unlisted_topics"), 7)


DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"


@case
def the_dashboard_and_the_alerts_name_only_metrics_that_exist():
    """Every metric in a query of the dashboard, of an alert and of its test, is on the page, with the labels that it is asked by."""
    running = own("--http", "127.0.0.1:0")
    client = HttpClient(running.address_for("HTTP"))
    client.ok("fetch", topic="t", group="g")
    samples = {name for _, family in scrape(client).values() for name, _ in family}
    labels = {name: set(re.findall(r'([a-z]+)="', text)) for _, family in scrape(client).values() for name, text in family}
    dashboard = json.loads((DEPLOY / "grafana/dashboards/escapement.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 30, queries
    queries += [variable["definition"] for variable in dashboard["templating"]["list"]]
    queries += [(DEPLOY / name).read_text(encoding="utf-8") for name in ("prometheus/alerts.yml", "prometheus/alerts_test.yml")]
    for query in queries:
        names = set(re.findall(r"\bescapement_[a-z_]+", query))
        assert names and names <= samples, f"{sorted(names - samples)} in {query[:200]}"
    # Whatever is shown by a label must have it; Prometheus adds `instance` and `job` itself.
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            wanted = set(re.findall(r"{{ *([a-z]+) *}}", target["legendFormat"])) | set(
                word for words in re.findall(r"by \(([a-z, ]+)\)", target["expr"]) for word in words.split(", "))
            for name in re.findall(r"\bescapement_[a-z_]+", target["expr"]):
                assert wanted <= labels[name] | {"instance", "job"}, f"{wanted - labels[name]} in {target}"


@case
def promtool_finds_nothing():
    """`promtool check metrics`, where it is installed, has nothing to say about the page."""
    if not shutil.which("promtool"):
        return
    running = own("--http", "127.0.0.1:0")
    client = HttpClient(running.address_for("HTTP"))
    client.ok("publish", topic="t", body=1)
    client.ok("fetch", topic="t", group="g")
    page = client.request("GET", "/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=page, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    equal((done.returncode, done.stdout.decode()), (0, ""))

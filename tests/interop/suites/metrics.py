"""What Prometheus' own client reads of the metrics, in both of the formats that it knows."""

import importlib.metadata
import urllib.error
import urllib.request

from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_parser

from support import report
from support.programs import Balancer, sample
from support.report import case, equal, expect

FORMATS = {
    "OpenMetrics 1.0": ("application/openmetrics-text; version=1.0.0; charset=utf-8", open_parser),
    "text 0.0.4": ("text/plain; version=0.0.4; charset=utf-8", parser),
}
# What is asked for, and how often.
ASKED = {"/": 5, "/status/404": 3, "/status/500": 2}


def main():
    report.version(f"prometheus_client {importlib.metadata.version('prometheus_client')}")
    with sample() as address, Balancer(address, flags=["--admin", "127.0.0.1:0"]) as balancer:
        admin = balancer.wait_for(r"admin API on (http://\S+)")[1]
        for path, times in ASKED.items():
            for _ in range(times):
                get(balancer.http + path)
        for name, (media_type, reader) in FORMATS.items():
            with case(f"{name} is read, and says what was asked"):
                answer = get(f"{admin}/metrics", {"Accept": media_type})
                equal(answer.headers["content-type"], media_type, "the content type")
                check(reader.text_string_to_metric_families(answer.body), address)


def check(families, address):
    samples = {}
    for family in families:
        expect(family.documentation, f"{family.name} has no help")
        expect(family.type != "unknown", f"{family.name} has no type")
        for one in family.samples:
            samples[(one.name, *sorted(one.labels.items()))] = one.value
    for code, times in (("2xx", 5), ("4xx", 3), ("5xx", 2)):
        equal(samples["loadbalancer_answers_total", ("code", code)], times, f"answers {code}")
        labels = ("backend", address), ("code", code), ("pool", "default")
        equal(samples["loadbalancer_backend_answers_total", *labels], times, f"the backend's answers {code}")
    equal(samples["loadbalancer_backend_up", ("backend", address), ("pool", "default")], 1, "the backend is up")
    equal(samples["loadbalancer_pool_backends_usable", ("pool", "default")], 1, "the usable backends")
    total = sum(ASKED.values())
    equal(samples["loadbalancer_backend_answers_timed_total", ("backend", address), ("pool", "default")], total, "the timed")
    equal(samples[("loadbalancer_answer_time_seconds_count",)], total, "the times")
    equal(samples["loadbalancer_answer_time_seconds_bucket", ("le", "+Inf")], total, "the last bucket")


class Answer:
    def __init__(self, response):
        self.headers, self.body = response.headers, response.read().decode()


def get(url, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as response:
            return Answer(response)
    except urllib.error.HTTPError as response:
        return Answer(response)


if __name__ == "__main__":
    main()

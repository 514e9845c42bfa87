"""From Envoy's text to Istio's series: labels, growth, restarts, bounds."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from meshwright.model import metric_tags
from meshwright.telemetry.exposing import exposition
from meshwright.telemetry.exposition import Sample, samples
from meshwright.telemetry.facts import UNKNOWN, PodFacts, ServiceFacts, facts_of
from meshwright.telemetry.graph import TrafficWindow
from meshwright.telemetry.labels import istio_labels
from meshwright.telemetry.tailing import CUT_AT, MOST_AT_ONCE, Tail
from meshwright.telemetry.totals import UNHEARD_LOOKS, Totals

WEB = PodFacts("web-1.shop", "shop", "10.0.0.1", "web", "web", "web", "v1", "web", "v1")
CART = PodFacts(
    "cart-1.shop", "shop", "10.0.0.2", "cart", "cart", "cart", "v2", "cart", "v2", services={8000: "cart.shop"}
)
FACTS = facts_of((WEB, CART), (ServiceFacts("cart.shop", "cart", "shop"),), "cluster.local")
WEB_URI, CART_URI = "spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/cart"
FROM_WEB = {
    "reporter": "source",
    "response_flags": "-",
    "response_code": "200",
    "grpc_response_status": "",
    "cluster": "outbound|8000||cart.shop",
    "workload": "cart;shop;cart;v2;Kubernetes",
    "destination_principal": CART_URI,
}
AT_CART = {
    "reporter": "destination",
    "response_flags": "-",
    "response_code": "200",
    "cluster": "inbound|8000||",
    "peer": "10.0.0.1",
    "source_principal": WEB_URI,
}


def labels(own: PodFacts, tags: dict[str, str], metric: str = "istio_requests_total") -> dict[str, str]:
    return dict(istio_labels(own, metric, tuple(tags.items()), FACTS))


def line(value: int, **tags: str) -> str:
    written = ",".join(f'{name}="{text}"' for name, text in tags.items())
    return f"envoy_istio_requests_total{{{written}}} {value}\n"


def test_both_reporters_name_the_same_ends() -> None:
    source, destination = labels(WEB, FROM_WEB), labels(CART, AT_CART)
    differing = {name for name in source if source[name] != destination[name]}
    assert differing == {"reporter", "connection_security_policy"}
    assert destination["connection_security_policy"] == "mutual_tls"
    assert (source["destination_service"], source["destination_service_name"]) == ("cart.shop", "cart")
    assert (source["source_app"], source["destination_version"]) == ("web", "v2")
    assert (source["source_principal"], source["destination_principal"]) == (WEB_URI, CART_URI)


def test_a_caller_whose_certificate_is_of_somebody_else_is_not_named() -> None:
    told = labels(CART, {**AT_CART, "source_principal": "spiffe://cluster.local/ns/other/sa/thief"})
    assert told["source_workload"] == UNKNOWN
    assert told["source_workload_namespace"] == "other"


def test_every_label_is_there_for_those_nobody_knows() -> None:
    nobody = {**AT_CART, "peer": "192.0.2.1", "source_principal": "", "destination_principal": "-"}
    told = labels(CART, nobody)
    assert told["source_workload"] == told["source_principal"] == UNKNOWN
    assert told["connection_security_policy"] == "none"
    assert told.keys() == labels(CART, AT_CART).keys()


def test_calls_that_reach_nobody_are_named_by_what_was_asked_for() -> None:
    lost = {**FROM_WEB, "workload": "", "destination_principal": "", "response_flags": "UH", "response_code": "503"}
    assert labels(WEB, lost)["destination_service"] == "cart.shop"
    outside = {**lost, "cluster": "PassthroughCluster", "host": "example.com"}
    assert labels(WEB, outside)["destination_service_name"] == "PassthroughCluster"
    refused = {**lost, "cluster": "-", "host": "example.com", "route": "block_all"}
    assert labels(WEB, refused)["destination_service_name"] == "BlackHoleCluster"


def test_who_shows_no_identity_of_a_mesh_is_not_shown_one() -> None:
    told = labels(WEB, {**FROM_WEB, "destination_principal": "https://somewhere.example.com"})
    assert told["source_principal"] == UNKNOWN
    told = labels(CART, {**AT_CART, "source_principal": "-"})
    assert (told["destination_principal"], told["connection_security_policy"]) == (UNKNOWN, "none")


@given(
    st.fixed_dictionaries(
        {"reporter": st.just("source"), "response_code": st.one_of(st.just("0"), st.integers(100, 999).map(str))},
        optional={
            "response_flags": st.sampled_from(["UH", "UF,URX", "DC"]),
            "grpc_response_status": st.integers(-1, 16).map(str),
            "cluster": st.sampled_from(["outbound|8080||cart1.shop", "PassthroughCluster"]),
            "workload": st.just("cart;shop;cart;v1;Kubernetes"),
            "destination_principal": st.sampled_from(["spiffe://cluster.local/ns/shop/sa/cart", "URN:1"]),
            "route": st.sampled_from(["default", "to the canary", "2"]),
        },
    ),
    st.sampled_from(["cart:80", "10.0.0.1", "2"]),
)
def test_a_tag_of_a_caller_is_taken_apart_as_it_was_put_together(told: dict[str, str], host: str) -> None:
    told |= {"host": host}
    assert metric_tags.parted("source", metric_tags.joined(told)) == told


@given(
    st.fixed_dictionaries(
        {"reporter": st.just("destination"), "response_code": st.sampled_from(["0", "200", "503"])},
        optional={
            "response_flags": st.sampled_from(["UH", "UF,URX", "DC"]),
            "grpc_response_status": st.integers(-1, 16).map(str),
            "source_principal": st.sampled_from(["spiffe://cluster.local/ns/shop/sa/cart", "URN:1"]),
            "cluster": st.sampled_from(["inbound|8080||", "InboundPassthroughCluster"]),
            "peer": st.just("10.244.0.7"),
        },
    ),
)
def test_a_tag_of_a_server_is_taken_apart_as_it_was_put_together(told: dict[str, str]) -> None:
    assert metric_tags.parted("destination", metric_tags.joined(told)) == told


def test_what_has_no_code_has_none() -> None:
    assert metric_tags.joined({"reporter": "source", "response_flags": "-", "cluster": "PassthroughCluster"}) == (
        "-0PassthroughCluster"
    )
    assert metric_tags.parted("source", "no tag of ours") == {"reporter": "source"}


def test_requests_are_counted_by_their_durations() -> None:
    metric = "envoy_istio_request_duration_milliseconds"
    text = f'{metric}_bucket{{source="x",le="1"}} 4\n{metric}_sum{{source="x"}} 2.5\n{metric}_count{{source="x"}} 5\n'
    text += 'envoy_istio_tcp_connections_opened_total{source="y"} 2\n'
    tags = (("source", "x"),)
    requests = Sample("istio_requests_total", tags, "", 5)
    opened = Sample("istio_tcp_connections_opened_total", (("source", "y"),), "", 2)
    assert list(samples(text, "istio_", histograms=False)) == [requests, opened]
    durations = [one for one in samples(text, "istio_") if one.metric.startswith("istio_request_duration")]
    assert [one.value for one in durations] == [4, 2.5, 5]
    assert requests in list(samples(text, "istio_"))


def test_protocols() -> None:
    assert labels(WEB, {**FROM_WEB, "grpc_response_status": "14"})["request_protocol"] == "grpc"
    tcp = labels(WEB, FROM_WEB, "istio_tcp_sent_bytes_total")
    assert tcp["request_protocol"] == "tcp"
    assert "response_code" not in tcp


def test_totals_grow_over_restarts_and_ends_of_proxies() -> None:
    totals = Totals()
    for said in (3, 5, 2):  # the proxy started anew before it said 2
        totals.take(WEB, samples(line(said, **FROM_WEB), "istio_"), FACTS)
    totals.forget(["web-1.shop"])
    totals.take(WEB, samples(line(1, **FROM_WEB), "istio_"), FACTS)
    [series] = totals.series["istio_requests_total"].values()
    assert series.values == {"": 5 + 2 + 1}
    assert "} 8\n" in exposition(totals)


def test_a_histogram_keeps_its_empty_buckets() -> None:
    totals = Totals()
    tags = tuple(FROM_WEB.items())
    metric = "istio_request_duration_milliseconds"
    said = [Sample(f"{metric}_bucket", tags, bound, value) for bound, value in (("0.5", 0), ("1", 2), ("+Inf", 2))]
    totals.take(WEB, [*said, Sample(f"{metric}_sum", tags, "", 1.5), Sample(f"{metric}_count", tags, "", 2)], FACTS)
    text = exposition(totals)
    assert 'le="0.5"} 0\n' in text
    assert text.count("_bucket{") == 3
    assert f"# TYPE {metric} histogram" in text


def test_messages_are_calls_times_the_messages_of_each() -> None:
    totals = Totals()

    def said(pair: str, calls: int) -> Sample:
        return Sample("istio_messages_total", (*FROM_WEB.items(), ("messages", pair)), "", calls)

    totals.take(WEB, [said("1,1", 4), said("2,0", 1)], FACTS)
    totals.take(WEB, [said("1,1", 6), said("2,0", 1)], FACTS)
    totals.lasting(WEB, [{**FROM_WEB, "messages": "100,2000"}, {**FROM_WEB, "messages": "no numbers"}], FACTS)
    [(labels, requests)] = totals.series["istio_request_messages_total"].items()
    [responses] = totals.series["istio_response_messages_total"].values()
    assert (requests.values[""], responses.values[""]) == (6 + 2 + 100, 6 + 2000)
    assert {"response_flags", "request_protocol", "response_code"}.isdisjoint(dict(labels))


def moved(flow: str, received: int, moment: str = "TcpPeriodic") -> dict[str, object]:
    return {**FROM_WEB, "id": flow, "moment": moment, "received": received, "sent": 2 * received}


def received(totals: Totals) -> float:
    [series] = totals.series["istio_tcp_received_bytes_total"].values()
    return series.values[""]


def test_bytes_of_open_connections_are_counted_once() -> None:
    totals = Totals()
    totals.lasting(WEB, [moved("a", 10), moved("b", 5), moved("a", 30)], FACTS)
    assert received(totals) == 35
    totals.lasting(WEB, [moved("a", 30), moved("b", 7, "TcpConnectionEnd")], FACTS)
    assert received(totals) == 37
    assert totals.proxies[WEB.name].flows.keys() == {"a"}
    totals.lasting(WEB, [moved("c", 9, "TcpConnectionEnd")], FACTS)
    assert received(totals) == 46
    [sent] = totals.series["istio_tcp_sent_bytes_total"].values()
    assert sent.values[""] == 92


def test_a_connection_of_which_nothing_is_heard_is_forgotten() -> None:
    totals = Totals()
    totals.lasting(WEB, [moved("a", 10)], FACTS)
    for _ in range(UNHEARD_LOOKS):
        totals.lasting(WEB, [], FACTS)
    assert totals.proxies[WEB.name].flows
    totals.lasting(WEB, [], FACTS)
    assert not totals.proxies[WEB.name].flows


def test_a_new_process_of_a_pod_counts_from_nothing() -> None:
    totals = Totals()
    for epoch, said in (("1", 3), ("2", 4)):  # more than the one before had counted
        totals.begin(WEB.name, epoch)
        totals.take(WEB, samples(line(said, **FROM_WEB), "istio_"), FACTS)
    [series] = totals.series["istio_requests_total"].values()
    assert series.values == {"": 7}


def test_series_beyond_the_bound_are_counted_and_forgotten() -> None:
    totals = Totals(most=1)
    text = line(1, **FROM_WEB) + line(1, **{**FROM_WEB, "response_code": "503"})
    totals.take(WEB, samples(text, "istio_"), FACTS)
    assert (len(totals.series["istio_requests_total"]), totals.dropped) == (1, 1)


def test_each_call_is_on_the_graph_once() -> None:
    totals, window = Totals(), TrafficWindow(10)
    both = [*totals.take(WEB, samples(line(4, **FROM_WEB), "istio_"), FACTS)]
    both += totals.take(CART, samples(line(4, **AT_CART), "istio_"), FACTS)
    window.take(both, FACTS, 100.0)
    edges, _ = window.edges(100.0)
    [(key, counts)] = edges.items()
    assert (key.source, key.destination, counts.count, counts.encrypted) == (
        ("shop", "web", "v1"),
        ("shop", "cart", "v2"),
        4,
        4,
    )
    window.take([], FACTS, 111.0)
    assert not window.edges(111.0)[0]


def test_a_tail_reads_what_came_and_keeps_the_file_small(tmp_path: Path) -> None:
    file, tail = tmp_path / "requests.log", Tail(tmp_path / "requests.log")
    assert not list(tail.read())
    with file.open("ab", buffering=0) as proxy:
        proxy.write(b'{"n": 1}\n{"n": 2}\n{"n"')
        assert [each["n"] for each in tail.read()] == [1, 2]
        proxy.write(b': 3}\nno json\n{"n": 4}\n')
        assert [each["n"] for each in tail.read()] == [3, 4]
        proxy.write(b'{"n": 0, "pad": "' + b"x" * 1000 + b'"}\n' * 1)
        for _ in range(2 * CUT_AT // MOST_AT_ONCE):
            proxy.write((b'{"n": 5, "pad": "' + b"x" * 980 + b'"}\n') * (MOST_AT_ONCE // 1000))
            assert {each["n"] for each in tail.read()} >= {5}
        assert file.stat().st_size < CUT_AT
        proxy.write(b'{"n": 6}\n')
        assert [each["n"] for each in tail.read()] == [6]


def test_a_tail_that_falls_behind_skips_to_the_newest(tmp_path: Path) -> None:
    file, tail = tmp_path / "requests.log", Tail(tmp_path / "requests.log")
    lines = 3 * MOST_AT_ONCE // 10
    file.write_bytes(b"".join(b'{"n":%4d}\n' % (number % 1000) for number in range(lines)))
    read = list(tail.read())
    assert 0 < len(read) < lines
    assert read[-1]["n"] == (lines - 1) % 1000
    assert tail.skipped > 0


def test_a_tail_goes_on_where_another_one_stopped(tmp_path: Path) -> None:
    file, first = tmp_path / "flows.log", Tail(tmp_path / "flows.log")
    file.write_bytes(b'{"n": 1}\n{"n": 2')
    assert [each["n"] for each in first.read()] == [1]
    with file.open("ab", buffering=0) as proxy:
        proxy.write(b'}\n{"n": 3}\n')
    second = Tail(file, CUT_AT, first.place)
    assert [each["n"] for each in second.read()] == [2, 3]
    assert not list(Tail(file, CUT_AT, second.place).read())
    newer = tmp_path / "newer"
    newer.write_bytes(b'{"n": 4}\n' * 9)
    newer.rename(file)  # another file, which is read from its beginning
    assert len(list(Tail(file, CUT_AT, second.place).read())) == 9


def histogram(metric: str, bound: str, below: int, count: int, total: float) -> str:
    tags = ",".join(f'{name}="{text}"' for name, text in FROM_WEB.items())
    name = f"envoy_istio_{metric}"
    return (
        f'{name}_bucket{{{tags},le="{bound}"}} {below}\n{name}_bucket{{{tags},le="+Inf"}} {count}\n'
        f"{name}_sum{{{tags}}} {total}\n{name}_count{{{tags}}} {count}\n"
    )


def test_sizes_of_a_share_become_those_of_all_requests() -> None:
    totals = Totals()

    def look(requests: int, taken: int, small: int, total: float) -> dict[str, float]:
        text = histogram("request_duration_milliseconds", "5", requests, requests, requests)
        text += histogram("request_bytes", "100", small, taken, total)
        totals.take(WEB, samples(text, "istio_"), FACTS)
        [series] = totals.series["istio_request_bytes"].values()
        return series.values

    assert look(10, 10, 4, 1_000) == {"100": 4, "+Inf": 10, "sum": 1_000, "count": 10}  # all are taken
    assert look(110, 15, 6, 1_500) == {"100": 44, "+Inf": 110, "sum": 11_000, "count": 110}  # 5 of 100
    assert look(140, 15, 6, 1_500)["count"] == 110  # none of 30: they wait
    assert look(200, 18, 6, 1_800) == {"100": 44, "+Inf": 200, "sum": 20_000, "count": 200}  # 3 of 90
    totals.begin(WEB.name, "another process")
    assert look(7, 7, 7, 70) == {"100": 51, "+Inf": 207, "sum": 20_070, "count": 207}


def test_sizes_that_an_older_worker_kept_are_not_stretched() -> None:
    totals = Totals()
    first = histogram("request_duration_milliseconds", "5", 100, 100, 100)
    first += histogram("request_bytes", "100", 100, 100, 100)
    totals.take(WEB, samples(first, "istio_"), FACTS)
    last = totals.proxies[WEB.name].last
    for raw in [raw for raw in last if raw[0].endswith("_of")]:
        del last[raw]
    then = histogram("request_duration_milliseconds", "5", 102, 102, 102)
    then += histogram("request_bytes", "100", 102, 102, 102)
    totals.take(WEB, samples(then, "istio_"), FACTS)
    [series] = totals.series["istio_request_bytes"].values()
    assert series.values["count"] == 102

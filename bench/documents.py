"""Reading 1,000 VirtualServices: our parser and readers against PyYAML's fastest loader, in one run.

`python -m bench.documents`; medians of several rounds. The loader gives plain values without any place.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable

import yaml

from meshwright.documents.reader import read
from meshwright.kinds.objects import read_objects

COUNT = 1_000
ROUNDS = 5

ONE = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop-{0}
  namespace: team-{1}
  labels: {{app: shop-{0}, team: "team-{1}"}}
spec:
  hosts: [shop-{0}.team-{1}.svc.cluster.local]
  gateways: [mesh, istio-system/public]
  http:
  - name: canary
    match:
    - headers: {{end-user: {{exact: jason}}}}
      uri: {{prefix: /api/v1/products}}
    route:
    - destination: {{host: shop-{0}, subset: v2, port: {{number: 8080}}}}
    timeout: 5s
    retries: {{attempts: 3, perTryTimeout: 2s, retryOn: "5xx,reset"}}
  - name: main
    route:
    - destination:
        host: shop-{0}
        subset: v1
        port: {{number: 8080}}
      weight: 80
    - destination:
        host: shop-{0}
        subset: v2
        port: {{number: 8080}}
      weight: 20
"""


def milliseconds(work: Callable[[], object]) -> float:
    """The time of one call, without a garbage collection in it."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    work()
    passed = (time.perf_counter() - start) * 1000
    gc.enable()
    return passed


def main() -> int:
    text = "".join(ONE.format(index, index % 50) for index in range(COUNT))
    parsed = read(text, "bench.yaml")
    loaded = read_objects([parsed])
    assert len(loaded.objects.virtual_services) == COUNT
    assert not loaded.diagnostics
    loads: list[float] = []
    reads: list[float] = []
    checks: list[float] = []
    for _ in range(ROUNDS):
        loads.append(milliseconds(lambda: list(yaml.load_all(text, Loader=yaml.CSafeLoader))))
        reads.append(milliseconds(lambda: read(text, "bench.yaml")))
        checks.append(milliseconds(lambda: read_objects([parsed])))
    base, parse, check = map(statistics.median, (loads, reads, checks))
    print(f"{COUNT} VirtualServices, {len(text) / 1e6:.2f} MB, median of {ROUNDS} rounds")
    print(f"CSafeLoader.load_all (values only)    {base:7.1f} ms  1.00")
    print(f"documents.read (values with places)   {parse:7.1f} ms  {parse / base:.2f}")
    print(f"kinds.read_objects (checked, model)   {check:7.1f} ms  {check / base:.2f}")
    print(f"both                                  {parse + check:7.1f} ms  {(parse + check) / base:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

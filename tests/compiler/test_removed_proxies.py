"""Proxies come and go between compilations of one compiler."""

from dataclasses import replace

from meshwright.compiler.compile import Compiler
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.origin import ObjectRef
from meshwright.model.proxy import Proxy, Role
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Workload


def proxy(number: int) -> Proxy:
    meta = Meta(ObjectRef("Pod", "default", f"p{number}"), labels=Labels.of({"app": "x"}))
    return Proxy(Workload(meta, f"10.0.0.{number + 1}"), Role.SIDECAR)


def test_a_proxy_that_is_gone_is_not_asked_about() -> None:
    everyone = tuple(proxy(number) for number in range(100))
    whole = Snapshot(workloads=tuple(each.workload for each in everyone), proxies=everyone)
    compiler = Compiler()
    compiler.compile(whole)
    for left in (everyone[1:], everyone[::2], everyone[:1], (), everyone):
        now = replace(whole, workloads=tuple(each.workload for each in left), proxies=left)
        assert set(compiler.compile(now).proxies) == {each.name for each in left}

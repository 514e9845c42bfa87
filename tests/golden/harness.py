"""Golden cases: a folder with in.yaml becomes compiled resources, readable files, and bootstraps for Envoy to judge.

The first lines of an in.yaml may be comments of two forms:

    # with bookinfo.yaml
    # show client.default: routes/9080/reviews* clusters/outbound|9080||reviews*

`with` adds a mesh that several cases share. `show` chooses what is written into <proxy>.yaml: a type (clusters,
endpoints, listeners, routes), a glob over the resources' names, and a glob over virtual hosts or filter chains.
The standard metrics, which would fill every listener of every case, are on only where a case asks for them
(`defaultProviders: {metrics: [prometheus]}` in the mesh's settings).
The type `origins` writes where the elements of resources come from instead: name glob, then a glob over elements.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from meshwright.compiler.compile import Compiler
from meshwright.documents.render import as_json
from meshwright.envoyapi.pool import class_of_url, to_json_dict
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName, TypeUrl
from meshwright.model.published import EncodedResource, Published
from meshwright.model.snapshot import Snapshot
from meshwright.wiring.loading import LoadedMesh, load
from meshwright.wiring.snapshot import offline_snapshot

HERE = Path(__file__).parent
CASES = tuple(sorted(path.parent for path in HERE.glob("*/*/in.yaml")))
DIAGNOSTICS = "diagnostics.yaml"
TYPES: Mapping[str, TypeUrl] = {
    "clusters": CLUSTER,
    "endpoints": ENDPOINTS,
    "listeners": LISTENER,
    "routes": ROUTES,
}
ORIGINS = "origins"
METRICS = "metrics: [prometheus]"
PARTS = {"listeners": "filter_chains", "routes": "virtual_hosts"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One `show` of a case: which resources of a proxy are written out."""

    proxy: ProxyName
    kind: str
    name: str = "*"
    part: str = "*"


@dataclass(frozen=True, slots=True)
class Compiled:
    """One case after compilation, with the findings of its readers."""

    published: Published
    snapshot: Snapshot
    loaded: LoadedMesh

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        return (*self.loaded.diagnostics, *self.published.diagnostics)

    def all_bytes(self) -> dict[tuple[str, str, str], bytes]:
        """Every resource of every proxy."""
        return {
            (str(proxy), str(type_url), str(name)): resource.value
            for proxy, proxy_class in self.published.proxies.items()
            for type_url, resources in self.published.classes[proxy_class].items()
            for name, resource in resources.items()
        }


def case_name(case: Path) -> str:
    return str(case.relative_to(HERE))


def texts_of(case: Path) -> dict[str, str]:
    """in.yaml and the meshes that it names, by file name."""
    text = (case / "in.yaml").read_text()
    shared = {words[2] for words in _head(text) if words[1] == "with"}
    return {"in.yaml": text, **{name: (HERE / name).read_text() for name in sorted(shared)}}


def shown(case: Path) -> tuple[Shown, ...]:
    """What the case writes out."""
    found: list[Shown] = []
    for words in _head((case / "in.yaml").read_text()):
        if words[1] == "show":
            proxy = ProxyName(words[2].removesuffix(":"))
            # a name holds no slash but where an address range does, which no case shows
            found.extend(Shown(proxy, *word.split("/")) for word in words[3:])
    return tuple(found)


def compile_texts(texts: Mapping[str, str]) -> Compiled:
    """From text to resources, by the way of the command line."""
    loaded = load((name, text) for name, text in texts.items())
    counted = any(METRICS in text for text in texts.values())
    settings = replace(loaded.settings, metrics=loaded.settings.metrics and counted)
    snapshot = offline_snapshot(loaded.objects, settings)
    return Compiled(Compiler().compile(snapshot), snapshot, loaded)


@cache
def compiled(case: Path) -> Compiled:
    """The case as it is written; compiled once per test run."""
    return compile_texts(texts_of(case))


def rendered(case: Path) -> dict[str, str]:
    """File name -> text, as it lies beside in.yaml. No findings means no diagnostics.yaml."""
    result = compiled(case)
    trees: dict[str, object] = {}
    for wish in shown(case):
        tree = cast("dict[str, list[object]]", trees.setdefault(f"{wish.proxy}.yaml", {}))
        found = _origins(result, wish) if wish.kind == ORIGINS else _resources(result.published, wish)
        tree.setdefault(wish.kind, []).extend(found)
    if result.findings:
        trees[DIAGNOSTICS] = sorted(
            (_finding(finding, result.loaded) for finding in result.findings),
            key=lambda one: (one["object"], one["path"], one["code"], one["message"]),
        )
    return {name: _yaml(tree) for name, tree in trees.items()}


def readable(resource: EncodedResource) -> dict[str, Any]:
    """Envoy's JSON of one resource, with the field names of the proto files."""
    return _ordered(to_json_dict(class_of_url(resource.type_url).FromString(resource.value)))


def _ordered(value: Any) -> Any:
    """Plain dictionaries whose order does not depend on protobuf's maps: the name first, then by key."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {key: _ordered(inner) for key, inner in sorted(pairs, key=lambda pair: (pair[0] != "name", pair[0]))}
    if isinstance(value, list):
        return [_ordered(inner) for inner in cast("list[Any]", value)]
    return value


def _head(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if not line.startswith("# "):
            return
        words = line.split()
        if words[1] in ("with", "show"):
            yield words


def _resources(published: Published, wish: Shown) -> list[object]:
    resources = published.resources_of(wish.proxy)
    assert resources is not None, f"there is no proxy {wish.proxy}"
    chosen = resources.get(TYPES[wish.kind], {})
    found = [readable(chosen[name]) for name in sorted(chosen) if fnmatchcase(name, wish.name)]
    assert found, f"{wish.proxy} has no {wish.kind} named {wish.name}; there are {sorted(chosen)}"
    part = PARTS.get(wish.kind)
    if part is not None and wish.part != "*":
        for resource in found:
            resource[part] = [one for one in resource.get(part, []) if fnmatchcase(one.get("name", ""), wish.part)]
            assert resource[part], f"{resource['name']} has no {part} named {wish.part}"
    return list[object](found)


def _origins(result: Compiled, wish: Shown) -> list[object]:
    resources = result.published.resources_of(wish.proxy)
    assert resources is not None, f"there is no proxy {wish.proxy}"
    found: dict[str, str] = {}
    for by_name in resources.values():
        for name in sorted(by_name):
            for path, origin in by_name[name].origins if fnmatchcase(name, wish.name) else ():
                place = result.loaded.lines.find(origin)
                line = "" if place is None else f" ({place.file}:{place.line})"
                if fnmatchcase(path, wish.part):
                    found[f"{name}: {path}"] = f"{origin.object} {origin.path}".strip() + line
    assert found, f"no element of {wish.proxy} fits {wish.name}/{wish.part}"
    return [{key: found[key]} for key in found]


def _finding(finding: Diagnostic, loaded: LoadedMesh) -> dict[str, str]:
    told = as_json(finding, loaded.lines)
    place = told["object"]
    return {
        "code": told["code"],
        "effect": told["effect"],
        "object": "/".join(filter(None, (place["kind"], place["namespace"], place["name"]))),
        "path": told["path"],
        "at": f"{told['file']}:{told['line']}",
        "message": told["message"],
        "fix": told["fix"],
    }


def _yaml(tree: object) -> str:
    return yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False, width=110, allow_unicode=True)

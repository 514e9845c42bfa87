"""Texts become everything that a mesh is started from: objects, settings, image catalogue, and what was wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import yaml

from meshwright.documents.lines import Lines
from meshwright.documents.reader import read
from meshwright.kinds.image_catalogue import read_catalogue
from meshwright.kinds.mesh_config import read_settings
from meshwright.kinds.objects import read_objects
from meshwright.model.config import ConfigMap
from meshwright.model.diagnostic import Diagnostic, Effect
from meshwright.model.image import CATALOGUE_LABEL, Catalogue
from meshwright.model.objects import MeshObjects
from meshwright.model.settings import MeshSettings


@dataclass(frozen=True, slots=True)
class LoadedMesh:
    """The usable part of some texts. `lines` finds the line of an origin; `catalogue_errors` are sentences."""

    objects: MeshObjects
    settings: MeshSettings
    catalogue: Catalogue
    diagnostics: tuple[Diagnostic, ...]
    lines: Lines
    catalogue_errors: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[Diagnostic, ...]:
        """Those for which an object was left out, or now refuses all."""
        return tuple(found for found in self.diagnostics if found.code.effect in (Effect.REFUSED, Effect.DENIED))


def load(texts: Iterable[tuple[str, str]]) -> LoadedMesh:
    """Read (file name, text) pairs. Nothing raises for what users wrote."""
    parsed = [read(text, file) for file, text in texts]
    loaded = read_objects(parsed)
    settings = read_settings(loaded.objects.config_maps)
    catalogue, errors = with_config_maps(shipped_catalogue(), loaded.objects.config_maps)
    return LoadedMesh(
        loaded.objects,
        settings.value,
        catalogue,
        loaded.diagnostics + settings.findings,
        loaded.lines,
        errors,
    )


@lru_cache(maxsize=1)
def shipped_catalogue() -> Catalogue:
    """The entries that come with meshwright."""
    text = files("meshwright.images").joinpath("catalogue.yaml").read_text()
    catalogue, errors = read_catalogue(yaml.safe_load(text))
    assert not errors, errors
    return catalogue


def with_config_maps(catalogue: Catalogue, config_maps: Iterable[ConfigMap]) -> tuple[Catalogue, tuple[str, ...]]:
    """The catalogue with the entries of every ConfigMap that is labelled as one, and what was wrong in them."""
    errors: list[str] = []
    labelled = [each for each in config_maps if any(key == CATALOGUE_LABEL for key, _ in each.meta.labels.pairs)]
    for config_map in sorted(labelled, key=lambda each: each.meta.ref):
        for key, text in config_map.data:
            place = f"{config_map.meta.ref} data[{key}]"
            try:
                value: object = yaml.safe_load(text)
            except yaml.YAMLError as error:
                errors.append(f"{place}: not readable as YAML: {error}")
                continue
            read_entries, wrong = read_catalogue(value)
            catalogue = catalogue.with_entries(read_entries.entries)
            errors += [f"{place}: {sentence}" for sentence in wrong]
    return catalogue, tuple(errors)

"""Secrets are looked into before the compiler trusts them: a listener without its certificate waits for ever."""

from dataclasses import replace

from meshwright.ca.secrets import credential
from meshwright.kinds.objects import Loaded
from meshwright.model.config import SecretContent, SecretRef, SecretUse


def judged(loaded: Loaded) -> Loaded:
    """The same with what is wrong with the certificates of its Secrets noted in them."""
    objects = loaded.objects
    if not any(ref.use is not SecretUse.OTHER for ref in objects.secrets):
        return loaded
    contents = {content.meta.ref: content for content in objects.secret_contents}
    secrets = tuple(_judged(ref, contents.get(ref.meta.ref)) for ref in objects.secrets)
    return replace(loaded, objects=replace(objects, secrets=secrets))


def _judged(ref: SecretRef, content: SecretContent | None) -> SecretRef:
    if content is None or ref.use is SecretUse.OTHER:
        return ref
    found = next(iter(credential(content).findings), None)
    return ref if found is None else replace(ref, problem=found.args[1])

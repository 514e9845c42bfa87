"""How long certificates live, as the environment of `up` says it; names as Istio has them, where it has one."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta

from meshwright.ca.times import CertificateTimes
from meshwright.kinds.durations import exact_milliseconds

VARIABLES: Mapping[str, str] = {
    "leaf": "DEFAULT_WORKLOAD_CERT_TTL",
    "issuer": "MESHWRIGHT_ISSUER_CERT_TTL",
    "root": "CITADEL_SELF_SIGNED_CA_CERT_TTL",
}
"""Field of CertificateTimes -> variable; each is a duration such as `30s` or `12h`."""


class CertificateSettingError(ValueError):
    """A lifetime that cannot be used; the text says which, why and what to write."""


def times_from(environment: Mapping[str, str]) -> CertificateTimes:
    """The lifetimes; the usual ones for variables that are not set. Raises CertificateSettingError."""
    found: dict[str, timedelta] = {}
    for name, variable in VARIABLES.items():
        text = environment.get(variable, "")
        if not text:
            continue
        exact = exact_milliseconds(text)
        if exact is None or exact <= 0:
            raise CertificateSettingError(f"{variable}={text} is no duration: write for example {variable}=12h")
        found[name] = timedelta(milliseconds=float(exact))
    times = replace(CertificateTimes(), **found)
    if problem := times.problem():
        variables = ", ".join(VARIABLES.values())
        raise CertificateSettingError(f"{problem}: see the variables {variables}")
    return times


def seconds_of(times: CertificateTimes) -> dict[str, float]:
    """As the run file keeps them."""
    return {each.name: getattr(times, each.name).total_seconds() for each in fields(times)}


def times_of(seconds: Mapping[str, float]) -> CertificateTimes:
    """The reverse of `seconds_of`."""
    return CertificateTimes(**{name: timedelta(seconds=value) for name, value in seconds.items()})

"""Lifetimes of certificates come from the environment of `up`, and the run file keeps them."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from meshwright.ca.times import DEFAULT_TIMES, CertificateTimes
from meshwright.wiring.certificate_settings import CertificateSettingError, times_from
from meshwright.wiring.run_file import RunFile, read_run_file, write_run_file


def test_the_environment_sets_them_and_the_run_file_keeps_them(tmp_path: Path) -> None:
    assert times_from({}) == DEFAULT_TIMES
    times = times_from({"DEFAULT_WORKLOAD_CERT_TTL": "30s", "MESHWRIGHT_ISSUER_CERT_TTL": "1m30s"})
    assert times == CertificateTimes(leaf=timedelta(seconds=30), issuer=timedelta(seconds=90))
    run = RunFile("root", "demo", (), (), 1, times)
    write_run_file(tmp_path, run)
    assert read_run_file(tmp_path) == run
    assert not run.same_configuration(RunFile("root", "demo", (), (), 1))


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"DEFAULT_WORKLOAD_CERT_TTL": "30"}, "no duration"),
        ({"DEFAULT_WORKLOAD_CERT_TTL": "-30s"}, "no duration"),
        ({"DEFAULT_WORKLOAD_CERT_TTL": "1s"}, "2 s at least"),
        ({"MESHWRIGHT_ISSUER_CERT_TTL": "24h"}, "twice as long as the leaf"),
        ({"CITADEL_SELF_SIGNED_CA_CERT_TTL": "24h"}, "twice as long as the issuers"),
    ],
)
def test_lifetimes_that_cannot_work_are_refused(environment: Mapping[str, str], what: str) -> None:
    with pytest.raises(CertificateSettingError, match=what):
        times_from(environment)

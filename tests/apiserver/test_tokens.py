"""Bearer tokens: accounts ask for them, they expire, and others are refused, with a line in the log."""

import base64
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from meshwright.apiserver.door import TURNED_AWAY, Sparingly
from meshwright.apiserver.json_web_tokens import LONGEST, TokenError, TokenKey
from meshwright.apiserver.service_accounts import AUDIENCE, Account, ServiceAccountTokens
from tests.apiserver.server import Client, Running

KUBECTL = Path(sys.executable).parent / "kubectl"
HOUR = timedelta(hours=1)


def accounts_of(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts"


def make_account(admin: Client, namespace: str, name: str = "robot") -> Account:
    made = admin.must(admin.post(accounts_of(namespace), {"metadata": {"name": name}}))
    return Account(namespace, name, made["metadata"]["uid"])


def request_token(admin: Client, account: Account, **spec: Any) -> Any:
    path = f"{accounts_of(account.namespace)}/{account.name}/token"
    return admin.post(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})


def as_holder(server: Running, token: str) -> Client:
    return Client(server.port, token, server.tls)


def issuer(server: Running, key: TokenKey | None = None, now: datetime | None = None) -> ServiceAccountTokens:
    """Tokens as this server makes them, at another time or by another key."""
    at = now or datetime.now(UTC)
    return ServiceAccountTokens(server.api.store, key or TokenKey.keep(server.folder / "tokens.key"), lambda: at)


def payload(token: str) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_an_account_gets_a_token_and_is_who_it_is(server: Running, admin: Client, namespace: str) -> None:
    account = make_account(admin, namespace)
    answer = admin.must(request_token(admin, account, expirationSeconds=600))
    assert answer["kind"] == "TokenRequest"
    token = answer["status"]["token"]
    claims = payload(token)
    assert claims["sub"] == f"system:serviceaccount:{namespace}:robot"
    assert claims["aud"] == [AUDIENCE]
    assert claims["exp"] - claims["iat"] == 600
    robot = as_holder(server, token)
    review = robot.must(robot.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}))
    assert review["status"]["userInfo"] == {
        "username": f"system:serviceaccount:{namespace}:robot",
        "uid": account.uid,
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
    }
    review = admin.must(admin.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}}))
    assert review["status"]["user"]["username"] == claims["sub"]
    assert token not in json.dumps(review)


def test_an_account_may_ask_who_it_is_and_nothing_more(
    server: Running, admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    admin.must(admin.post("/api/v1/namespaces", {"metadata": {"name": "robots"}}))
    account = make_account(admin, "robots")
    robot = as_holder(server, admin.must(request_token(admin, account))["status"]["token"])
    assert robot.get("/api").status == 200
    assert robot.get("/openapi/v3").status == 200
    with caplog.at_level(logging.WARNING):
        for method, path in (
            ("GET", "/api/v1/namespaces/robots/secrets"),
            ("POST", "/api/v1/namespaces/robots/configmaps"),
            ("POST", f"{accounts_of('robots')}/robot/token"),
            ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
        ):
            refused = robot.ask(method, path, {} if method == "POST" else None)
            assert refused.status == 403
            assert refused.json["reason"] == "Forbidden"
            assert 'User "system:serviceaccount:robots:robot" cannot' in refused.json["message"]
            said = caplog.records[-1].getMessage()
            assert f"403 for {method} {path!r} from 127.0.0.1 of system:serviceaccount:robots:robot" in said


def test_what_is_asked_for_is_checked(admin: Client, namespace: str) -> None:
    account = make_account(admin, namespace)
    for spec, message in (
        ({"expirationSeconds": 599}, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": "long"}, "must be a number of seconds"),
        ({"audiences": [1]}, "must be a list"),
        ({"boundObjectRef": {"kind": "Pod", "name": "x"}}, "bound to their account"),
    ):
        refused = request_token(admin, account, **spec)
        assert refused.status == 422
        assert message in refused.json["message"]
    assert request_token(admin, Account(namespace, "nobody", "")).status == 404
    long = admin.must(request_token(admin, account, expirationSeconds=10**7))
    assert long["spec"]["expirationSeconds"] == 24 * 3600, "shortened, and said so"
    assert admin.ask("PUT", f"{accounts_of(namespace)}/robot/token", {}).status == 405


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def with_claims(server: Running, account: Account) -> str:
    header, said, signature = issuer(server).issue(account, HOUR).split(".")
    claims = payload(f".{said}.")
    claims["sub"] = "system:serviceaccount:kube-system:admin"
    return f"{header}.{encoded(claims)}.{signature}"


def unsigned(token: str) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


Make = Callable[[Running, Account], str]
BAD: dict[str, tuple[Make, str]] = {
    "expired": (
        lambda server, account: issuer(server, now=datetime.now(UTC) - 2 * HOUR).issue(account, HOUR),
        "the token of the service account NS/robot has expired 3",
    ),
    "early": (
        lambda server, account: issuer(server, now=datetime.now(UTC) + 2 * HOUR).issue(account, HOUR),
        "the token of the service account NS/robot counts only in 7",
    ),
    "of another mesh": (
        lambda server, account: issuer(server, TokenKey.keep(server.folder / "other.key")).issue(account, HOUR),
        "it was not issued by this mesh",
    ),
    "for another audience": (
        lambda server, account: issuer(server).issue(account, HOUR, ("https://elsewhere",)),
        "is for another audience",
    ),
    "of a former account": (
        lambda server, account: issuer(server).issue(Account(account.namespace, account.name, "former"), HOUR),
        "of an earlier service account NS/robot",
    ),
    "of an account that is gone": (
        lambda server, account: issuer(server).issue(Account(account.namespace, "ghost", "x"), HOUR),
        "the service account NS/ghost is gone",
    ),
    "with a higher claim": (with_claims, "its signature is forged"),
    "without a signature": (lambda server, account: unsigned(issuer(server).issue(account, HOUR)), "not issued by"),
    "random": (lambda _server, _account: "wrong", "it is not known here"),
    "very long": (lambda _server, _account: "a.b." + "c" * LONGEST, "it is not known here"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_token_that_does_not_count_is_refused_and_logged(
    server: Running, admin: Client, namespace: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    account = make_account(admin, namespace)
    make, reason = BAD[what]
    token = make(server, account)
    with caplog.at_level(logging.DEBUG):
        refused = as_holder(server, token).get("/api/v1/namespaces?limit=1")
    assert refused.status == 401
    assert refused.json["reason"] == refused.json["message"] == "Unauthorized", "strangers are not told why"
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    said = [each.getMessage() for each in caplog.records if each.getMessage().startswith("401")]
    assert len(said) == 1
    assert "401 for GET '/api/v1/namespaces' from 127.0.0.1: " in said[0]
    assert reason.replace("NS", namespace) in said[0]
    for part in token.split("."):
        assert len(part) < 5 or part not in caplog.text


def test_tokens_end_with_their_account(server: Running, admin: Client, namespace: str) -> None:
    account = make_account(admin, namespace)
    robot = as_holder(server, admin.must(request_token(admin, account))["status"]["token"])
    assert robot.get("/api").status == 200
    admin.must(admin.delete(f"{accounts_of(namespace)}/robot"))
    assert robot.get("/api").status == 401
    make_account(admin, namespace)
    assert robot.get("/api").status == 401, "another account of the same name is another one"


@pytest.mark.parametrize("name", ["access_token", "token"])
def test_a_token_in_the_query_does_not_count_and_is_not_logged(
    server: Running, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        stranger = as_holder(server, "")
        refused = stranger.ask("GET", f"/api/v1/pods?{name}={server.token}", Authorization="")
    assert refused.status == 401
    assert "a token in the query does not count" in caplog.text
    assert server.token not in caplog.text


def test_other_ways_to_log_in_are_refused(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        basic = base64.b64encode(f"admin:{server.token}".encode()).decode()
        assert as_holder(server, "").ask("GET", "/api", Authorization=f"Basic {basic}").status == 401
        assert as_holder(server, "").ask("GET", "/api/v1/pods/x%1B%5B31my", Authorization="").status == 401
    assert "it brings no bearer token" in caplog.text
    assert basic not in caplog.text
    assert "/x\\x1b[31my" in caplog.text, "what a stranger writes does not reach a terminal as it is"


def test_strangers_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = Sparingly(clock=lambda: now[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(1_000):
            log.tell("turned away")
        assert len(caplog.records) == 50
        now[0] = 10.0
        log.tell("turned away")
    assert caplog.records[-1].getMessage() == "950 more were turned away in the meantime"


def test_a_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    first = TokenKey.keep(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert TokenKey.keep(tmp_path / "key").claims(first.sign({"a": 1})) == {"a": 1}
    token = first.sign({"a": 1})
    for broken in (token + "=", token[:-2], token.replace(".", ".."), f"{token}.x", token.replace(".", " .", 1)):
        with pytest.raises(TokenError):
            first.claims(broken)


GENUINE = TokenKey(ec.generate_private_key(ec.SECP256R1()))


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1"))))
def test_no_text_but_our_own_is_a_token(text: str) -> None:
    genuine = GENUINE.sign({"a": 1})
    for token in (text, f"{genuine}{text}", genuine.replace(".", f".{text}", 1), genuine[: len(text)]):
        if token != genuine:
            with pytest.raises(TokenError):
                GENUINE.claims(token)


def test_kubectl_makes_a_token_and_asks_who_it_is(server: Running, admin: Client, namespace: str) -> None:
    make_account(admin, namespace)
    environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig), "HOME": str(server.folder)}

    def kubectl(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(KUBECTL), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=environment)

    made = kubectl("create", "token", "robot", "-n", namespace, "--duration=10m")
    assert made.returncode == 0, made.stderr
    kept = json.loads(server.kubeconfig.read_text())
    kept["users"][0]["user"] = {"token": made.stdout.strip()}
    (server.folder / "robot").write_text(json.dumps(kept))
    environment["KUBECONFIG"] = str(server.folder / "robot")
    who = kubectl("auth", "whoami", "-o", "json")
    assert who.returncode == 0, who.stderr
    assert json.loads(who.stdout)["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:robot"
    listed = kubectl("get", "secrets", "-n", namespace)
    assert listed.returncode == 1
    assert "is forbidden" in listed.stderr
    assert kubectl("auth", "can-i", "get", "secrets", "-n", namespace).stdout.strip() == "no"


@pytest.fixture(autouse=True)
def fresh_log() -> None:
    """What earlier tests caused does not count."""
    TURNED_AWAY.left = TURNED_AWAY.most

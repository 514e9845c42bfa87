"""Asking in the name of another (kubectl --as): who may, and who one is then; it is never left out of account."""

import json

import pytest

from tests.apiserver.server import Client
from tests.apiserver.statuses import refused

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ROBOT = "system:serviceaccount:shop:robot"


def test_an_admin_is_who_it_asks_to_be(admin: Client) -> None:
    answer = admin.post(WHO, {}, Impersonate_User="bob", Impersonate_Group="dev", Impersonate_Uid="7")
    assert admin.must(answer)["status"]["userInfo"] == {
        "username": "bob",
        "uid": "7",
        "groups": ["dev", "system:authenticated"],
    }


def test_an_account_is_in_the_groups_of_accounts(admin: Client) -> None:
    groups = admin.must(admin.post(WHO, {}, Impersonate_User=ROBOT))["status"]["userInfo"]["groups"]
    assert groups == ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]


def test_another_may_only_what_that_one_may(admin: Client) -> None:
    status = refused(admin.get("/api/v1/namespaces/default/secrets", Impersonate_User="bob"), 403, "Forbidden")
    assert 'User "bob" cannot list resource "secrets"' in status["message"]
    made = admin.post("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}}, Impersonate_User="bob")
    refused(made, 403, "Forbidden")
    asked = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "pods", "namespace": "default"}}}
    review = admin.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", asked, Impersonate_User=ROBOT)
    assert admin.must(review)["status"]["allowed"] is False


def test_the_group_of_admins_may_everything(admin: Client) -> None:
    answer = admin.get(
        "/api/v1/namespaces/default/secrets", Impersonate_User="bob", Impersonate_Group="system:masters"
    )
    assert answer.status == 200


def test_others_may_not_ask_in_the_name_of_anybody(reader: Client) -> None:
    status = refused(
        reader.get("/api/v1/namespaces/default/pods", Impersonate_User="meshwright-admin"), 403, "Forbidden"
    )
    assert 'User "reader" cannot impersonate resource "users"' in status["message"]


@pytest.mark.parametrize("header", ["Impersonate_Group", "Impersonate_Uid", "Impersonate_Extra_scopes"])
def test_half_a_name_is_refused(admin: Client, header: str) -> None:
    status = refused(admin.get("/api/v1/namespaces", **{header: "system:masters"}), 400, "BadRequest")
    assert "Impersonate-User" in status["message"], json.dumps(status)

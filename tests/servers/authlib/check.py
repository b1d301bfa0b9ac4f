"""authlib as a user of the fake server: a login in Flask with its ID token verified, and the grants
of machines and devices. A step that fails raises, and that is the report."""

import os
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask, jsonify, session, url_for

ISSUER, ADMIN = os.environ["ISSUER"], os.environ["ADMIN"]
DOCUMENT = f"{ISSUER}/.well-known/openid-configuration"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def order(command, body):
    answer = requests.post(f"{ADMIN}/{command}", json=body)
    assert answer.status_code == 200, f"{command}: {answer.text}"
    return answer.json()


def flask_app(client_id, secret, **registration):
    app = Flask("fake")
    app.secret_key = "of this process alone"
    oauth = OAuth(app)
    oauth.register(
        "fake",
        client_id=client_id,
        client_secret=secret,
        server_metadata_url=DOCUMENT,
        client_kwargs={"scope": "openid email", **registration},
    )

    @app.route("/login")
    def login():
        return oauth.fake.authorize_redirect(url_for("callback", _external=True))

    @app.route("/callback")
    def callback():
        tokens = oauth.fake.authorize_access_token()
        session["tokens"] = {"refresh_token": tokens.get("refresh_token")}
        return jsonify(tokens["userinfo"])

    return app


def log_in(app):
    """What the callback says at the end of a login, and the cookies are those of one browser."""
    with app.test_client() as browser:
        away = browser.get("/login", base_url="https://app.example")
        assert away.status_code == 302, away.text
        page = requests.get(away.location, allow_redirects=False)
        assert page.status_code == 302, page.text
        back = urlsplit(page.headers["location"])
        return browser.get(f"{back.path}?{back.query}", base_url="https://app.example")


def check_logins():
    # Without a code challenge, as authlib's default is; the client may.
    for client_id, kwargs in [("flask", {}), ("web", {"code_challenge_method": "S256"})]:
        answer = log_in(flask_app(client_id, "hunter2", **kwargs))
        assert answer.status_code == 200, answer.text
        assert answer.json["sub"] == "alice" and answer.json["email"] == "alice@example.com"
        print(f"authlib: {client_id} logs in at Flask, verifies the ID token")


def check_refused_login():
    app = flask_app("flask", "hunter2")
    app.config["PROPAGATE_EXCEPTIONS"] = True
    order("decisions", {"decision": "decline"})
    try:
        log_in(app)
    except OAuthError as error:
        assert error.error == "access_denied", error
    else:
        raise AssertionError("a login that was declined came through")
    order("id_token_claim", {"name": "iss", "value": "https://evil.example"})
    try:
        log_in(app)
    except Exception as error:
        print(f"authlib: an ID token of another issuer is refused: {type(error).__name__}")
    else:
        raise AssertionError("an ID token of another issuer came through")
    order("id_token_claim", {"name": "iss", "value": ISSUER})


def check_rotated_keys():
    app = flask_app("flask", "hunter2")
    assert log_in(app).status_code == 200
    order("keys", {"keep_published": False})
    answer = log_in(app)
    assert answer.status_code == 200, answer.text
    print("authlib: keys that were rotated are fetched again")


def check_grants():
    document = requests.get(DOCUMENT).json()
    token_endpoint = document["token_endpoint"]
    for client_id, method in [("web", "client_secret_basic"), ("post", "client_secret_post")]:
        client = OAuth2Session(client_id, "hunter2", token_endpoint_auth_method=method, scope="read")
        machine = client.fetch_token(token_endpoint, grant_type="client_credentials")
        assert machine["token_type"] == "Bearer" and "refresh_token" not in machine
        known = client.introspect_token(
            document["introspection_endpoint"], token=machine["access_token"]
        ).json()
        assert known["active"] and known["client_id"] == client_id, known
        tokens = client.fetch_token(token_endpoint, username="alice", password="wonderland")
        renewed = client.refresh_token(token_endpoint, refresh_token=tokens["refresh_token"])
        assert renewed["refresh_token"] != tokens["refresh_token"]
        exchanged = client.fetch_token(
            token_endpoint,
            grant_type=TOKEN_EXCHANGE,
            subject_token=renewed["access_token"],
            subject_token_type=ACCESS_TOKEN,
        )
        assert exchanged["issued_token_type"] == ACCESS_TOKEN, exchanged
        client.revoke_token(document["revocation_endpoint"], token=renewed["refresh_token"])
        print(f"authlib: {method}: client credentials, password, refresh, exchange, revocation")


def check_device():
    document = requests.get(DOCUMENT).json()
    begun = requests.post(
        document["device_authorization_endpoint"], data={"client_id": "tv", "scope": "films"}
    ).json()
    page = requests.get(begun["verification_uri_complete"])
    assert page.status_code == 200 and begun["user_code"] in page.text, page.text
    answer = {"user_code": begun["user_code"], "decision": "approve"}
    assert requests.post(begun["verification_uri"], data=answer).status_code == 200
    client = OAuth2Session("tv", token_endpoint_auth_method="none")
    tokens = client.fetch_token(
        document["token_endpoint"], grant_type=DEVICE_CODE, device_code=begun["device_code"]
    )
    assert tokens["scope"] == "films", tokens
    resource = client.get(f"{ISSUER}/api")
    assert resource.json()["username"] == "alice", resource.text
    print("authlib: a device is approved at its page")


def check_faults():
    document = requests.get(DOCUMENT).json()
    client = OAuth2Session("web", "hunter2")
    order("faults", {"fault": {"kind": "error_with_200", "error": "temporarily_unavailable"}})
    try:
        client.fetch_token(document["token_endpoint"], grant_type="client_credentials")
    except Exception as error:
        assert "temporarily_unavailable" in str(error), error
        print("authlib: an error with status 200 is an error")
    else:
        raise AssertionError("an error with status 200 went by")



check_logins()
check_refused_login()
check_rotated_keys()
check_grants()
check_device()
check_faults()

# SPDX-License-Identifier: Apache-2.0

"""A real OAuth 2.0 token endpoint (Authlib) over TLS that misbehaves on demand. Usage: issuer.py DIRECTORY PORT

POST /token    the client credentials grant (RFC 6749, section 4.4). Clients:
                 dev1  secret "50%:+/ü", by client_secret_basic and client_secret_post
                 dev2  private_key_jwt (RFC 7523), if DIRECTORY has client.pub.pem
               Answers with a JWT, signed with DIRECTORY/jwt.key.pem.
GET /jwks      the public key of the tokens (RFC 7517).
POST /_ctl     changes the knobs that its JSON object names; answers with all. An empty object only asks.
GET /_ctl/requests     what was asked of /token: time (seconds since 1970), client, authentication, status of the answer.
DELETE /_ctl/requests  forgets that.
"""

import sys
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import unquote

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from flask import Flask, Response, jsonify, request
from joserfc import jwk, jwt
from werkzeug.serving import WSGIRequestHandler

DIRECTORY = Path(sys.argv[1])
PORT = int(sys.argv[2])
ISSUER = f"https://localhost:{PORT}"
KEY = jwk.RSAKey.import_key((DIRECTORY / "jwt.key.pem").read_text(), {"kid": "test", "alg": "RS256", "use": "sig"})

# RFC 6749, section 2.3.1: each of these characters has to be encoded before Base64.
SECRET = "50%:+/ü"

KNOBS = {
    "ttl": 60,  # the life of a token in seconds
    "claims": {},  # further claims, or others: {"sub": "dev1@localhost"}; null leaves one out
    "skew": 0,  # how many seconds the issuer's clock is ahead
    "nbf": None,  # "nbf", in seconds after the issue
    "without_exp": False,  # no "exp" in the token
    "without_expires_in": False,  # no "expires_in" beside it
    "same_token": False,  # the last answer once more
    "times": None,  # after so many answers with a fault, those below no longer apply; null: always
    "delay": 0,  # seconds before each answer
    "hang": False,  # no answer, until this is changed
    "garbage": False,  # the HTML of somebody's login page, with status 200
    "status": None,  # an error with this status
    "retry_after": None,  # its Retry-After: seconds, or an HTTP date
}
FAULTS = {"times": None, "delay": 0, "hang": False, "garbage": False, "status": None, "retry_after": None}

# Guards what follows, and tells requests that hang that a knob was turned.
turned = threading.Condition()
knobs = dict(KNOBS)
requests = []
last_answer = None
used_assertions = set()


class Client(ClientMixin):
    def __init__(self, client_id, methods, secret=None, public_key=None):
        self.client_id = client_id
        self.methods = methods
        self.secret = secret
        self.public_key = public_key

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return scope

    def check_client_secret(self, secret):
        return self.secret is not None and self.secret == secret

    def check_endpoint_auth_method(self, method, endpoint):
        return endpoint == "token" and method in self.methods

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class PrivateKeyJWT(JWTBearerClientAssertion):
    CLIENT_AUTH_METHOD = "private_key_jwt"

    def get_audiences(self):
        return [ISSUER, ISSUER + "/token"]

    def validate_jti(self, claims, jti):
        """RFC 7523, section 3: whether an assertion is seen for the first time."""
        with turned:
            is_new = jti not in used_assertions
            used_assertions.add(jti)
            return is_new

    def resolve_client_public_key(self, client):
        return client.public_key


CLIENTS = {"dev1": Client("dev1", ["client_secret_basic", "client_secret_post"], secret=SECRET)}
if (DIRECTORY / "client.pub.pem").exists():
    public_key = jwk.import_key((DIRECTORY / "client.pub.pem").read_bytes())
    CLIENTS["dev2"] = Client("dev2", [PrivateKeyJWT.CLIENT_AUTH_METHOD], public_key=public_key)


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", PrivateKeyJWT.CLIENT_AUTH_METHOD]


def make_token(grant_type, client, user=None, scope=None, expires_in=None, include_refresh_token=False):
    """The answer to a request that Authlib has found good."""
    now = int(time.time() + knobs["skew"])
    claims = {
        "iss": ISSUER,
        "sub": client.client_id,
        "aud": request.form.get("audience", "mqtt"),
        "iat": now,
        "exp": now + knobs["ttl"],
        "jti": str(uuid.uuid4()),
        "scope": scope,
        "nbf": None if knobs["nbf"] is None else now + knobs["nbf"],
    }
    if knobs["without_exp"]:
        del claims["exp"]
    claims |= knobs["claims"]
    claims = {name: value for name, value in claims.items() if value is not None}
    token = {
        "access_token": jwt.encode({"alg": "RS256", "kid": "test", "typ": "at+jwt"}, claims, KEY),
        "token_type": "Bearer",
        "expires_in": knobs["ttl"],
        "scope": scope,
    }
    if knobs["without_expires_in"]:
        del token["expires_in"]
    return {name: value for name, value in token.items() if value is not None}


app = Flask("issuer")
server = AuthorizationServer(app, query_client=CLIENTS.get, save_token=lambda token, request: None)
server.register_token_generator("default", make_token)
server.register_client_auth_method(PrivateKeyJWT.CLIENT_AUTH_METHOD, PrivateKeyJWT())
server.register_grant(ClientCredentialsGrant)


@app.post("/token")
def token():
    global last_answer
    entry = {"time": time.time(), "status": None} | who_asks()
    with turned:
        requests.append(entry)
        faults = take_faults()
        if faults["hang"]:
            turned.wait_for(lambda: not knobs["hang"])
    time.sleep(faults["delay"])
    if faults["status"]:
        answer = jsonify(error="temporarily_unavailable")
        answer.status_code = faults["status"]
        if faults["retry_after"] is not None:
            answer.headers["Retry-After"] = str(faults["retry_after"])
    elif faults["garbage"]:
        answer = Response("<!DOCTYPE html><title>Sign in</title>", content_type="text/html")
    else:
        answer = server.create_token_response()
        with turned:
            if knobs["same_token"] and last_answer and answer.status_code == 200:
                answer = Response(last_answer, content_type="application/json")
            elif answer.status_code == 200:
                last_answer = answer.get_data()
    entry["status"] = answer.status_code
    return answer


def take_faults():
    """The faults of this request: none if they were meant for so many only."""
    if knobs["times"] == 0:
        return FAULTS
    if knobs["times"] is not None:
        knobs["times"] -= 1
    return {name: knobs[name] for name in FAULTS}


def who_asks():
    """Without a secret: this is shown to anybody."""
    if request.authorization and request.authorization.type == "basic":
        return {"client": unquote(request.authorization.username or ""), "authentication": "client_secret_basic"}
    if "client_assertion" in request.form:
        return {"client": request.form.get("client_id"), "authentication": "private_key_jwt"}
    return {"client": request.form.get("client_id"), "authentication": "client_secret_post"}


@app.get("/jwks")
def jwks():
    return {"keys": [KEY.as_dict(private=False)]}


@app.post("/_ctl")
def control():
    changes = request.get_json()
    unknown = changes.keys() - KNOBS.keys()
    if unknown:
        return {"unknown": sorted(unknown)}, 400
    with turned:
        knobs.update(changes)
        turned.notify_all()
        return knobs


@app.get("/_ctl/requests")
def list_requests():
    return jsonify(requests)


@app.delete("/_ctl/requests")
def forget_requests():
    requests.clear()
    return "", 204


# As every issuer of some size: connections stay open between requests.
WSGIRequestHandler.protocol_version = "HTTP/1.1"
app.run("127.0.0.1", PORT, ssl_context=(DIRECTORY / "server.pem", DIRECTORY / "server.key"), threaded=True)

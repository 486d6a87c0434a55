"""What schemathesis cannot read in a document: how to log in, and rules across fields."""

import json
import os
import urllib.request
import uuid
from decimal import Decimal
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

PEOPLE = json.loads(Path(os.environ["SHOPFLOW_DEV_JSON"]).read_text())

# Calls after which the caller's token does not work any more: each is made with one of its own.
ENDING = {"logout", "logoutAll"}


def post(path, body):
    request = urllib.request.Request(
        PEOPLE["auth_url"] + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def log_in(person):
    return post("/auth/login", PEOPLE[person])["access_token"]


def register():
    """Somebody of whom calls may tell, and who may be changed in every way."""
    return post("/auth/register", {
        "email": f"{uuid.uuid4()}@example.com", "password": "aB3!aB3!aB3!", "first_name": "Sam", "last_name": "Subject",
    })["id"]


SUBJECT = register()


def own_id(token):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(PEOPLE["auth_url"] + "/auth/validate", data=b"", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["user"]["id"]


ADMIN = own_id(log_in("admin"))


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Ids come back in lists and are tried everywhere, passwords come from examples. An admin who is deactivated, or
    has another password, meets nothing but 401 after that."""
    if case.method != "GET" and (case.path_parameters or {}).get("id") == ADMIN:
        case.path_parameters["id"] = SUBJECT


@schemathesis.hook
def flatmap_path_parameters(ctx, path_parameters):
    """No generator comes by the id of an account by itself, and without one these calls are nothing but 404."""
    if ctx.operation is None or not ctx.operation.path.startswith("/auth/users/{id}"):
        return st.just(path_parameters)
    return st.one_of(st.just({**path_parameters, "id": SUBJECT}), st.just(path_parameters))


@schemathesis.auth(refresh_interval=None)
class Bearer:
    """An admin, who sees everything; a customer where sessions end; a service where only those may."""

    token = None

    def get(self, case, ctx):
        definition = case.operation.definition.raw
        if definition.get("security") == [{"serviceToken": []}]:
            return os.environ["SHOPFLOW_SERVICE_TOKEN"]
        if definition.get("operationId") in ENDING:
            return log_in("customer")
        if Bearer.token is None:
            Bearer.token = log_in("admin")
        return Bearer.token

    def set(self, case, data, ctx):
        # Those without a token in the document are made without one.
        if case.operation.definition.raw.get("security"):
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


# A password has four kinds of characters, which no pattern says that generators understand.
PASSWORDS = st.text(alphabet="abcdefXYZ0189-_!?", min_size=4, max_size=100).map(lambda text: f"aB3!{text}")
schemathesis.openapi.format("password", PASSWORDS)

# Mail must be deliverable: a top-level domain, no quoted names, no addresses of machines.
NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0189", min_size=1, max_size=40)
schemathesis.openapi.format("email", st.builds("{}@{}.example".format, NAMES, NAMES))


@schemathesis.hook
def before_load_schema(ctx, raw_schema):
    """A cursor is told by the list before, and not given with a page; one that is invented is rightly refused."""
    for path in raw_schema["paths"].values():
        for call in path.values():
            known = call.get("parameters", [])
            call["parameters"] = [one for one in known if one["name"] != "cursor"]


@schemathesis.hook
def map_body(ctx, body):
    """An order's sum has a limit, and a price has cents: binary floats miss both."""
    if ctx.operation is None or ctx.operation.label != "POST /orders" or not isinstance(body, dict):
        return body
    items = body.get("items")
    if not isinstance(items, list):
        return body
    for item in items:
        if not isinstance(item, dict):
            continue
        price, quantity = item.get("unit_price"), item.get("quantity")
        if isinstance(price, float) and price >= 0.01:
            price = item["unit_price"] = float(max(Decimal("0.01"), round(Decimal(price), 2)))
        too_much = isinstance(price, (int, float)) and price > 100 or isinstance(price, str)
        if too_much and isinstance(quantity, (int, float)) and 1 <= quantity <= 1_000_000:
            item["quantity"] = 1
    return body


@schemathesis.hook
def filter_body(ctx, body):
    """Leaves out orders that are too large together, which are rightly refused."""
    if ctx.operation is None or ctx.operation.label != "POST /orders":
        return True
    try:
        total = sum(Decimal(str(item["unit_price"])) * int(item["quantity"]) for item in body["items"])
    except (TypeError, KeyError, ValueError, ArithmeticError):
        return True
    return total <= Decimal("99999999.99")

"""A login as pure steps: nothing of a request reaches the provider, nothing unproven is believed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import LoginError
from gateway.oidc import flow
from gateway.oidc.flow import DEFAULT_TARGET, LoginState, local_target, read_callback
from gateway.oidc.providers import KINDS, Email, Logout, Metadata, Provider, Userinfo

PROVIDER = Provider(
    name="corp",
    issuer="https://id.example",
    config_url="",
    kind=KINDS["cognito"],
    client_id="gateway",
)
METADATA = Metadata(
    issuer="https://id.example",
    jwks_uri="https://id.example/jwks",
    authorization_endpoint="https://id.example/authorize?tenant=1",
    end_session_endpoint="https://id.example/logout",
)
BACK = "https://gw.example/api/session/auth/"


# Where to go after a login

GOOD_TARGETS = [
    "/",
    "/ui/",
    "/ui/b/home/a%20b/",
    "/ui/b/home/?starts=%2F%2Fx",
    "/home/a.txt?versionId=1&x=/../y",
    "/ui/#//evil.example",
    "/ui/b/x/%2e%2e%2e/",
    "/apix/y",
    "/a:b@c",
    "/ui/b/home/%E2%82%AC",
    "/ui/%5Cevil",
    "/x?next=https://evil.example/",
    "/" + "a" * 1023,
]

BAD_TARGETS = [
    "",
    "ui/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/ /evil.example",
    "/%0d%0aSet-Cookie:x\r\nY: z",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/..",
    "/.",
    "/%2e%2e/x",
    "/%2E%2e/x",
    "/.%2e/x",
    "/a/%2e/b",
    "/a/../../evil",
    "/api/session",
    "/api/",
    "/api",
    "/API/session",
    "/api?x",
    "/api/session/auth/?next=/api/session/auth/",
    "/é",
    "/\u2028x",
    "/\x7f",
    "/\x00",
    "/" + "a" * 1024,
    "/\ud800",
]


@pytest.mark.parametrize("target", GOOD_TARGETS, ids=range(len(GOOD_TARGETS)))
def test_red_1_a_place_of_ours_is_kept_as_it_is(target):
    """Byte for byte."""
    assert local_target(target) == target


@pytest.mark.parametrize("target", BAD_TARGETS, ids=range(len(BAD_TARGETS)))
def test_red_1_anything_else_leads_to_the_file_browser(target):
    """Other hosts, blanks, dot segments, our own API, what is too long."""
    assert local_target(target) == DEFAULT_TARGET


def test_red_1_no_target_is_the_file_browser():
    """`next` may be absent."""
    assert local_target(None) == DEFAULT_TARGET


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("https://s3.example.com/a?b=c", "/a?b=c"),
        ("https://s3.example.com/", "/"),
        ("https://s3.example.com", DEFAULT_TARGET),
        ("https://s3.example.com//evil", DEFAULT_TARGET),
        ("https://s3.example.com/https://evil/", DEFAULT_TARGET),
        ("https://s3.example.com.evil/a", DEFAULT_TARGET),
        ("https://s3.example.com@evil/a", DEFAULT_TARGET),
        ("https://s3.example.com:444/a", DEFAULT_TARGET),
        ("http://s3.example.com/a", DEFAULT_TARGET),
        ("https://badexample.com/a", DEFAULT_TARGET),
    ],
)
def test_red_3_a_whole_url_is_ours_by_its_exact_origin(value, target):
    """Traefik knows no other form of where a browser was going."""
    assert local_target(value, "https://s3.example.com") == target


STARTS = [
    "",
    "/",
    "//",
    "///",
    "/\\",
    "\\",
    "\\/",
    "/\t/",
    "/\t\\",
    "/%09/",
    "/%5c",
    "/%2f",
    "/%2F%2F",
]
STARTS += [
    "/.",
    "/./",
    "/..",
    "/../",
    "/.;/",
    "/;/",
    "/..//",
    "/%2e%2e/",
    "/\x0b/",
    "/\r\n/",
    "/\xa0/",
]
STARTS += [
    "/\u3000/",
    "/\u2215",
    "/\uff0f",
    "./",
    ".",
    " ",
    "\t",
    "\x00",
    "/ ",
    "/\x85/",
    "/%00/",
    "?",
    "#",
]
MIDDLES = ["evil.example", "evil.example:443", "u:p@evil.example", "[::1]", "localhost", "0x7f.1"]
MIDDLES += [
    "https://evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "evil%2eexample",
    "a.b",
]
ENDS = ["", "/", "/..", "//", "\\", "?x=//y", "#//y", "%0d%0aLocation:%20//x", "@gw.example"]
CORPUS = ["".join(parts) for parts in itertools.product(STARTS, MIDDLES, ENDS)]


def as_browsers_read(target: str) -> str:
    """The host that a browser goes to: it drops tabs and line breaks, and takes \\ for /."""
    text = target.strip("".join(map(chr, range(33))))
    for gone in "\t\r\n":
        text = text.replace(gone, "")
    before, question, after = text.partition("?")
    text = before.replace("\\", "/") + question + after
    return urlsplit(urljoin("https://gw.example/api/session/auth/", text)).netloc


def test_red_1_of_thousands_of_hostile_targets_none_leaves_our_host():
    """Whatever is accepted stays on our host as browsers parse it."""
    assert len(CORPUS) > 3000
    accepted = [target for target in CORPUS if local_target(target) == target]

    assert accepted, "the corpus holds harmless ones too"
    for target in accepted:
        assert as_browsers_read(target) == "gw.example", target
        assert target.startswith("/") and not target.startswith(("//", "/\\"))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="/\\.%25eE2fF:@?#;\t\r\n ahttps", max_size=24))
def test_red_1_no_accepted_target_leaves_our_host(text):
    """For any text of the characters that matter."""
    target = local_target("/" + text)

    assert as_browsers_read(target) == "gw.example"
    assert not any(c in target for c in "\r\n\t \\")


# The way there


def login() -> LoginState:
    return LoginState.fresh("corp", "/ui/")


def test_oid_1_state_nonce_and_verifier_are_256_random_bits_each():
    """And different in every login."""
    many = [login() for _ in range(50)]
    values = [v for one in many for v in (one.state, one.nonce, one.verifier)]

    assert len(set(values)) == 150
    assert all(len(value) == 43 for value in values)


def test_oid_2_pkce_is_always_there():
    """S256, whatever the document advertises; the verifier itself stays here."""
    one = login()
    url = flow.begin(PROVIDER, METADATA, one, BACK)
    sent = dict(parse_qsl(urlsplit(url).query))

    assert sent["code_challenge_method"] == "S256"
    assert sent["code_challenge"] == flow.challenge(one.verifier)
    assert one.verifier not in url
    # RFC 7636, appendix B
    assert flow.challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_oid_13_the_authorization_request_holds_what_is_configured_and_nothing_else():
    """Every parameter once; the endpoint's own query stays; a blank scope is left out."""
    one = login()
    url = flow.begin(PROVIDER, METADATA, one, BACK)
    pairs = parse_qsl(urlsplit(url).query)

    assert url.startswith("https://id.example/authorize?tenant=1&response_type=code&")
    assert [name for name, _ in pairs] == [
        "tenant",
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ]
    assert dict(pairs)["redirect_uri"] == BACK
    blank = flow.begin(replace(PROVIDER, scope=""), METADATA, one, BACK)
    assert "scope=" not in blank
    google = flow.begin(replace(PROVIDER, kind=KINDS["google"]), METADATA, one, BACK)
    assert dict(parse_qsl(urlsplit(google).query))["access_type"] == "offline"


def test_the_login_cookie_holds_the_login():
    """And anything else is none."""
    one = login()

    assert LoginState.from_claims(one.as_claims()) == one
    assert LoginState.from_claims({**one.as_claims(), "n": ""}) is None
    assert LoginState.from_claims({**one.as_claims(), "v": 5}) is None
    assert LoginState.from_claims({}) is None
    assert one.state not in flow.cookie_suffix(one.state)
    assert len(flow.cookie_suffix(one.state)) == 8


# The way back


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("code", "c")],
        [("state", "s")],
        [("state", "s"), ("state", "s"), ("code", "c")],
        [("state", "s"), ("code", "c"), ("code", "d")],
        [("state", "s"), ("code", "c"), ("error", "e")],
        [("state", "s"), ("error", "e"), ("error", "f")],
        [("state", ""), ("code", "c")],
        [("state", "s"), ("code", "")],
        [("state", "s"), ("code", "c"), ("iss", "a"), ("iss", "b")],
        [("state", "s"), ("code", "c" * 5000)],
        [("state", "s" * 5000), ("code", "c")],
    ],
    ids=range(12),
)
def test_oid_1_a_callback_has_one_state_and_one_answer(pairs):
    """Doubled parameters are not a choice for us to make."""
    with pytest.raises(LoginError) as caught:
        read_callback(tuple(pairs))

    assert caught.value.reason is errors.LOGIN_PARAMETERS


def test_a_callback_may_hold_more():
    """Keycloak sends session_state, Google scope and authuser."""
    got = read_callback((("state", "s"), ("code", "c"), ("session_state", "x"), ("scope", "y")))

    assert (got.state, got.code, got.error, got.issuer) == ("s", "c", None, None)


def test_oid_1_the_state_is_compared_before_anything_else():
    """Another's state, or no login at all, is the same refusal."""
    one = login()
    good = flow.Callback(one.state, "c", None, None)

    assert flow.check_callback(good, one) is one
    for callback, held in [(flow.Callback("x", "c", None, None), one), (good, None)]:
        with pytest.raises(LoginError) as caught:
            flow.check_callback(callback, held)
        assert caught.value.reason is errors.LOGIN_STATE


@pytest.mark.parametrize(
    ("issuer", "promised", "fine"),
    [
        (None, False, True),
        (None, True, False),
        ("https://id.example", False, True),
        ("https://id.example", True, True),
        ("https://id.example/", False, False),
        ("https://evil.example", False, False),
        ("", False, False),
    ],
)
def test_oid_3_the_answer_names_its_issuer_where_it_promised(issuer, promised, fine):
    """RFC 9207: present or promised means equal."""
    callback = flow.Callback("s", "c", None, issuer)
    metadata = replace(METADATA, promises_issuer=promised)
    if fine:
        flow.check_issuer(callback, metadata)
    else:
        with pytest.raises(LoginError) as caught:
            flow.check_issuer(callback, metadata)
        assert caught.value.reason is errors.LOGIN_ISSUER


def test_oid_12_an_error_is_told_in_our_own_words():
    """A known code by name, anything else not at all."""
    assert flow.code_of(flow.Callback("s", "c", None, None)) == "c"
    for error, told in [("access_denied", "access_denied"), ("<script>", "another error")]:
        with pytest.raises(LoginError) as caught:
            flow.code_of(flow.Callback("s", None, error, None))
        assert told in caught.value.sentence and "<" not in caught.value.sentence


# Who that is


@pytest.mark.parametrize(
    ("rule", "claims", "email"),
    [
        (Email.VERIFIED, {"email": "a@b.c", "email_verified": True}, "a@b.c"),
        (Email.VERIFIED, {"email": "a@b.c", "email_verified": "true"}, "a@b.c"),
        (Email.VERIFIED, {"email": "a@b.c", "email_verified": False}, ""),
        (Email.VERIFIED, {"email": "a@b.c", "email_verified": "false"}, ""),
        (Email.VERIFIED, {"email": "a@b.c"}, ""),
        (Email.VERIFIED, {"email": ["a@b.c"], "email_verified": True}, ""),
        (Email.HOSTED, {"email": "a@gmail.com", "email_verified": True}, "a@gmail.com"),
        (Email.HOSTED, {"email": "a@b.c", "email_verified": True, "hd": "b.c"}, "a@b.c"),
        (Email.HOSTED, {"email": "a@b.c", "email_verified": True}, ""),
        (Email.HOSTED, {"email": "a@evilgmail.com", "email_verified": True}, ""),
        (Email.NEVER, {"email": "a@b.c", "email_verified": True}, ""),
    ],
    ids=range(11),
)
def test_an_address_is_believed_by_the_providers_rule(rule, claims, email):
    """An unverified address is what somebody typed."""
    assert flow.believed_email(replace(KINDS["generic"], email=rule), claims) == email


@pytest.mark.parametrize(
    ("name", "claims", "groups"),
    [
        ("groups", {"groups": ["a", "b"]}, ("a", "b")),
        ("groups", {"groups": "a"}, ("a",)),
        ("groups", {"groups": ""}, ()),
        ("groups", {"groups": ["a", 5, None]}, ("a",)),
        ("groups", {}, ()),
        ("groups", {"groups": {"a": 1}}, ()),
        ("realm_access.roles", {"realm_access": {"roles": ["r"]}}, ("r",)),
        ("realm_access.roles", {"realm_access.roles": ["flat"]}, ("flat",)),
        ("realm_access.roles", {"realm_access": 5}, ()),
    ],
    ids=range(9),
)
def test_groups_come_from_the_rows_claim(name, claims, groups):
    """A list, one string, or within another claim."""
    made = replace(PROVIDER, kind=replace(KINDS["generic"], groups=name))

    assert flow.groups_of(made, claims) == groups


def test_ssr_3_too_many_groups_are_a_refusal_and_never_a_fetch():
    """Entra's overage, for the claim that groups are read from."""
    entra = replace(PROVIDER, kind=KINDS["entra"])
    pointer = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "x"}}}
    with pytest.raises(LoginError) as caught:
        flow.refuse_overage(entra, pointer)

    assert caught.value.reason is errors.GROUPS_OVERAGE
    flow.refuse_overage(entra, {"_claim_names": {"address": "src1"}})
    flow.refuse_overage(PROVIDER, pointer)


def test_oid_11_userinfo_adds_and_never_overrides():
    """Same subject; what was signed stays."""
    claims = {"sub": "u", "iss": "i", "aud": "a", "exp": 1, "name": "signed"}
    info = {"sub": "u", "aud": "x", "exp": 9, "name": "other", "groups": ["g"], "nonce": "n"}

    assert flow.merge_userinfo(claims, info) == {**claims, "groups": ["g"]}
    for sub in ("v", "", None, ["u"], "U"):
        with pytest.raises(LoginError):
            flow.merge_userinfo(claims, {**info, "sub": sub})
        with pytest.raises(LoginError):
            flow.renewed_by_userinfo(claims, {**info, "sub": sub})


def test_ses_7_userinfo_after_a_refresh_replaces_the_person_and_not_the_protocol():
    """A group that was taken away is away."""
    old = {"sub": "u", "iss": "i", "exp": 1, "groups": ["g", "h"], "team": "x"}

    assert flow.renewed_by_userinfo(old, {"sub": "u", "groups": ["g"], "exp": 9}) == {
        "sub": "u",
        "iss": "i",
        "exp": 1,
        "groups": ["g"],
    }


def test_userinfo_is_asked_only_where_the_row_says_so():
    """Okta: where policies speak of groups that the token left out."""
    okta = replace(PROVIDER, kind=KINDS["okta"])
    always = replace(PROVIDER, kind=replace(KINDS["generic"], userinfo=Userinfo.ALWAYS))

    assert flow.asks_userinfo(okta, {}, {"groups"})
    assert not flow.asks_userinfo(okta, {"groups": []}, {"groups"})
    assert not flow.asks_userinfo(okta, {}, {"email"})
    assert not flow.asks_userinfo(PROVIDER, {}, {"cognito:groups"})
    assert flow.asks_userinfo(always, {}, ())


# The way out


@pytest.mark.parametrize(
    ("logout", "id_token", "expected"),
    [
        (Logout.COGNITO, "T", {"client_id": "gateway", "logout_uri": "https://gw/out"}),
        (Logout.OIDC, "T", {"id_token_hint": "T", "post_logout_redirect_uri": "https://gw/out"}),
        (Logout.OIDC, None, {"client_id": "gateway", "post_logout_redirect_uri": "https://gw/out"}),
    ],
)
def test_red_4_each_style_of_logout_returns_to_the_one_registered_page(logout, id_token, expected):
    """Nothing of a request is in it."""
    made = replace(PROVIDER, kind=replace(KINDS["generic"], logout=logout))
    url = flow.logout_url(made, METADATA, signed_out="https://gw/out", id_token=id_token)

    assert url.startswith("https://id.example/logout?")
    assert dict(parse_qsl(urlsplit(url).query)) == expected


def test_where_the_provider_cannot_sign_out_the_page_is_ours():
    """Google, no endpoint, or nothing known of the provider."""
    local = replace(PROVIDER, kind=KINDS["google"])
    silent = replace(METADATA, end_session_endpoint="")
    for made, metadata in [(local, METADATA), (PROVIDER, silent), (PROVIDER, None)]:
        url = flow.logout_url(made, metadata, signed_out="https://gw/out", id_token="T")
        assert url == "https://gw/out"

"""What is granted is what is shown, with the reason (UI-3, UI-4, UI-41)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Opener, row
from tests.ui.world import World


@pytest.mark.parametrize(
    ("person", "places"),
    [
        (
            "ada",
            [
                "archive",
                "home",
                "inbox",
                "lab-one",
                "lab-two",
                "shared deep/er/place",
                "shared public",
                "team-data",
            ],
        ),
        ("bob", ["archive", "home", "inbox", "shared deep/er/place", "shared public", "team-data"]),
    ],
)
def test_ui_3_the_rail_is_what_was_granted(
    opened: Opener, world: World, person: str, places: list[str]
) -> None:
    """Each location with its rights and the reason for them."""
    page = opened(person=person)
    rail = page.get_by_role("navigation", name="Locations")

    found = rail.locator("ul").first.locator(".location .label").all_inner_texts()
    assert [re.sub(r"\s+", " ", name) for name in found] == places
    expect(rail.get_by_role("link", name="home")).to_have_accessible_description(
        re.compile(
            "read, write and delete, because cognito:groups contains staff, rule “home folders”"
        )
    )
    assert bool([s for s in world.s3.seen if s.path == "/"]) == (
        person == "ada"
    )  # ListBuckets for patterns only


def test_ui_3_one_location_opens_at_once(opened: Opener) -> None:
    """Nobody has to choose from one."""
    page = opened(person="cleo")

    expect(row(page, "2024/")).to_be_visible()
    assert page.url.endswith("/ui/b/archive/")


def test_ui_3_no_storage_names_the_groups(opened: Opener) -> None:
    """Who has nothing reads which groups were received, and can sign out."""
    page = opened(person="nil")

    expect(
        page.get_by_text(
            "You are signed in as nil@example.com, but no storage is mapped to you. Groups received: strangers."
        )
    ).to_be_visible()
    expect(page.get_by_role("button", name="Copy details")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_ui_3_levels_above_a_granted_prefix_are_drawn_from_the_grant(
    opened: Opener, world: World
) -> None:
    """No request is made for what may not be listed."""
    page = opened("/ui/b/shared/")

    expect(row(page, "deep/")).to_be_visible()
    expect(row(page, "public/")).to_be_visible()
    assert not [s for s in world.s3.seen if s.query.get("list-type")]


def test_ui_4_a_disabled_action_names_the_permission(opened: Opener) -> None:
    """It stays visible, and says what is missing and what one has."""
    page = opened("/ui/b/archive/2024/")
    row(page, "summary.csv").locator(".check").click()
    button = page.get_by_role("toolbar").get_by_role("button", name="Delete")

    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_accessible_description(
        re.compile(r"You need delete \(s3:DeleteObject\) on archive/2024/\.")
    )
    expect(
        page.get_by_role("toolbar").get_by_role("button", name="Download")
    ).not_to_have_attribute("aria-disabled", "true")


def test_ui_4_a_deny_is_named_by_its_rule(opened: Opener) -> None:
    """What a rule forbids is said in that rule's name."""
    page = opened("/ui/b/team-data/final/")
    row(page, "report.txt").locator(".check").click()

    expect(
        page.get_by_role("toolbar").get_by_role("button", name="Delete")
    ).to_have_accessible_description(
        re.compile("forbidden on team-data/final/ by the rule “nobody deletes what is final”")
    )


def test_ui_41_a_storage_that_is_away_is_tried_again(opened: Opener, world: World) -> None:
    """The words count down; Try now asks at once."""
    rule = world.s3.bend(lambda s: "list-type" in s.query, status=503, code="ServiceUnavailable")
    page = opened("/ui/b/team-data/")
    expect(
        page.get_by_text(re.compile(r"The storage does not answer\. Trying again in \d+ s\."))
    ).to_be_visible()
    rule.times = 0

    page.get_by_role("button", name="Try now").click()

    expect(row(page, "README.md")).to_be_visible()


def test_ui_41_an_unknown_place_is_refused_in_words(opened: Opener) -> None:
    """What is needed, what one has, which groups were received, the request id."""
    page = opened("/ui/b/archive-secret/", person="cleo")

    expect(page.locator(".banner.error")).to_contain_text(
        "You need list (s3:ListBucket) on archive-secret/."
    )
    expect(page.locator(".banner.error")).to_contain_text("Groups received: auditors")
    expect(page.locator(".banner.error .id")).to_have_text(re.compile(r"\w{6,}"))


def test_ui_41_an_empty_folder_says_what_can_be_done(opened: Opener, world: World) -> None:
    """With and without the right to write."""
    world.s3.put("acme-archive", "empty/", b"")
    world.s3.put("acme-team", "empty/", b"")
    page = opened("/ui/b/team-data/empty/")
    expect(page.locator(".empty")).to_have_text(
        re.compile(r"No objects under empty/\.\s*Drop files here, or Upload\.")
    )

    page.goto("/ui/b/archive/empty/")

    expect(page.locator(".empty")).to_contain_text("You can read here, not upload.")


def test_ui_41_offline_is_said_and_passes(opened: Opener) -> None:
    """The bar goes by itself."""
    page = opened("/ui/b/team-data/")
    page.context.set_offline(True)
    expect(page.locator(".banner", has_text="You are offline. Uploads wait.")).to_be_visible()

    page.context.set_offline(False)

    expect(page.locator(".banner")).to_have_count(0)


def test_ui_41_a_refused_address_says_what_is_missing_without_a_script(
    opened: Opener, world: World
) -> None:
    """An object's own address, opened by somebody who may not: permission, place, groups, request."""
    page = opened(
        "/team-data/reports/2026/q3.csv", person="nil", wait=False, java_script_enabled=False
    )

    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    details = page.get_by_role("region", name="Details")
    for words in ("s3:GetObject", "team-data/reports/2026/q3.csv", "strangers", "Nil Nobody"):
        expect(details).to_contain_text(words)
    expect(details.get_by_role("definition").last).to_have_text(re.compile(r"^[0-9A-F]{16}$"))
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()

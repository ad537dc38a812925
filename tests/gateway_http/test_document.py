"""The OpenAPI document: whole, true, and shown without the internet."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest
from playwright.async_api import async_playwright

from browser_support import found_browser

EVERYWHERE = {"403", "421", "429"}


@dataclass
class Operation:
    """One operation of the document."""

    name: str
    told: dict[str, Any]

    def contents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every body that it takes or gives, with where that stands."""
        parts = {"takes": self.told.get("requestBody", {}), **self.told["responses"]}
        for place, part in parts.items():
            for mime, content in part.get("content", {}).items():
                yield f"{self.name} {place} {mime}", content


@pytest.fixture
async def document(gateway):
    return (await gateway.http.get("/openapi.json")).json()


@pytest.fixture
def operations(document):
    return [
        Operation(f"{method.upper()} {path}", told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def test_every_operation_says_what_it_is_and_for_whom(document, operations):
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    names = [each.told["operationId"] for each in operations]

    assert len(set(names)) == len(names) == len(operations) > 50
    for name in names:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name)
    for each in operations:
        assert set(each.told["tags"]) <= tags, each.name
        assert 0 < len(each.told["summary"]) < 100, each.name
        assert each.told["security"], each.name
        for way in each.told["security"]:
            assert way.keys() <= document["components"]["securitySchemes"].keys()


def test_every_answer_is_described(operations):
    for each in operations:
        answers = each.told["responses"]
        assert answers.keys() >= EVERYWHERE, each.name
        assert ("401" in answers) == ({} not in each.told["security"]) or (
            each.name == "POST /auth/login"
        ), each.name
        for status, answer in answers.items():
            where = (each.name, status)
            assert answer["description"] not in {"", "Successful Response"}, where
            assert "X-Request-Id" in answer["headers"], where
            assert ("Retry-After" in answer["headers"]) >= (status == "429"), where


def test_every_body_has_an_example_that_its_schema_takes(document, operations):
    seen = 0
    for each in operations:
        for where, content in each.contents():
            if "binary" in str(content["schema"]) and "example" not in content:
                continue
            rules = {**content["schema"], "components": document["components"]}
            given = content.get("examples", {"": {"value": content.get("example")}})
            for example in given.values():
                assert not wrong(rules, example["value"]), where
                seen += 1
    assert seen > 500


def wrong(rules, value):
    checked = jsonschema_rs.Draft202012Validator(rules)
    return [str(error)[:300] for error in checked.iter_errors(value)]


def test_nothing_is_pointed_to_that_is_not_there(document):
    pointers = set(re.findall(r"'\$ref': '#/([^']+)'", str(document)))
    assert len(pointers) > 80
    for pointer in pointers:
        found = document
        for part in pointer.split("/"):
            found = found[part]
    assert "HTTPValidationError" not in str(document)
    assert not re.search(r"'(ge|le|gt|lt)':", str(document))
    assert not [name for name in document["components"]["schemas"] if "__" in name]


def test_what_a_create_answers_leads_on(document):
    links = document["paths"]["/api/v1/tasks"]["post"]["responses"]["201"]["links"]
    assert {"tasks_read", "tasks_cancel", "tasks_video"} <= links.keys()
    assert links["tasks_read"]["parameters"] == {"task": "$response.body#/task_id"}


async def test_every_example_of_a_body_is_taken(door, operations):
    """The document's own words must not be refused for what they say."""
    for each in operations:
        content = each.told.get("requestBody", {}).get("content", {})
        given = content.get("application/json", {})
        examples = given.get("examples", {"": {"value": given.get("example")}})
        for example in examples.values() if given else ():
            method, path = re.sub(r"\{.*?\}", "none", each.name).split()
            asked = {"json": example["value"], "headers": {"prefer": "wait=0"}}
            answer = await door.admin.request(method, path, **asked)
            where = (each.name, answer.text)
            assert answer.status_code not in {400, 413, 415, 422}, where


async def test_the_page_holds_nothing_from_elsewhere(gateway):
    page = await gateway.http.get("/docs")
    policy = page.headers["content-security-policy"]

    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert not re.search(r"https?://", page.text + policy)
    for path in re.findall(r'(?:href|src)="(/[^"]+)"', page.text):
        file = await gateway.http.get(path)
        assert (file.status_code, file.headers["etag"] != "") == (200, True)
        assert file.headers["x-content-type-options"] == "nosniff"


@pytest.mark.browser
async def test_a_browser_without_the_internet_shows_every_operation(
    gateway, operations
):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found_browser(),
            chromium_sandbox=False,
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        page = await browser.new_page(viewport={"width": 1200, "height": 1400})
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{gateway.url}/docs")
        await page.wait_for_selector(".opblock-tag", timeout=30_000)
        for tag in await page.query_selector_all('.opblock-tag[data-is-open="false"]'):
            await tag.click()
        shown = await page.locator(".opblock-summary-path").count()
        await browser.close()

    assert shown == len(operations)
    assert said == []
    assert {url.split("/")[2] for url in asked if not url.startswith("data:")} == {
        f"127.0.0.1:{gateway.app.port}"
    }

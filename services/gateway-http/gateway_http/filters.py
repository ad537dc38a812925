"""Which tasks are meant: what a list and a batch can be asked for, read strictly.

A misspelt filter must not mean every task, so nothing unknown is passed over.
"""

import re
from typing import Annotated, Any, Self

from fastapi import Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from contracts.requests import TaskFilter
from contracts.values import Kind, Status
from gateway_http.fields import Moment, Text, Word
from gateway_http.problems import field_error, invalid
from jimeng import InvalidJob, find_model

_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Refuse what is no plain number: "1_0", "1.0" and true would pass otherwise."""
    if isinstance(value, bool | float):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's way
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("must be a whole number, in digits")
    return value


def _yes_or_no(value: Any) -> Any:
    if not isinstance(value, bool) and value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value


def _known(name: str) -> str:
    try:
        return find_model(name).name
    except InvalidJob as error:
        raise ValueError(error.text) from None


Number = Annotated[int, BeforeValidator(_number)]
YesNo = Annotated[bool, BeforeValidator(_yes_or_no)]


class Filter(BaseModel):
    """What tasks must fit; all that is given, together."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[list[Status], BeforeValidator(_one_or_more)] = Field(
        [], description="One or more.", max_length=7
    )
    kind: Kind | None = None
    model: Annotated[Word, AfterValidator(_known)] | None = Field(
        None, description="By any of its names.", examples=["seedance-2.0"]
    )
    key: Word | None = Field(None, description="The id of the API key they are of.")
    owner: Annotated[Text, StringConstraints(min_length=1, max_length=200)] | None = (
        Field(None, description="Whose they are.", examples=["key:1"])
    )
    created_from: Moment | None = Field(
        None, description="RFC 3339.", examples=["2026-01-31T12:00:00Z"]
    )
    created_before: Moment | None = None
    finished_from: Moment | None = None
    finished_before: Moment | None = None
    text: Annotated[Text, StringConstraints(min_length=1, max_length=200)] | None = (
        Field(None, description="Is somewhere in the prompt.", examples=["fox"])
    )
    retried: YesNo | None = Field(None, description="Whether there is a retry of it.")

    @model_validator(mode="after")
    def _one_owner(self) -> Self:
        if self.key is not None and self.owner is not None:
            raise ValueError("give either `key` or `owner`")
        return self

    @property
    def wanted(self) -> TaskFilter:
        """What the scheduler is asked for."""
        same = {"kind", "created_from", "created_before", "text", "retried"}
        same |= {"finished_from", "finished_before"}
        return TaskFilter(
            statuses=tuple(self.status),
            models=find_model(self.model).names if self.model else (),
            owner=f"key:{self.key}" if self.key else self.owner,
            **self.model_dump(include=same),
        )


class Listing(Filter):
    """A list's whole query."""

    limit: Annotated[Number, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None


def once_each(request: Request) -> None:
    """Refuse a query that says something twice, `status` aside. Raises Problem."""
    given = [name for name, _ in request.query_params.multi_items()]
    twice = {name for name in given if given.count(name) > 1} - {"status"}
    if twice:
        raise invalid([field_error([name], "is given twice") for name in sorted(twice)])

"""Routes that say no as the family does."""

from fastapi import Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from gateway_http.family.codes import failure, of_problem
from gateway_http.problems import Problem, ProblemBody, body_of, headers_of


class FamilyError(ProblemBody):
    """A no: the family's three members, then ours."""

    code: int
    message: str
    data: None = None


class FamilyRoute(APIRoute):
    """A route whose problems are told in the family's form."""

    refusal = FamilyError

    @staticmethod
    def tell(problem: Problem, request_id: str) -> Response:
        """Write a problem as the family's clients read it."""
        status, code = of_problem(problem)
        body = failure(code, problem.detail, **body_of(problem, request_id))
        return JSONResponse(body, status, headers_of(problem))

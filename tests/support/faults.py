"""Which request gets which fault: a plan of rules, and a pure choice by ordinal, prompt, try, seed and load."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

FaultName = Literal[
    "http",  # `status`, an OpenAI error body with `code`, and Retry-After where `retry_after_s` is set
    "hang",  # never answers
    "reset",  # TCP reset instead of an answer
    "reset_mid_body",  # half of the announced body, then a TCP reset
    "truncated_json",  # the HTTP body is whole, the JSON in it stops half way
    "invalid_json",  # 200 application/json that is no JSON at all
    "empty_choices",  # "choices": []
    "html",  # 200 text/html, as a proxy's login or error page
    "huge_body",  # valid JSON of `megabytes`, chunked, so that no Content-Length warns
    "slow_body",  # the right answer, dripped over `duration_ms`
    "null_content",  # "content": null
    "finish_length",  # half of the text, "finish_reason": "length"
    "finish_content_filter",  # empty text, "finish_reason": "content_filter"
    "no_usage",  # the right answer without "usage"
    "tool_calls",  # null content and one tool call
    "prose",  # a text that keeps no format
]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule: the fault, when it strikes (all conditions that are set must hold; none set: always) and how it looks.

    Attributes:
        fault: What goes wrong.
        ordinals: Requests by their number since the plan began, from 1.
        probability: Share of tries. The draw depends on seed, rule, prompt and try alone, not on the order of arrival.
        contains: The prompt has this substring.
        first_tries: The first k tries of each prompt.
        above_in_flight: More than this many requests are being answered, this one included.
        status: HTTP status of `http`.
        code: OpenAI error code of `http`, for example `content_filter`; empty: the usual one of the status.
        retry_after_s: Retry-After header of `http`.
        retry_after_form: As delay in seconds or as HTTP-date (whole seconds, rounded up).
        megabytes: Size of `huge_body`.
        duration_ms: Time that `slow_body` takes.
    """

    fault: FaultName
    ordinals: frozenset[int] = frozenset()
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    contains: str = ""
    first_tries: int = 0
    above_in_flight: int = 0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 500
    code: str = ""
    retry_after_s: float | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    megabytes: Annotated[float, msgspec.Meta(gt=0)] = 64.0
    duration_ms: Annotated[float, msgspec.Meta(ge=0)] = 1000.0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules in order; the first that matches a request strikes."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0


class PlanState:
    """A plan and what has been counted since it began."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ordinal = 0
        self.tries: dict[bytes, int] = {}

    def choose(self, prompt: str, digest: bytes, in_flight: int) -> Fault | None:
        """Count a request and name its fault.

        Args:
            prompt: Text of the last user message.
            digest: SHA-256 of it.
            in_flight: Requests being answered, this one included.
        """
        if not self.plan.faults:
            return None
        self.ordinal += 1
        attempt = self.tries[digest] = self.tries.get(digest, 0) + 1
        for index, fault in enumerate(self.plan.faults):
            if fault.ordinals and self.ordinal not in fault.ordinals:
                continue
            if fault.contains and fault.contains not in prompt:
                continue
            if fault.first_tries and attempt > fault.first_tries:
                continue
            if fault.above_in_flight and in_flight <= fault.above_in_flight:
                continue
            if fault.probability is not None and draw(self.plan.seed, index, digest, attempt) >= fault.probability:
                continue
            return fault
        return None


def draw(seed: int, rule: int, digest: bytes, attempt: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    key = b"%d:%d:%d:" % (seed, rule, attempt)
    return int.from_bytes(hashlib.blake2b(key + digest, digest_size=8).digest()) / 2**64

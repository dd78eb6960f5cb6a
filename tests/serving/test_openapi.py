"""Every request that the OpenAPI page allows, and many that it does not, in machine-made variety."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

schemathesis = pytest.importorskip("schemathesis")

from samcli.serving.gate import Rules  # noqa: E402
from samcli.serving.http.app import application  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def offered(desk):
    return schemathesis.openapi.from_asgi("/openapi.json", application(desk, Rules(most_bytes=1 << 20, local=False)))


schema = schemathesis.pytest.from_fixture("offered")


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case):
    """No 500, no status that is not described, and nothing wrong taken for right."""
    case.call_and_validate()

"""Every request that the OpenAPI page allows, and many that it does not, in machine-made variety."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samcli.serving.gate import Rules

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]
OPERATIONS = 7


def test_answers_are_as_described(desk):
    """No 500, no status that is not described, and nothing wrong taken for right."""
    schemathesis = pytest.importorskip("schemathesis")  # here, for it takes seconds to import
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    from samcli.serving.http.app import application

    described = schemathesis.openapi.from_asgi(
        "/openapi.json", application(desk, Rules(most_bytes=1 << 20, local=False))
    )
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) == OPERATIONS
    modes = schemathesis.GenerationMode

    for operation in operations:
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in (modes.POSITIVE, modes.NEGATIVE)))

        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(cases)
        def asked(case: Any) -> None:
            # Bytes of the right kind are seldom sound.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        asked()

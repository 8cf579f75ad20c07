"""No field of a run's body without a test that fails when it is ignored."""

import re

from deerflow.api.wire.runs import RunCommand, RunConfig, RunCreate
from deerflow.settings import ROOT
from tests.conformance.test_every_field import PROVEN

WITHIN = {"command": RunCommand, "config": RunConfig}


def test_every_field_is_proven() -> None:
    """The list of proofs names each field, within ``command`` and ``config`` too, and nothing else."""
    fields = set(RunCreate.model_fields) - WITHIN.keys()
    fields |= {f"{outer}.{inner}" for outer, shape in WITHIN.items() for inner in shape.model_fields}
    assert set(PROVEN) == fields


def test_proofs_are_there() -> None:
    """Each proof is a test that exists."""
    for proof in PROVEN.values():
        file, name = proof.split("::")
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), proof

"""An embedding whose answers can be foretold: how much a text speaks of each of three colours."""

import asyncio
from collections.abc import Sequence

COLOURS = ("red", "green", "blue")


async def embed(texts: Sequence[str]) -> list[list[float]]:
    if any("unembeddable" in text for text in texts):
        raise OSError("the secret address of the model does not answer")
    if any("endless" in text for text in texts):
        await asyncio.sleep(60)
    if any("flat" in text for text in texts):
        return [[1.0] for _ in texts]
    return [[text.count(colour) + 0.001 for colour in COLOURS] for text in texts]

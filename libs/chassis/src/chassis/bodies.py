"""Bodies of answers that others give us, read to their end and no further than we allow."""

import aiohttp


async def whole(content: aiohttp.StreamReader, bytes_max: int) -> bytes:
    """All of it; raises `ValueError` for more than `bytes_max`.

    `StreamReader.read` gives what has arrived so far, which on a busy machine is a part.
    """
    found = bytearray()
    async for chunk in content.iter_any():
        found += chunk
        if len(found) > bytes_max:
            raise ValueError(f"more than {bytes_max} bytes")
    return bytes(found)

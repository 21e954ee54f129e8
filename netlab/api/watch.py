"""Watches: the changes of a resource as a stream of JSON lines."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from netlab.api.forms import Form
from netlab.api.objects import ADDED, DELETED, MODIFIED, Event, Objects
from netlab.api.resources import Key, Resource
from netlab.api.select import is_true, matcher
from netlab.api.status import bad
from netlab.api.status import status as status_object
from netlab.cli.kinds.kind import Item

_SECONDS = 1800.0  # a watch without timeoutSeconds; the API server's own is 30 to 60 minutes


async def watch(
    request: web.Request, resource: Resource, namespace: str | None, objects: Objects, form: Form
) -> web.StreamResponse:
    """Answer a watch until its time is over, the client goes or the lab goes."""
    query = request.query
    selected = matcher(query)
    seconds = _number(query.get("timeoutSeconds", ""), _SECONDS)
    version = query.get("resourceVersion", "")
    initial = is_true(query.get("sendInitialEvents"))
    known: set[Key] = set()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    queue = objects.subscribe()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    def wanted(key: Key) -> bool:
        return key[:2] == (resource.group, resource.plural) and namespace in (None, key.namespace)

    async def send(event: str, data: Item) -> None:
        await response.write(json.dumps({"type": event, "object": data}).encode() + b"\n")

    async def changed(event: str, item: Item) -> None:
        metadata = {"resourceVersion": item["metadata"]["resourceVersion"]}
        await send(event, form([item], metadata, True))

    async def take(event: Event) -> None:
        """An object that is selected no longer is deleted for this client, and one that now is has been added."""
        if not wanted(event.key):
            return
        had, has = event.key in known, event.type != DELETED and selected(event.item)
        if has:
            known.add(event.key)
            await changed(MODIFIED if had else ADDED, event.item)
        elif had:
            known.discard(event.key)
            await changed(DELETED, event.item)

    try:
        await response.prepare(request)
        now = {key: item for key, item in objects.of(resource.group, resource.plural).items()
               if wanted(key) and selected(item)}  # fmt: skip
        last = objects.version
        if version in ("", "0") or initial:
            for key, item in now.items():
                known.add(key)
                await changed(ADDED, item)
            if initial:
                await send("BOOKMARK", _bookmark(resource, last))
        else:
            since = int(_number(version, -1.0))
            if not objects.oldest <= since <= last:
                message = f"too old resource version: {version} ({objects.version})"
                await send("ERROR", status_object(410, "Expired", message))
                return response
            missed = [event for event in objects.since(since) if wanted(event.key)]
            # What the client knows: all that is there now, but for what came since, and with what went since.
            known |= now.keys()
            for event in reversed(missed):
                if event.type == ADDED:
                    known.discard(event.key)
                else:
                    known.add(event.key)
            for event in missed:
                await take(event)
        while True:
            came = await asyncio.wait_for(queue.get(), max(0.01, end - loop.time()))
            if came is None:
                return response
            if came.version > last:
                await take(came)
    except (TimeoutError, ConnectionError):
        return response
    finally:
        objects.unsubscribe(queue)


def _bookmark(resource: Resource, version: int) -> Item:
    annotations = {"k8s.io/initial-events-end": "true"}
    metadata = {"resourceVersion": str(version), "creationTimestamp": None, "annotations": annotations}
    return {"kind": resource.name, "apiVersion": resource.api_version, "metadata": metadata}


def _number(text: str, default: float) -> float:
    if not text:
        return default
    if not text.isdecimal():
        raise bad(f"{text!r} is no number")
    return float(text)

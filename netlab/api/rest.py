"""REST: reads from memory, writes one after the other in the worker thread."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web

from netlab.api import fields, reviews
from netlab.api.body import decoded
from netlab.api.forms import form
from netlab.api.lab import RunningLab
from netlab.api.metadata import check
from netlab.api.objects import Objects
from netlab.api.patch import applied as server_side_applied
from netlab.api.patch import json_patch, merge, strategic
from netlab.api.resources import RESOURCES, Key, Resource
from netlab.api.select import is_true, matcher
from netlab.api.status import MODIFIED, Refused, bad, conflict, exists, no_resource, not_allowed, not_found
from netlab.api.status import status as status_object
from netlab.api.tokens import Tokens
from netlab.api.watch import watch
from netlab.api.write import Manager, Writer, Written, generated
from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.times import stamp
from netlab.errors import NetlabError
from netlab.model.workloads import systempods
from netlab.runtime.state.rundir import ChangedMeanwhile

T = TypeVar("T")
#: Resources whose objects depend on what the nodes' kernels have.
_LOOKED = ("pods", "nodes", "daemonsets", "events")
_COMPACT = ",", ":"
_LOOK_PAUSE = 0.05  # seconds between two looks, at least
_GRACE_MAX = 10**9  # seconds
_ATTEMPTS = 20  # of an update, while other commands change the lab


def answer(data: Any, code: int = 200, warnings: tuple[str, ...] = ()) -> web.Response:
    """A JSON answer, with kubectl's warnings."""
    response = web.Response(text=json.dumps(data, separators=_COMPACT), status=code, content_type="application/json")
    for warning in warnings:
        quoted = " ".join(warning.split()).replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted[:900]}"')
    return response


class Rest:
    """The objects of a lab over HTTP.  ``special`` answers subresources of Pods: exec, log and the like."""

    def __init__(self, lab: RunningLab, objects: Objects, special: Mapping[str, Callable[..., Any]]) -> None:
        self.lab, self.objects, self.special = lab, objects, special
        self.writer = Writer(lab)
        self.worker = ThreadPoolExecutor(1, "lab")
        self.tokens = Tokens()
        self._writing = asyncio.Lock()
        self._look_after = 0.0

    async def work(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run a function of the lab in the worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, lambda: function(*arguments, **options))

    async def refresh(self, *, look: bool = False) -> None:
        """Read the lab again, where it changed; with ``look`` also the nodes' kernels.  Raises BadInput where it is down."""
        began = time.monotonic()
        look = look and began >= self._look_after
        async with self._writing:  # else what was read before a write could be taken for newer than it
            items = await self.work(self.lab.read_changed, look=look)
            if items is not None:
                self.objects.replace(items)
            if self.lab.kept.terminating():
                items = await self.work(self.writer.finish)
                if items is not None:
                    self.objects.replace(items)
        if look:  # at most a sixth of a core goes into this, whatever clients ask
            now = time.monotonic()
            self._look_after = now + max(_LOOK_PAUSE, 5 * (now - began))

    async def _look(self, resource: Resource, namespace: str | None) -> None:
        """Look at the nodes before an answer that depends on them; not while a write holds the lab."""
        if resource.plural in _LOOKED and namespace in (None, systempods.NAMESPACE) and not self._writing.locked():
            with contextlib.suppress(NetlabError, OSError):
                await self.refresh(look=True)

    async def begin(self) -> None:
        """Read the lab for the first time."""
        self.objects.replace(await self.work(self.lab.read))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any path of a resource."""
        match = request.match_info
        group, version, plural = match.get("group", ""), match.get("version", "v1"), match["plural"]
        resource = RESOURCES.get((group, version, plural))
        if resource is None:
            raise no_resource()
        namespace, name, subresource = match.get("namespace"), match.get("name", ""), match.get("subresource", "")
        if subresource and subresource not in resource.subresources:
            raise no_resource()
        key = Key(group, plural, (namespace or "") if resource.namespaced else "", name)
        if subresource in self.special:
            return await self.special[subresource](request, key)  # type: ignore[no-any-return]
        if request.method == "GET":
            return await self._get(request, resource, namespace, key, subresource)
        if request.method not in ("POST", "PUT", "PATCH", "DELETE"):
            raise not_allowed(request.method, request.path)
        body = await _body(request)
        if resource.review:
            if request.method != "POST":
                raise not_allowed(request.method, request.path)
            return answer(reviews.answered(resource, body if isinstance(body, dict) else {}), 201)
        async with self._writing:
            if request.method == "POST":
                return await self._post(request, resource, key, subresource, body)
            if request.method == "DELETE":
                return await self._delete(request, resource, namespace, key, body)
            return await self._update(request, resource, key, subresource, body)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _get(
        self, request: web.Request, resource: Resource, namespace: str | None, key: Key, subresource: str
    ) -> web.StreamResponse:
        query, accept = request.query, request.headers.get("Accept", "")
        formed = form(accept, resource, objects=query.get("includeObject") == "Object")
        await self._look(resource, namespace)
        if is_true(query.get("watch")):
            return await watch(request, resource, namespace, self.objects, formed)
        if key.name:
            item = self._there(resource, key)
            if subresource == "scale":
                return answer(scale_of(item))
            return answer(formed([item], {}, True))
        selected = matcher(query)
        items = [
            item
            for each, item in self.objects.of(resource.group, resource.plural).items()
            if (namespace is None or each.namespace == namespace) and selected(item)
        ]
        return answer(formed(items, {"resourceVersion": str(self.objects.version)}, False))

    def _there(self, resource: Resource, key: Key) -> Item:
        item = self.objects.get(key)
        if item is None:
            raise not_found(resource, key.name)
        return item

    # -- writing ------------------------------------------------------------------------------------------------------

    def _written(self, written: Written, code: int, warnings: tuple[str, ...] = (), *, dry: bool) -> web.Response:
        warnings = (*warnings, *written.warnings)
        if dry:
            return answer(written.items[written.key], code, warnings)
        self.objects.replace(written.items)
        item = self.objects.get(written.key)
        if item is None:
            return answer(status_object(200, "", ""))
        return answer(item, code, warnings)

    async def _post(
        self, request: web.Request, resource: Resource, key: Key, subresource: str, body: Any
    ) -> web.Response:
        if not isinstance(body, dict):
            raise bad("the body of the request is no object")
        if subresource == "eviction":
            return await self._remove(resource, key, _grace(body.get("deleteOptions"), {}))
        if subresource == "token":
            return answer(self.tokens.request(body), 201)
        if subresource or key.name:
            raise not_allowed(request.method, request.path)
        _same_type(resource, body)
        given = body.get("metadata") or {}
        metadata = body["metadata"] = dict(given) if isinstance(given, dict) else {}
        if metadata.get("namespace") not in (None, "", key.namespace):
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise bad(message)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generated(str(metadata["generateName"]))
        check(resource, body)
        if resource.namespaced:
            metadata["namespace"] = key.namespace or "default"
        key = key._replace(
            namespace=metadata.get("namespace", "") if resource.namespaced else "", name=metadata["name"]
        )
        if (there := self.objects.get(key)) is not None:
            raise exists(resource, key.name, leaving="deletionTimestamp" in there["metadata"])
        dry = "dryRun" in request.query
        title = f"{resource.name} in version {resource.version!r} cannot be handled as a {resource.name}: "
        body, warnings = _validated(request, resource, body, title.replace("'", '"'))
        written = await self.work(self.writer.create, resource, body, _manager(request, resource, "Update"), dry=dry)
        return self._written(written, 201, warnings, dry=dry)

    async def _update(
        self, request: web.Request, resource: Resource, key: Key, subresource: str, body: Any
    ) -> web.Response:
        """An update of the object as it is: it is worked out again where another command came before it."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._update_once(request, resource, key, subresource, copy.deepcopy(body))
            except ChangedMeanwhile:
                items = await self.work(self.lab.read_changed)
                if items is not None:
                    self.objects.replace(items)
        raise conflict(resource, key.name, MODIFIED)

    async def _update_once(
        self, request: web.Request, resource: Resource, key: Key, subresource: str, body: Any
    ) -> web.Response:
        dry = "dryRun" in request.query
        apply = request.method == "PATCH" and "apply-patch" in request.content_type
        if not key.name:
            raise not_allowed(request.method, request.path)
        old = self.objects.get(key)
        if old is None:
            if not apply or subresource:
                raise not_found(resource, key.name)
            new = self._applied(request, resource, key, {}, body)
            new, warnings = _validated(request, resource, new, "error decoding patch: ")
            manager = _manager(request, resource, "Apply", body)
            new = _placed(resource, key, new)
            check(resource, new)
            written = await self.work(self.writer.create, resource, new, manager, dry=dry)
            return self._written(written, 201, warnings, dry=dry)
        if subresource == "scale":
            return await self._scale(request, resource, key, old, body, dry=dry)
        if subresource == "ephemeralcontainers":
            raise Refused(501, "NotImplemented", "netlab adds no containers to a Pod that runs: netlab shell POD is a shell in its namespaces")  # fmt: skip
        new = body if request.method == "PUT" else self._patched(request, resource, key, old, body)
        if not isinstance(new, dict):
            raise bad("the patched object is no object")
        new, warnings = _validated(request, resource, _placed(resource, key, new), "")
        check(resource, new)
        wanted = new["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise conflict(resource, key.name, MODIFIED)
        if new["metadata"].get("uid") not in (None, "", old["metadata"].get("uid")):
            raise conflict(resource, key.name, "the object was deleted and made again: it has another uid")
        if subresource in ("status", "approval"):
            written = await self.work(self.writer.update_status, key, new)
        elif subresource == "finalize":
            return answer(old)
        else:
            manager = _manager(request, resource, "Apply", body) if apply else _manager(request, resource, "Update")
            written = await self.work(self.writer.update, resource, old, new, manager, dry=dry)
        return self._written(written, 200, warnings, dry=dry)

    def _patched(self, request: web.Request, resource: Resource, key: Key, old: Item, body: Any) -> Any:
        definition = resource.name if resource.kind else ""
        kind = request.content_type
        try:
            if "apply-patch" in kind:
                return self._applied(request, resource, key, old, body)
            if "strategic" in kind:
                return _current(strategic(definition, old, body), body)
            if "json-patch" in kind:
                return json_patch(old, body)
            if "merge-patch" in kind:
                return _current(merge(old, body), body)
        except ValueError as error:
            raise Refused(422, "Invalid", str(error)) from error
        raise Refused(415, "UnsupportedMediaType", f"a patch of type {kind} is not known")

    def _applied(self, request: web.Request, resource: Resource, key: Key, old: Item, body: Any) -> Item:
        """Server-side apply."""
        manager = request.query.get("fieldManager", "")
        if not manager:
            raise bad("fieldManager is required for apply patch")
        if not isinstance(body, dict):
            raise bad("the body of the request is no object")
        _same_type(resource, body)
        if isinstance(body.get("metadata"), dict):
            body["metadata"].pop("managedFields", None)
        beside = self.lab.kept.objects.get(key)
        before = beside.applied.get(manager) if beside is not None and old else None
        made: Item = server_side_applied(resource.name if resource.kind else "", old, before, body)
        current: Item = _current(made, body)
        return current

    async def _scale(
        self, request: web.Request, resource: Resource, key: Key, old: Item, body: Any, *, dry: bool
    ) -> web.Response:
        scale = scale_of(old)
        wanted = merge(scale, body) if request.method == "PATCH" else body
        replicas = (wanted.get("spec") or {}).get("replicas", 0) if isinstance(wanted, dict) else None
        if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
            raise Refused(422, "Invalid", f"Scale {key.name} is invalid: spec.replicas: a number from 0")
        new = {**old, "spec": {**old["spec"], "replicas": replicas}}
        written = await self.work(self.writer.update, resource, old, new, None, dry=dry)
        if not dry:
            self.objects.replace(written.items)
        return answer(scale_of(self.objects.get(key) or new))

    async def _delete(
        self, request: web.Request, resource: Resource, namespace: str | None, key: Key, body: Any
    ) -> web.Response:
        dry = "dryRun" in request.query or bool(isinstance(body, dict) and body.get("dryRun"))
        grace = _grace(body, request.query)
        if key.name:
            old = self._there(resource, key)
            wanted = (body.get("preconditions") or {}).get("uid") if isinstance(body, dict) else None
            if wanted and wanted != old["metadata"].get("uid"):
                raise conflict(resource, key.name, f"the UID in the precondition ({wanted}) does not match")
            return answer(old) if dry else await self._remove(resource, key, grace)
        selected = matcher(request.query)
        chosen = [
            (each, item)
            for each, item in list(self.objects.of(resource.group, resource.plural).items())
            if (namespace is None or each.namespace == namespace) and selected(item)
        ]
        if not dry:
            for each, item in chosen:
                written = await self.work(self.writer.delete, each, item, grace)
                self.objects.replace(written.items)
        metadata = {"resourceVersion": str(self.objects.version)}
        name = f"{resource.name}List"
        items = [item for _, item in chosen]
        return answer({"kind": name, "apiVersion": resource.api_version, "metadata": metadata, "items": items})

    async def _remove(self, resource: Resource, key: Key, grace: int | None) -> web.Response:
        old = self._there(resource, key)
        written = await self.work(self.writer.delete, key, old, grace)
        self.objects.replace(written.items)
        item = self.objects.get(key)
        if item is not None and item["metadata"].get("uid") == old["metadata"].get("uid"):
            return answer(item)  # its finalizers or its processes hold it
        details = {"name": key.name, "kind": resource.plural, "uid": old["metadata"].get("uid", "")}
        return answer(status_object(200, "", "", details))


def _validated(request: web.Request, resource: Resource, item: Item, title: str) -> tuple[Item, tuple[str, ...]]:
    """The object without unknown fields, and warnings of them.  Raises Refused where the client wants it strict."""
    made, unknown = fields.known(resource, item)
    named = [f'unknown field "{path}"' for path in unknown]
    mode = request.query.get("fieldValidation") or "Warn"
    if mode not in ("Strict", "Warn", "Ignore"):
        raise bad(f"fieldValidation: Unsupported value: {mode!r}: supported values: Ignore, Strict, Warn")
    if named and mode == "Strict":
        raise bad(f"{title}strict decoding error: {', '.join(named)}")
    return made, tuple(named) if mode == "Warn" else ()


def _grace(options: Any, query: Mapping[str, str]) -> int | None:
    """The grace period that a client gives, in seconds.  Raises Refused where it is no number from 0."""
    given = options.get("gracePeriodSeconds") if isinstance(options, dict) else None
    given = query.get("gracePeriodSeconds") if given is None else given
    if given is None:
        return None
    if isinstance(given, bool) or not str(given).isdecimal() or not isinstance(given, (int, str)):
        raise bad(f"gracePeriodSeconds: {given!r} is no number of seconds from 0")
    return min(int(given), _GRACE_MAX)


def stamp_now() -> str:
    """The time as the API writes it."""
    return stamp(time.time())


def _current(new: Any, patch: Any) -> Any:
    """A patched object; it depends on the version that it was made of only where the patch says so."""
    if not isinstance(new, dict) or not isinstance(patch, dict) or not isinstance(new.get("metadata"), dict):
        return new
    metadata = dict(new["metadata"])
    if not (patch.get("metadata") or {}).get("resourceVersion"):
        metadata.pop("resourceVersion", None)
    return {**new, "metadata": metadata}


def _placed(resource: Resource, key: Key, item: Item) -> Item:
    """The object under the name and the namespace of its path.  Raises Refused where it has others."""
    given = item.get("metadata") or {}
    if not isinstance(given, dict):
        raise bad("the metadata of the object is no mapping")
    metadata = dict(given)
    for field, value in (("name", key.name), ("namespace", key.namespace)):
        if metadata.get(field) not in (None, "", value):
            raise bad(f"the {field} of the object ({metadata[field]}) does not match the {field} on the URL ({value})")
        if value:
            metadata[field] = value
    _same_type(resource, item)
    return {**item, "metadata": metadata}


def _same_type(resource: Resource, item: Item) -> None:
    version, kind = item.get("apiVersion"), item.get("kind")
    if (version or resource.api_version) != resource.api_version or (kind or resource.name) != resource.name:
        raise bad(f"the object provided is {version} {kind}, and the path is of {resource.api_version} {resource.name}")


def _manager(request: web.Request, resource: Resource, operation: str, applied: Item | None = None) -> Manager:
    """The client of a write; managedFields have names alone."""
    agent = request.headers.get("User-Agent", "unknown").partition("/")[0]
    entry = {
        "manager": request.query.get("fieldManager") or agent,
        "operation": operation,
        "apiVersion": resource.api_version,
        "time": stamp_now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": {},
    }
    return Manager(entry, applied)


def scale_of(item: Item) -> Item:
    """The Scale of a workload."""
    selector = item["spec"].get("selector") or {}
    labels = (
        selector.get("matchLabels", {}) if "matchLabels" in selector or "matchExpressions" in selector else selector
    )
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = item.get("status", {}).get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: item["metadata"][field] for field in kept if field in item["metadata"]},
        "spec": {"replicas": item["spec"].get("replicas", 1)},
        "status": {"replicas": replicas, "selector": ",".join(f"{key}={value}" for key, value in labels.items())},
    }


async def _body(request: web.Request) -> Any:
    """The body of a request; None where it is empty."""
    return decoded(await request.read())

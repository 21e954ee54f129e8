"""Three steps of ``kubernetes_asyncio``."""

import asyncio

from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.stream import WsApiClient
from steps import step


async def names() -> list[str]:
    await config.load_kube_config()
    async with client.ApiClient() as api:
        return [pod.metadata.name for pod in (await client.CoreV1Api(api).list_pod_for_all_namespaces()).items]


async def command() -> str:
    await config.load_kube_config()
    options = {"command": ["hostname"], "stdout": True, "stderr": True, "stdin": False, "tty": False}
    async with WsApiClient() as api:
        return await client.CoreV1Api(api).connect_get_namespaced_pod_exec("client", "default", **options)


async def first_event() -> str:
    await config.load_kube_config()
    async with client.ApiClient() as api:
        pods = client.CoreV1Api(api).list_namespaced_pod
        async with watch.Watch().stream(pods, "default", timeout_seconds=20) as events:
            async for event in events:
                return event["type"]
    return ""


step("list", lambda: "client" in asyncio.run(names()))
step("exec", lambda: asyncio.run(command()) == "client\n")
step("watch", lambda: asyncio.run(first_event()) == "ADDED")

"""An orchestrator in Python: forms a cluster with one JSON object and nothing but a Temporal client.

    python3 -m venv .venv && .venv/bin/pip install -r examples/python/requirements.txt
    .venv/bin/python examples/python/form_a_cluster.py --name translators --capability translate --size 3

Needs a running manager (npm start) and registered agents. The address comes from TEMPORAL_ADDRESS, the namespace from
TEMPORAL_NAMESPACE. Prints the result as JSON. Exit code: 0 formed, 2 invalid request, 6 refused or compensated, 69 Temporal
does not answer.
"""

import argparse
import asyncio
import json
import os
import sys
import uuid

from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError, FailureError


async def form_cluster(client: Client, task_queue: str, request: dict) -> dict:
    """Starts the workflow, or attaches to the running one with the same requestId, and waits for its result."""
    return await client.execute_workflow(
        "formCluster",
        request,
        id=f"formation/{request['requestId']}",
        task_queue=task_queue,
        result_type=dict,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


def refusal_of(error: WorkflowFailureError) -> ApplicationError | None:
    """The refusal at the root of a workflow failure. Its `type` is stable; its details list every problem."""
    cause: BaseException | None = error.cause
    while isinstance(cause, FailureError) and not isinstance(cause, ApplicationError):
        cause = cause.cause
    return cause if isinstance(cause, ApplicationError) else None


def print_refusal(refusal: ApplicationError) -> None:
    problems = refusal.details[0] if refusal.details else []
    if not problems:
        print(f"{refusal.type}: {refusal.message}", file=sys.stderr)
        return
    print(f"{refusal.type}:", file=sys.stderr)
    for problem in problems:
        print(f"  {problem['path']}: {problem['message']}", file=sys.stderr)


async def main() -> int:
    parser = argparse.ArgumentParser(description="Forms a cluster of registered agents.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--capability", action="append", default=[], help="may be repeated")
    parser.add_argument("--size", type=int, help="number of members; default: the minimum of the manager")
    parser.add_argument("--request-id", default=f"op_{uuid.uuid4()}", help="the same id gives the same cluster")
    parser.add_argument("--manager", default="cluster-manager-1", help="the manager's id, which is its task queue")
    options = parser.parse_args()

    request = {
        "requestId": options.request_id,
        "name": options.name,
        "requiredCapabilities": options.capability,
    }
    if options.size is not None:
        request["size"] = {"min": options.size, "desired": options.size, "max": options.size}

    address = os.environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233")
    try:
        client = await Client.connect(address, namespace=os.environ.get("TEMPORAL_NAMESPACE", "default"))
    except RuntimeError as error:
        print(f"Temporal at {address} cannot be reached; start it with npm start ({error})", file=sys.stderr)
        return 69
    try:
        result = await form_cluster(client, options.manager, request)
    except WorkflowFailureError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        print_refusal(refusal)
        return 2 if refusal.type == "InvalidRequest" else 6
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stdout.flush()
    sys.stderr.flush()
    # Exits without the interpreter's teardown, which sometimes crashes while native threads of the SDK still run.
    os._exit(code)

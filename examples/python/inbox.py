"""An agent in Python with the standard library only: it registers, receives messages and replies to them.

    python3 examples/python/inbox.py --id echo-1 --capability echo --messages 3

It sends the data of each message back as an "echo.reply". It leaves after --messages messages, or when it received none for
--patience seconds. The address comes from CLUSTER_MANAGER_URL, the enrolment token from CLUSTER_MANAGER_ENROLMENT_TOKEN.
Prints one JSON object a line. Exit code: 0 done, 3 registration refused, 69 the manager does not answer.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request


class Refused(Exception):
    """A refusal of the manager, with its stable code."""

    def __init__(self, status: int, code: str, detail: str):
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code


class Manager:
    """The HTTP calls of one agent."""

    def __init__(self, url: str, token: str):
        self.url = url.rstrip("/")
        self.token = token

    def call(self, method: str, path: str, body: dict | None = None, timeout: float = 15) -> dict:
        """Makes a call and retries it while the manager does not answer. Every call of this agent is idempotent."""
        for attempt in range(8):
            try:
                return self._once(method, path, body, timeout)
            except Refused as refusal:
                if refusal.status not in (429, 500, 502, 503, 504):
                    raise
                last: Exception = refusal
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                last = error
            time.sleep(random.uniform(0, min(3.0, 0.25 * 2**attempt)))
        raise last

    def _once(self, method: str, path: str, body: dict | None, timeout: float) -> dict:
        headers = {"accept": "application/json", "authorization": f"Bearer {self.token}"}
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            try:
                problem = json.loads(error.read())
            except ValueError:
                problem = {}
            raise Refused(error.code, problem.get("code", "unknown"), problem.get("detail", error.reason)) from None


def log(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def send_heartbeats(manager: Manager, agent_path: str, every: float, stopped: threading.Event) -> None:
    """Renews the lease until stopped. The period varies by a tenth, so that agents do not send heartbeats together."""
    while not stopped.wait(every * random.uniform(0.9, 1.1)):
        try:
            manager.call("POST", f"{agent_path}/heartbeat", {})
        except (Refused, OSError) as error:
            log("error", message=str(error))


def echo(message: dict) -> dict:
    """The reply. Its id is derived from the message: sent again after a crash, it is delivered once."""
    key = f"{message['source']}\n{message['id']}".encode()
    return {
        "id": f"re_{hashlib.sha256(key).hexdigest()[:40]}",
        "to": {"agent": message["replyTo"] or message["source"]},
        "correlationId": message["correlationId"] or message["id"],
        "type": "echo.reply",
        "data": message["data"],
    }


def handle_messages(manager: Manager, agent_path: str, wanted: int, patience: float) -> int:
    """Handles up to `wanted` messages; gives up after `patience` seconds without one. Returns how many it handled."""
    handled = 0
    last = time.monotonic()
    while handled < wanted and time.monotonic() - last < patience:
        wait = max(0, min(20, int(patience - (time.monotonic() - last))))
        query = urllib.parse.urlencode({"max": min(10, wanted - handled), "waitSeconds": wait})
        deliveries = manager.call("GET", f"{agent_path}/inbox?{query}", timeout=wait + 10)["deliveries"]
        for delivery in deliveries:
            message = delivery["message"]
            log("message", id=message["id"], source=message["source"], type=message["type"], data=message["data"])
            # Messages of the manager itself, such as cluster.joined, ask for no reply.
            if not message["type"].startswith("cluster."):
                result = manager.call("POST", "/v1/messages", {"messages": [echo(message)]})["results"][0]
                log("replied", **result)
                handled += 1
            # An unacked message is redelivered when its lease has expired.
            ack = {"leaseToken": delivery["leaseToken"]}
            manager.call("POST", f"/v1/deliveries/{urllib.parse.quote(delivery['id'])}/ack", ack)
            last = time.monotonic()
    return handled


def main() -> int:
    parser = argparse.ArgumentParser(description="An agent that echoes its messages.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--capability", action="append", default=[], help="may be repeated")
    parser.add_argument("--messages", type=int, default=3, help="leaves after this many")
    parser.add_argument("--patience", type=float, default=60, help="leaves after this many seconds without a message")
    options = parser.parse_args()

    url = os.environ.get("CLUSTER_MANAGER_URL", "http://127.0.0.1:8420")
    manager = Manager(url, os.environ.get("CLUSTER_MANAGER_ENROLMENT_TOKEN", ""))
    agent_path = f"/v1/agents/{urllib.parse.quote(options.id)}"
    try:
        registered = manager.call("POST", "/v1/agents", {"id": options.id, "capabilities": options.capability})
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 3
    except OSError as error:
        print(f"The manager at {url} cannot be reached; start it with npm start ({error})", file=sys.stderr)
        return 69
    # The agent's own token is returned only here. All further calls use it.
    manager.token = registered["token"]
    log("registered", incarnation=registered["agent"]["incarnation"])

    stopped = threading.Event()
    heartbeats = threading.Thread(
        target=send_heartbeats, args=(manager, agent_path, registered["heartbeatSeconds"], stopped), daemon=True
    )
    heartbeats.start()
    try:
        handled = handle_messages(manager, agent_path, options.messages, options.patience)
    finally:
        stopped.set()
        manager.call("DELETE", agent_path)
    log("left", handled=handled)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""An agent in Python with the standard library only: it registers, takes its mail and answers it.

    python3 examples/python/inbox.py --id echo-1 --capability echo --messages 3

What it is sent it sends back as "echo.reply" to whom the message says, or to the sender. It leaves after so many
messages, or when none came for --patience seconds. The address comes from CLUSTER_MANAGER_URL, the enrolment token from
CLUSTER_MANAGER_ENROLMENT_TOKEN. Prints one JSON object a line. Exit code: 0 done, 3 the token is refused, 69 the manager
is not there.
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
    """What the manager refused, with its stable code."""

    def __init__(self, status: int, code: str, detail: str):
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code


class Manager:
    """The calls that one agent makes."""

    def __init__(self, url: str, token: str):
        self.url = url.rstrip("/")
        self.token = token

    def call(self, method: str, path: str, body: dict | None = None, timeout: float = 15) -> dict:
        """One call, again while nothing answers. All calls here may be made twice: the second changes nothing."""
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


def say(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def beat(manager: Manager, own: str, every: float, stopped: threading.Event) -> None:
    """Renews the lease until told to stop. A tenth more or less, so that a fleet does not beat as one."""
    while not stopped.wait(every * random.uniform(0.9, 1.1)):
        try:
            manager.call("POST", f"{own}/heartbeat", {})
        except (Refused, OSError) as error:
            say("error", message=str(error))


def echo(message: dict) -> dict:
    """The reply. Its id is derived from the message, so that one sent twice after a crash is delivered once."""
    name = f"{message['source']}\n{message['id']}".encode()
    return {
        "id": f"re_{hashlib.sha256(name).hexdigest()[:40]}",
        "to": {"agent": message["replyTo"] or message["source"]},
        "correlationId": message["correlationId"] or message["id"],
        "type": "echo.reply",
        "data": message["data"],
    }


def take_mail(manager: Manager, own: str, wanted: int, patience: float) -> int:
    """Handles `wanted` messages, or as many as come before patience ends. Returns how many."""
    handled = 0
    last = time.monotonic()
    while handled < wanted and time.monotonic() - last < patience:
        wait = max(0, min(20, int(patience - (time.monotonic() - last))))
        query = urllib.parse.urlencode({"max": min(10, wanted - handled), "waitSeconds": wait})
        deliveries = manager.call("GET", f"{own}/inbox?{query}", timeout=wait + 10)["deliveries"]
        for delivery in deliveries:
            message = delivery["message"]
            say("message", id=message["id"], source=message["source"], type=message["type"], data=message["data"])
            # Mail of the manager itself, such as cluster.joined, asks for no answer.
            if not message["type"].startswith("cluster."):
                result = manager.call("POST", "/v1/messages", {"messages": [echo(message)]})["results"][0]
                say("replied", **result)
                handled += 1
            # Only what was dealt with is acked. What is not comes again when its lease has run out.
            ack = {"leaseToken": delivery["leaseToken"]}
            manager.call("POST", f"/v1/deliveries/{urllib.parse.quote(delivery['id'])}/ack", ack)
            last = time.monotonic()
    return handled


def main() -> int:
    parser = argparse.ArgumentParser(description="An agent that echoes its mail.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--capability", action="append", default=[], help="may be repeated")
    parser.add_argument("--messages", type=int, default=3, help="leaves after so many")
    parser.add_argument("--patience", type=float, default=60, help="leaves after so many seconds without one")
    options = parser.parse_args()

    url = os.environ.get("CLUSTER_MANAGER_URL", "http://127.0.0.1:8420")
    manager = Manager(url, os.environ.get("CLUSTER_MANAGER_ENROLMENT_TOKEN", ""))
    own = f"/v1/agents/{urllib.parse.quote(options.id)}"
    try:
        registered = manager.call("POST", "/v1/agents", {"id": options.id, "capabilities": options.capability})
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 3
    except OSError as error:
        print(f"The manager at {url} cannot be reached; start it with npm start ({error})", file=sys.stderr)
        return 69
    # The agent's own token, shown this once: from here on everything is said with it.
    manager.token = registered["token"]
    say("registered", incarnation=registered["agent"]["incarnation"])

    stopped = threading.Event()
    beating = threading.Thread(
        target=beat, args=(manager, own, registered["heartbeatSeconds"], stopped), daemon=True
    )
    beating.start()
    try:
        handled = take_mail(manager, own, options.messages, options.patience)
    finally:
        stopped.set()
        manager.call("DELETE", own)
    say("left", handled=handled)
    return 0


if __name__ == "__main__":
    sys.exit(main())

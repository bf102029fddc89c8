"""How fast the emulator is: `python tests/benchmarks/emulator_speed.py [seconds]`. It asserts nothing.

Raw sockets and requests built beforehand, so that what is measured is the emulator and not its client.
"""

import os
import re
import socket
import sys
import threading
import time
from itertools import count
from pathlib import Path
from xml.sax.saxutils import escape

from every8d.emulator.process import EmulatorProcess

CONNECTIONS = 8
TEXT = "您的驗證碼是 123456，請於五分鐘內輸入。"


class Wire:
    """One kept connection that sends prepared requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, operation: str, **params: str) -> bytes:
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in params.items())
        body = (
            '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            f'<{operation} xmlns="http://tempuri.org/">{inner}</{operation}></s:Body></s:Envelope>'
        ).encode()
        head = (
            f"POST /API21/SOAP/SMS.asmx HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f'Content-Type: text/xml; charset=utf-8\r\nSOAPAction: "http://tempuri.org/{operation}"\r\n'
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def call(self, request: bytes) -> bytes:
        self.socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, body = answer.partition(b"\r\n\r\n")
        wanted = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
        while len(body) < wanted:
            body += self._more()
        return body

    def _more(self) -> bytes:
        part = self.socket.recv(1 << 20)
        if not part:
            raise ConnectionError("the emulator closed the connection")
        return part


def cpu_s(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def throughput(emulator: EmulatorProcess, key: str, seconds: float) -> dict[str, float]:
    """sendSMS of one number by eight connections: calls a second, and calls a second of the emulator's own CPU."""
    ends = time.monotonic() + seconds
    waits: list[float] = []
    numbers = count(912_000_000)

    def work() -> None:
        wire = Wire(emulator.port)
        while time.monotonic() < ends:
            request = wire.request(
                "sendSMS",
                sessionKey=key,
                subject="bench",
                content=TEXT,
                mobile=f"+886{next(numbers)}",
                sendTime="",
            )
            started = time.perf_counter()
            answer = wire.call(request)
            waits.append(time.perf_counter() - started)
            if b"Result>-" in answer:
                raise RuntimeError("refused")

    cpu, started = cpu_s(emulator.pid), time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, used = time.monotonic() - started, cpu_s(emulator.pid) - cpu
    waits.sort()
    print(
        f"sendSMS, 1 number, {CONNECTIONS} connections: {len(waits) / took:,.0f}/s, "
        f"{used / len(waits) * 1e6:.0f} us CPU a call ({len(waits) / used:,.0f}/s of CPU), "
        f"p50 {waits[len(waits) // 2] * 1e3:.2f} ms, p99 {waits[len(waits) * 99 // 100] * 1e3:.2f} ms, "
        f"max {waits[-1] * 1e3:.1f} ms",
        file=sys.stderr,
    )
    return {
        "emulator_send_sms_per_s": len(waits) / took,
        "emulator_send_sms_per_cpu_s": len(waits) / used,
    }


def figures(seconds: float) -> dict[str, float]:
    """What `./run bench` prints of the emulator: every other figure depends on it."""
    with EmulatorProcess("--credit", "100000000", "--deliver-after-s", "0") as emulator:
        return throughput(emulator, session_key(Wire(emulator.port)), seconds)


def session_key(wire: Wire) -> str:
    """Logs in."""
    login = wire.call(wire.request("getConnection", userID="demo", password="demo"))
    return re.search(rb"SESSION_KEY&gt;([0-9a-f]{32})", login)[1].decode()  # type: ignore[index]


def one(emulator: EmulatorProcess, what: str, wire: Wire, request: bytes, times: int) -> bytes:
    answer = wire.call(request)
    cpu, started = cpu_s(emulator.pid), time.monotonic()
    for _ in range(times):
        wire.call(request)
    used, took = cpu_s(emulator.pid) - cpu, time.monotonic() - started
    print(f"{what}: {used / times * 1e3:.2f} ms CPU, {took / times * 1e3:.2f} ms ({len(answer):,} bytes)")
    return answer


def main(seconds: float) -> None:
    with EmulatorProcess("--credit", "100000000", "--deliver-after-s", "0") as emulator:
        wire = Wire(emulator.port)
        key = session_key(wire)
        one(emulator, "getCredit", wire, wire.request("getCredit", sessionKey=key), 500)
        throughput(emulator, key, seconds)

        def send(recipients: int) -> bytes:
            mobiles = ",".join(f"+886{912_000_000 + i}" for i in range(recipients))
            return wire.request(
                "sendSMS", sessionKey=key, subject="b", content=TEXT, mobile=mobiles, sendTime=""
            )

        one(emulator, "sendSMS, 500 numbers", wire, send(500), 200)
        users = "".join(
            f'<USER NAME="" MOBILE="+886{912_000_000 + i}" EMAIL="" SENDTIME=""><![CDATA[{TEXT} {i}]]></USER>'
            for i in range(500)
        )
        personal = wire.request(
            "sendParamSMS", sessionKey=key, subject="b", contentXML=f"<REPS>{users}</REPS>", sendTime=""
        )
        one(emulator, "sendParamSMS, 500 texts", wire, personal, 200)
        batch = re.search(rb"[0-9a-f-]{36}", wire.call(send(1000)))[0].decode()  # type: ignore[index]
        page = wire.request("getDeliveryStatus", sessionKey=key, batchID=batch, pageNo="")
        one(emulator, "getDeliveryStatus, 1,000 rows", wire, page, 100)
        started = time.monotonic()
        summary = emulator.control.summary()
        print(f"summary of {summary.total:,} messages: {(time.monotonic() - started) * 1e3:.0f} ms")
        resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{emulator.pid}/status").read_text())[1]  # type: ignore[index]
        print(f"resident: {int(resident) // 1024} MiB")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)

"""Many people at once without browsers: raw WebSocket clients that speak Streamlit's protocol as its page does.

`python -m bench.people '<JSON Job>'` sends every person's prompt, measures when frames with the first and last
token arrive, and samples the program's memory; it prints one JSON object. With `turns` it reruns pages instead.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from bench.ours import Visitor
from bench.programs import App, Program, get_json

SETTLE_SEC = 1.0
SAMPLE_SEC = 0.2
TIMEOUT_SEC = 180


@dataclass(frozen=True)
class Job:
    """What to do with a running program. Times are in ms; `reruns` or `ticks_sec` replace the prompts when set."""

    pid: int
    base_url: str
    upstream_url: str
    visitors: list[Visitor] = field(default_factory=list)
    count: int = 500
    gap_ms: float = 10
    spread_sec: float = 0
    reruns: int = 0
    ticks_sec: float = 0


@dataclass(frozen=True)
class Crowd:
    """Lags of each person in ms, and the memory each added while streaming."""

    first_ms: list[float]
    last_ms: list[float]
    memory_mb: float
    server_cpu_ms: float


class Person:
    """One open page. `runs` counts finished full runs, `ticks` finished fragment runs."""

    def __init__(self, job: Job, visitor: Visitor, answer_id: str) -> None:
        self.job, self.visitor, self.answer_id = job, visitor, answer_id
        self.chat_input: tuple[str, str] | None = None
        self.page_hash, self.query = "", visitor.query
        self.runs, self.ticks = 0, 0
        self.changed = asyncio.Event()
        self.marks: dict[str, int] = {}
        self.timers: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        host = urlsplit(self.job.base_url).netloc
        cookies = "; ".join(f"{name}={value}" for name, value in self.visitor.cookies)
        self.socket = await websockets.connect(
            f"ws://{host}/_stcore/stream",
            subprotocols=["streamlit", "PLACEHOLDER_AUTH_TOKEN"],
            additional_headers={"Cookie": cookies} if cookies else None,
            origin=self.job.base_url,
            max_size=None,
        )
        self.reading = asyncio.create_task(self._read())
        await self.rerun()
        await self._until(lambda: self.chat_input is not None and self.runs > 0)

    async def close(self) -> None:
        for task in [self.reading, *self.timers.values()]:
            task.cancel()
        await self.socket.close()

    async def rerun(self, fragment_id: str = "", text: str = "", auto: bool = False) -> None:
        """Ask for a run of the page or of one fragment, as the page does; `text` submits the chat input."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash, state.fragment_id = self.query, self.page_hash, fragment_id
        state.page_name = "" if self.page_hash else self.visitor.path
        state.is_auto_rerun = auto
        if text:
            widget = state.widget_states.widgets.add(id=self.chat_input[0])
            widget.chat_input_value.data = text
        await self.socket.send(message.SerializeToString())

    async def rerun_and_wait(self) -> None:
        before = self.runs
        await self.rerun()
        await self._until(lambda: self.runs > before)

    async def ask(self) -> None:
        order = f"Tell me about rivers, n={self.job.count} gap={self.job.gap_ms} id={self.answer_id}"
        await self.rerun(fragment_id=self.chat_input[1], text=order)
        await self._until(lambda: "last" in self.marks)

    async def _until(self, condition) -> None:
        async with asyncio.timeout(TIMEOUT_SEC):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def _read(self) -> None:
        first, last = f"R{self.answer_id}".encode(), f"Z{self.answer_id}".encode()
        async for data in self.socket:
            if "first" not in self.marks and first in data:
                self.marks["first"] = time.time_ns()
            if last in data:
                self.marks.setdefault("last", time.time_ns())
                self.changed.set()
            # Text updates need no decoding; everything that steers the page is short or has no marker yet.
            if "first" not in self.marks or "last" in self.marks or len(data) < 600:
                self._follow(ForwardMsg.FromString(data))

    def _follow(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "delta":
            element = message.delta.new_element
            if element.WhichOneof("type") == "chat_input":
                self.chat_input = (element.chat_input.id, message.delta.fragment_id)
        elif kind == "new_session":
            self.page_hash = message.new_session.page_script_hash
            if not message.metadata.run.fragment_ids:
                self._stop_timers()
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self._start_timer(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            self._stop_timers()
        elif kind == "script_finished":
            if message.script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY:
                self.ticks += 1
            elif message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self.runs += 1
        self.changed.set()

    def _start_timer(self, fragment_id: str, interval_sec: float) -> None:
        if fragment_id in self.timers:
            self.timers.pop(fragment_id).cancel()
        self.timers[fragment_id] = asyncio.create_task(self._tick(fragment_id, interval_sec))

    def _stop_timers(self) -> None:
        for task in self.timers.values():
            task.cancel()
        self.timers.clear()

    async def _tick(self, fragment_id: str, interval_sec: float) -> None:
        while True:
            await asyncio.sleep(interval_sec)
            await self.rerun(fragment_id=fragment_id, auto=True)


async def _ask_all(people: list[Person], program: Program, job: Job) -> Crowd:
    before, peak_mb = program.usage(), 0.0

    async def one(index: int, person: Person) -> None:
        await asyncio.sleep(job.spread_sec * index / len(people))
        await person.ask()

    asking = asyncio.gather(*(one(i, person) for i, person in enumerate(people)))
    while not asking.done():
        await asyncio.sleep(SAMPLE_SEC)
        peak_mb = max(peak_mb, program.usage().rss_mb)
    await asking
    await asyncio.sleep(SETTLE_SEC)
    stamps = await asyncio.to_thread(get_json, f"{job.upstream_url}/stamps")
    sent = [stamps[person.answer_id]["sent_ns"] for person in people]
    return Crowd(
        first_ms=[(p.marks["first"] - s[0]) / 1e6 for p, s in zip(people, sent, strict=True)],
        last_ms=[(p.marks["last"] - s[-1]) / 1e6 for p, s in zip(people, sent, strict=True)],
        memory_mb=max(peak_mb - before.rss_mb, 0) / len(people),
        server_cpu_ms=program.usage().cpu_ms - before.cpu_ms,
    )


async def _rerun(person: Person, program: Program, job: Job) -> dict[str, float]:
    await person.rerun_and_wait()
    before = program.usage().cpu_ms
    for _ in range(job.reruns):
        await person.rerun_and_wait()
    return {"rerun_cpu_ms": (program.usage().cpu_ms - before) / job.reruns}


async def _tick(people: list[Person], program: Program, job: Job) -> dict[str, float | None]:
    """What open pages cost beyond the program's own idling, which is measured first, with none of them open."""
    idle_ms = await _cpu_ms(program, job.ticks_sec)
    for person in people:
        await person.open()
    await asyncio.sleep(SETTLE_SEC)
    ticks_before = sum(person.ticks for person in people)
    open_ms = await _cpu_ms(program, job.ticks_sec)
    ticks = sum(person.ticks for person in people) - ticks_before
    return {"tick_cpu_ms": max(open_ms - idle_ms, 0) / ticks if ticks else None, "ticks": ticks}


async def _cpu_ms(program: Program, seconds: float) -> float:
    before = program.usage().cpu_ms
    await asyncio.sleep(seconds)
    return program.usage().cpu_ms - before


async def main(job: Job) -> dict[str, object]:
    program = Program(app=App("", lambda port: [], None, lambda *_: []), pid=job.pid, base_url="", data_dir=None)
    mark = time.monotonic_ns() // 1000 % 0xFFFFF
    people = [Person(job, visitor, f"{mark:05x}p{index}q") for index, visitor in enumerate(job.visitors)]
    try:
        if job.ticks_sec:
            return await _tick(people, program, job)
        for person in people:
            await person.open()
        await asyncio.sleep(SETTLE_SEC)
        if job.reruns:
            return await _rerun(people[0], program, job)
        return asdict(await _ask_all(people, program, job))
    finally:
        await asyncio.gather(*(person.close() for person in people), return_exceptions=True)


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    visitors = [Visitor(v["path"], v["query"], tuple(map(tuple, v["cookies"]))) for v in order.pop("visitors")]
    print(json.dumps(asyncio.run(main(Job(visitors=visitors, **order)))))

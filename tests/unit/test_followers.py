"""Many readers of running answers on one event loop, while other threads append."""

from __future__ import annotations

import asyncio
import random
import threading
import time

from chatplay.generation.followers import Followers
from chatplay.generation.live import LiveGeneration
from chatplay.generation.values import AnswerMetrics, GenerationEnd, LiveMetrics, Update


def answer():
    return LiveGeneration(time.monotonic)


def ended(text, status="complete"):
    return GenerationEnd(status, text, AnswerMetrics("p", "m"))


async def read(followers, source, after_seq=0):
    return [update async for update in followers.follow(source, after_seq=after_seq, patience_sec=5)]


def write(lives, texts):
    luck = random.Random(1)
    for text in texts:
        for live in lives:
            live.append(text)
        time.sleep(luck.choice([0, 0, 0.001]))
    for live in lives:
        live.finish(ended("".join(texts)))


def test_every_reader_gets_every_delta_once_and_in_order():
    texts = [f"{number} " for number in range(400)]
    lives = [answer() for _ in range(8)]

    async def run():
        followers = Followers(asyncio.to_thread)
        writer = threading.Thread(target=write, args=(lives, texts))
        writer.start()
        found = await asyncio.gather(*(read(followers, live) for live in lives * 5))
        writer.join()
        assert followers.count == 0
        return found

    for updates in asyncio.run(run()):
        assert "".join(update.text for update in updates) == "".join(texts)
        assert (updates[-1].seq, updates[-1].end.status) == (400, "complete")


def test_number_of_an_update_is_that_of_its_last_delta():
    live = answer()
    for text in ("a", "bc", "d"):
        live.append(text)
    assert (live.look(0).text, live.look(0).seq) == ("abcd", 3)
    assert (live.look(2).text, live.look(2).seq) == ("d", 3)
    assert (live.look(9).text, live.look(9).seq) == ("", 9)
    live.finish(ended("abcd"))
    assert live.look(9).seq == 3  # so that a reader who has seen more than there is can be told


def test_reader_that_comes_late_gets_all_at_once():
    live = answer()
    live.append("a")
    live.finish(ended("a"))
    updates = asyncio.run(_all(live))
    assert [(update.text, update.end is not None) for update in updates] == [("a", True)]


async def _all(live):
    return await read(Followers(asyncio.to_thread), live)


def test_silence_gives_an_empty_update_now_and_then():
    live = answer()

    async def run():
        following = Followers(asyncio.to_thread).follow(live, patience_sec=0.01)
        first = await anext(following)
        await following.aclose()
        return first

    assert asyncio.run(run()).text == ""


def test_reader_that_leaves_is_forgotten():
    live = answer()

    async def run():
        followers = Followers(asyncio.to_thread)
        following = followers.follow(live, patience_sec=0.01)
        await anext(following)
        await following.aclose()
        return followers.count

    assert asyncio.run(run()) == 0
    assert live._watchers == ()


def test_source_that_waits_is_looked_at_on_a_thread():
    looked = []

    class Slow:
        def watch(self, _wake):
            return lambda: None

        def look(self, after_seq):
            looked.append(threading.current_thread())
            return Update("a", 1, LiveMetrics(), ended("a"))

    async def run():
        return await read(Followers(asyncio.to_thread), Slow())

    assert asyncio.run(run())[-1].end is not None
    assert threading.main_thread() not in looked


def test_deltas_in_quick_succession_are_handed_on_together_and_the_first_at_once():
    texts = [f"{number} " for number in range(100)]

    async def run():
        live, followers = answer(), Followers(asyncio.to_thread)
        reading = asyncio.create_task(read(followers, live))
        for text in texts:
            live.append(text)
            await asyncio.sleep(0.001)
        live.finish(ended("".join(texts)))
        return await reading

    updates = [update.text for update in asyncio.run(run())]
    assert updates[0] == "0 "
    assert "".join(updates) == "".join(texts)
    assert len(updates) < len(texts) / 4

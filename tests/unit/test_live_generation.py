"""A running answer in memory, with a clock of our own."""

from __future__ import annotations

import threading

from chatplay.generation.live import LiveGeneration
from chatplay.generation.values import AnswerMetrics, GenerationEnd

END = GenerationEnd("complete", "abcd", AnswerMetrics("p", "m"))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_deltas_are_numbered_and_stamped_from_the_request_on():
    clock = Clock()
    live = LiveGeneration(clock)
    clock.now += 0.25
    assert live.append("a") == (1, 250.0)
    clock.now += 0.5
    assert live.append("b") == (2, 750.0)


def test_repeated_request_starts_the_clock_anew():
    clock = Clock()
    live = LiveGeneration(clock)
    clock.now += 5
    live.begin()
    clock.now += 0.1
    assert round(live.append("a")[1]) == 100


def test_connecting_and_sending_are_not_in_the_stamps():
    clock = Clock()
    live = LiveGeneration(clock)
    live.sent_after(connect_ms=50)
    clock.now += 0.25
    assert (round(live.append("a")[1]), round(live.metrics().ttft_ms)) == (200, 200)


def test_follower_gets_what_came_so_far_then_the_rest_with_the_end():
    live = LiveGeneration(Clock())
    live.append("ab")
    updates = live.follow(after_seq=0, interval_sec=0.001)
    first = next(updates)
    live.append("c")
    live.append("d")
    live.finish(END)
    rest = list(updates)
    assert (first.text, first.seq, first.end) == ("ab", 1, None)
    assert "".join(update.text for update in rest) == "cd"
    assert rest[-1].end == END


def test_follower_that_resumes_gets_no_delta_twice():
    live = LiveGeneration(Clock())
    for text in "abcd":
        live.append(text)
    live.finish(END)
    assert [update.text for update in live.follow(after_seq=3, interval_sec=0.001)] == ["d"]


def test_live_rate_counts_from_the_first_delta_and_not_from_the_request():
    clock = Clock()
    live = LiveGeneration(clock)
    clock.now += 10
    live.append("a")
    assert live.metrics().tokens_per_second is None
    clock.now += 1
    live.append("b")
    assert live.metrics().tokens_per_second == 1.0
    assert live.metrics().ttft_ms == 10_000


def test_live_rate_is_of_the_text_alone_and_unknown_while_reasoning_comes_between():
    clock = Clock()
    live = LiveGeneration(clock)
    for _ in range(30):
        live.mark_reasoning()
        clock.now += 1
    live.append("a")
    clock.now += 1
    live.append("b")
    assert (live.metrics().tokens_per_second, live.metrics().ttft_ms) == (1.0, 30_000)
    live.mark_reasoning()
    live.append("c")
    assert live.metrics().tokens_per_second is None


def test_repeated_request_forgets_the_reasoning_of_the_first():
    live = LiveGeneration(Clock())
    live.mark_reasoning()
    live.begin()
    assert live.reasoning.first_sec is None


def test_an_answer_has_begun_with_its_first_text_or_its_end():
    live, ended = LiveGeneration(Clock()), LiveGeneration(Clock())
    assert not live.has_news(within_sec=0)
    live.append("a")
    assert live.has_news(within_sec=0)
    ended.finish(END)
    assert ended.has_news(within_sec=0)


def test_who_waits_for_the_beginning_is_woken_by_it():
    live = LiveGeneration(Clock())
    timer = threading.Timer(0.02, live.append, args=("a",))
    timer.start()
    assert live.has_news(within_sec=30)
    timer.join()

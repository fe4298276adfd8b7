"""Many answers in one loop: everything of each arrives once, in order, and ends are told."""

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from chatplay.compare.following import follow_together
from chatplay.generation.live import LiveGeneration
from chatplay.generation.values import AnswerMetrics, GenerationEnd


def generation():
    return LiveGeneration(iter(range(10**6)).__next__)


def finish(live):
    live.finish(GenerationEnd("complete", live.content, AnswerMetrics("p", "m")))


def read(news_of):
    texts, ends = {}, {}
    for news in news_of:
        for key, update in news.items():
            texts[key] = texts.get(key, "") + update.text
            if update.end is not None:
                ends[key] = update.end.content
    return texts, ends


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=8), min_size=1, max_size=4))
def test_each_answer_arrives_whole_while_others_come(answers):
    lives = {key: generation() for key in range(len(answers))}

    def write():
        for key, texts in enumerate(answers):
            for text in texts:
                lives[key].append(text)
            finish(lives[key])

    writer = threading.Thread(target=write)
    writer.start()
    texts, ends = read(follow_together(lives, interval_sec=0.001))
    writer.join()
    assert texts == ends == {key: "".join(texts) for key, texts in enumerate(answers)}


def test_reading_goes_on_after_a_delta():
    live = generation()
    for text in ("a", "b", "c"):
        live.append(text)
    finish(live)
    assert read(follow_together({1: live}, interval_sec=0, after={1: 2}))[0] == {1: "c"}


def test_nothing_to_follow_ends_at_once():
    assert list(follow_together({}, interval_sec=1)) == []


def test_reader_that_leaves_is_told_nothing_more():
    live = generation()
    live.append("a")
    news = follow_together({1: live}, interval_sec=0)
    next(news)
    news.close()
    assert live._watchers == ()

"""Texts of five kinds, written for measuring token counts: paragraphs in three languages, code and JSON."""

from __future__ import annotations

import inspect
import json
from functools import cache

ENGLISH = (
    "A lighthouse keeper counts the days by the weather and not by the calendar. In the morning he wipes the salt "
    "from the lenses, trims what has to be trimmed, and writes the height of the barometer into a book that nobody "
    "else will ever read. When the fog comes he sits by the horn and waits for an answer from the ships.",
    "The first bridge over the valley was built of timber and lasted eleven winters. The second was made of iron, "
    "and people came from far away to see how thin its arches were. Today the trains run over a plain concrete "
    "structure that nobody photographs, although it carries ten times the load of both of its ancestors.",
    "Please summarise the attached minutes in five bullet points. Mention every decision, who is responsible for it, "
    "and the date it is due. Leave out the discussion about the office plants. If a figure is uncertain, say so "
    "instead of guessing, and keep the whole thing short enough to be read on a telephone.",
    "Bread needs only four things: flour, water, salt and time. The last of them is the one most people try to save, "
    "and the one that makes the difference. Leave the dough in a cool place overnight, fold it twice in the morning, "
    "and bake it hotter than you think is reasonable until the crust begins to sing.",
    "Statistics cannot tell you what to do, but they can stop you from fooling yourself. Before you compare two "
    "averages, ask how many observations stand behind each of them, how they were chosen, and what would have "
    "happened if you had looked at a different week. An interval says more than a number with three decimals.",
    "She had promised to return the letters, yet each time she opened the drawer she found another reason to keep "
    "them. They were not even interesting: a recipe for quince jelly, complaints about a landlord, the timetable of "
    "a ferry that no longer existed. Still, the handwriting leaned forward as if it were about to run away.",
    "When the server does not respond within thirty seconds, the client should give up and report which address it "
    "tried, how long it waited and what the user can do next. Retrying silently only hides the problem, multiplies "
    "the load on a machine that is already struggling, and makes the eventual failure harder to explain.",
    "Migratory birds find their way by the sun, the stars, the magnetic field and the shape of the coastline. Young "
    "storks raised in captivity fly in the right direction on their first autumn journey, but they do not know when "
    "to stop. That part of the route has to be learned from older birds, one resting place after another.",
)
GERMAN = (
    "Der Leuchtturmwärter zählt die Tage nach dem Wetter und nicht nach dem Kalender. Am Morgen wischt er das Salz von "
    "den Linsen, überprüft die Öllampen und schreibt den Luftdruck in ein Buch, das außer ihm niemand lesen wird. Wenn "
    "der Nebel kommt, setzt er sich neben das Horn und wartet auf die Antwort der Schiffe.",
    "Die erste Brücke über das Tal wurde aus Holz gebaut und hielt elf Winter. Die zweite bestand aus Eisen, und die "
    "Leute reisten von weither an, um zu sehen, wie dünn ihre Bögen waren. Heute fahren die Züge über ein schlichtes "
    "Betonbauwerk, das niemand fotografiert, obwohl es das Zehnfache seiner Vorgängerinnen trägt.",
    "Bitte fassen Sie das beigefügte Protokoll in fünf Stichpunkten zusammen. Erwähnen Sie jede Entscheidung, die "
    "verantwortliche Person und den vereinbarten Termin. Lassen Sie die Diskussion über die Büropflanzen weg. Ist eine "
    "Zahl unsicher, so schreiben Sie das dazu, anstatt zu raten, und bleiben Sie insgesamt knapp.",
    "Für ein gutes Brot braucht man nur vier Dinge: Mehl, Wasser, Salz und Zeit. An der letzten Zutat wird meistens "
    "gespart, dabei macht gerade sie den Unterschied. Der Teig ruht über Nacht an einem kühlen Ort, wird am Morgen "
    "zweimal gefaltet und danach heißer gebacken, als man es für vernünftig hält.",
    "Die Statistik sagt uns nicht, was wir tun sollen, aber sie bewahrt uns davor, uns selbst zu täuschen. Bevor man "
    "zwei Durchschnittswerte vergleicht, fragt man nach der Anzahl der Beobachtungen, nach ihrer Auswahl und danach, "
    "was in einer anderen Woche geschehen wäre. Ein Vertrauensbereich sagt mehr als drei Nachkommastellen.",
    "Sie hatte versprochen, die Briefe zurückzugeben, doch jedes Mal, wenn sie die Schublade öffnete, fand sie einen "
    "weiteren Grund, sie zu behalten. Besonders aufregend waren sie nicht: ein Rezept für Quittengelee, Beschwerden "
    "über den Vermieter, der Fahrplan einer längst eingestellten Fähre.",
    "Antwortet der Server nicht innerhalb von dreißig Sekunden, so soll das Programm aufgeben und melden, welche "
    "Adresse es versucht hat, wie lange es gewartet hat und was als Nächstes zu tun ist. Stillschweigende "
    "Wiederholungen verbergen die Ursache und vervielfachen die Belastung einer ohnehin überforderten Maschine.",
    "Zugvögel orientieren sich an der Sonne, an den Sternen, am Magnetfeld und am Verlauf der Küste. Junge Störche, "
    "die in Gefangenschaft aufgewachsen sind, fliegen schon im ersten Herbst in die richtige Richtung, wissen aber "
    "nicht, wann sie anhalten müssen. Diesen Teil der Strecke lernen sie von älteren Artgenossen.",
)
CHINESE = (
    "守灯塔的人按天气而不是按日历计算日子。早晨他擦去透镜上的盐，检查油灯，把气压写进一本除了他以外没有人会读的本子里。"
    "雾来的时候，他坐在号角旁边，等待远处船只的回答。有时候一整天都没有船经过，他就听着海浪的声音，想念岸上的家人。",
    "山谷上的第一座桥是用木头建造的，只用了十一个冬天。第二座桥是铁的，人们从很远的地方赶来，想看看它的拱有多么细。"
    "今天火车从一座普通的混凝土桥上驶过，没有人给它拍照，虽然它承受的重量是前两座桥的十倍。",
    "请用五个要点总结附件里的会议记录。写清楚每一项决定、负责的人和完成的日期，不要提到关于办公室植物的讨论。"
    "如果某个数字不确定，就直接说明，不要猜测。整个总结应该足够短，可以在手机上很快读完。",
    "做面包只需要四样东西：面粉、水、盐和时间。大多数人想节省的正是最后一样，而真正起作用的也是它。"
    "把面团放在阴凉的地方过一夜，早晨折叠两次，然后用比你想象的更高的温度烘烤，直到外皮开始发出轻轻的响声。",
    "统计学不能告诉你应该做什么，但是可以防止你欺骗自己。在比较两个平均数之前，先问一问每个数字背后有多少次观察，"
    "这些样本是怎样选择的，如果换一个星期结果会不会不同。一个区间比三位小数说明的问题更多。",
    "她答应过要把那些信还回去，可是每次打开抽屉，她总能找到另一个理由把它们留下。信的内容其实并不有趣："
    "一份果酱的做法，对房东的抱怨，还有一张早已停航的渡船的时刻表。然而那些字迹总是向前倾斜，好像马上就要跑开一样。",
    "如果服务器在三十秒之内没有回答，程序应该停止等待，并且报告它尝试了哪个地址、等了多长时间、用户下一步可以做什么。"
    "悄悄地重复请求只会隐藏问题，给已经很忙的机器增加更多的负担，也让最后的失败更加难以解释。",
    "候鸟依靠太阳、星星、磁场和海岸的形状来寻找方向。在人工环境里长大的小鸟，第一年秋天就能朝着正确的方向飞行，"
    "但是它们不知道应该在哪里停下来。这一部分路线必须向年长的鸟学习，一个休息的地方接着一个休息的地方。",
)
KINDS = ("english", "german", "chinese", "code", "json")


@cache
def texts(kind: str) -> tuple[str, ...]:
    """The texts of one of `KINDS`, about a paragraph or a screen each."""
    written = {"english": ENGLISH, "german": GERMAN, "chinese": CHINESE}
    if kind in written:
        return written[kind]
    return _code() if kind == "code" else tuple(_json(number) for number in range(8))


def _code() -> tuple[str, ...]:
    """Functions of the standard library: several hands, one language."""
    import contextlib
    import difflib
    import functools
    import heapq
    import json.decoder
    import statistics
    import textwrap

    functions = (
        textwrap.TextWrapper._wrap_chunks,
        statistics.median_grouped,
        heapq.merge,
        functools.singledispatch,
        json.decoder.py_scanstring,
        difflib.get_close_matches,
        contextlib.ExitStack.__exit__,
        functools.partialmethod.__init__,
    )
    return tuple(textwrap.dedent(inspect.getsource(function)) for function in functions)


def _json(number: int) -> str:
    """An order, indented in every second text."""
    words = ("river", "lamp", "north", "cedar", "quick", "stone", "amber", "field")
    lines = [
        {
            "sku": f"{words[(number + at) % 8].upper()}-{(number * 37 + at * 101) % 9973:04d}",
            "quantity": at + number % 3,
            "unit_price": round(3.5 * at + number * 1.37, 2),
            "tags": [words[(at * 3 + number) % 8], words[(at + 5) % 8]],
            "discount": None if at % 2 else 0.15,
        }
        for at in range(3 + number % 3)
    ]
    order = {
        "id": 48_213 + number * 7919,
        "customer": {
            "name": f"{words[number].title()} {words[-1 - number].title()}",
            "email": f"{words[number]}@a.example",
        },
        "created_at": f"2026-0{number + 1}-1{number}T0{number}:4{number}:07Z",
        "paid": number % 2 == 0,
        "lines": lines,
    }
    return json.dumps(order, indent=2 if number % 2 else None)

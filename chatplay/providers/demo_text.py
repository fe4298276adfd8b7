"""The text the Demo model has learnt: a few pages of our own, each page with the words that call it up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """`keywords`: words of a prompt that lead here. Blank lines part the paragraphs; lists and fences stay whole."""

    keywords: str
    text: str


PAGES: tuple[Page, ...] = (
    Page(
        "hello hi hey good morning thanks who are you demo help test name yourself",
        """\
Hello, and welcome to the playground. I am the demo model, a very small sampler that has read a few pages of \
text and nothing else. I need no key and no network, so you can try every control before you connect a real \
model.

I pick one word after another, just as a large model does, but I know far less. The words of your prompt decide \
where I begin, and the settings decide how freely I go on. Ask me about tokens, temperature, bread, rain, \
trains, gardens or code, and you will see what a page of text can do.

Here is a good first experiment:

1. Ask the same question twice at temperature 0 and compare the answers.
2. Move the temperature to 1.0 and ask again.
3. Set a seed, ask twice, and see the same answer come back.

Most of what you learn here is true of larger models as well. The numbers beside each answer are measured in the \
same way for every model.""",
    ),
    Page(
        "temperature hot cold random randomness creative creativity setting settings parameter parameters "
        "sampling sampler",
        """\
Temperature decides how freely a model picks among likely words. At temperature 0 it takes the likeliest word \
each time, so the answer is the same on every run. As the temperature rises, the less likely words get a better \
chance, and the answer begins to vary.

Think of a road with many small turnings. With a low temperature the model stays on the main road, and with a \
high temperature it takes a turning now and then. Most of the time the turning leads somewhere sensible. Some of \
the time it leads into a field, and the sentence has to find its own way home.

A few values are worth knowing:

- **0.0** for facts, code and anything you want to repeat.
- **0.7** for everyday questions, where a little variety reads better.
- **1.0** for ideas, names and first drafts.

It is a good habit to change one setting at a time. If you change two, you will not know which of them made the \
difference.""",
    ),
    Page(
        "top-p top_p nucleus probability probabilities likely cutoff tail",
        """\
Top-p is a second way to keep a model on the path. Before each word, the model sorts all the words by how likely \
they are, and keeps only the first ones that together reach the share you set. With a top-p of 0.9, the last \
tenth of the probability is thrown away, and with it go most of the strange words.

The nice thing about top-p is that it adapts. When the model is sure, only one or two words are left in. When \
the model is unsure, many words stay in, and the answer can still surprise you.

Temperature and top-p work on the same choice, so it is wise to move only one of them. A common recipe is to \
leave top-p at 1.0 and to set the temperature by taste.""",
    ),
    Page(
        "token tokens word words count tokenizer length tokenize vocabulary",
        """\
A token is the piece of text that a model reads and writes in one step. In English, a token is about four \
characters, so a hundred tokens are about seventy-five words. In other languages, and in code, the same text can \
take more tokens or fewer.

Tokens matter for three reasons. They decide what a call costs, they decide how long an answer takes, and they \
decide how much of the conversation the model can still see. The counter under the input shows how many tokens \
your next message would send.

For me a token is simply a word or a mark of punctuation. That makes the counting easy, and it means that the \
number of tokens beside my answers is exact.""",
    ),
    Page(
        "seed repeat reproducible deterministic same again reproduce",
        """\
A seed is a number that fixes the dice. With the same seed, the same settings and the same prompt, a sampler \
throws the same dice in the same order, so the same answer comes back. Change any of the three and the answer \
may change from that word on.

Seeds are useful when you compare two prompts. If the dice are the same, the difference you see comes from the \
prompt and not from luck. Even so, one pair of answers proves little. Ask ten times with ten seeds, and look at \
the whole set before you decide.

Large models on busy servers repeat themselves less exactly than I do. The order in which a server adds up its \
numbers can change with the load, and a tiny change in a number can tip the choice of a word.""",
    ),
    Page(
        "context window memory remember history long conversation forget system prompt",
        """\
The context window is the length of text that a model can see at once. Everything counts: the system prompt, the \
whole conversation, your new message, and the answer itself. When the window is full, something has to be left \
out.

A model does not remember you between calls. Each time you press send, the whole conversation is sent again, and \
the model reads it from the top. That is why a long chat becomes slower and costs more with each turn.

If a chat grows too long, there are three ways out:

- Start a new chat and carry over only what matters.
- Ask for a summary, and begin the next chat with it.
- Lower the max tokens, so that less room is kept for the answer.

A short and clear prompt is often better than a long one. The model has less to read, and you have less to \
check.""",
    ),
    Page(
        "stream streaming speed fast slow latency ttft performance wait time measure metrics tokens per second",
        """\
When an answer streams, you see each word as soon as the model has picked it. The wait before the first word is \
called the time to first token. In that time the model reads your whole prompt, so a longer prompt means a \
longer wait.

After the first word the pace is steady, because each new word takes about the same work. The number of tokens \
per second tells you how fast a model writes. A person reads about five words per second, so anything faster \
than that feels quick.

Two models can be equally fast in the end and still feel very different. One waits for three seconds and then \
pours out the whole answer. The other begins at once and takes its time. Most people prefer the second, even \
when it finishes a little later.""",
    ),
    Page(
        "prompt prompts writing instruction instructions ask question better example examples compare comparison",
        """\
A good prompt says what you want, for whom, and in what shape. If you want three short points, ask for three \
short points. If the answer is for a child, say so in the first line.

An example is worth more than a rule. Show the model one question with the answer you would like, and the next \
answer will follow the same pattern. Two examples are better than one, and after five there is little left to \
gain.

When you compare two prompts, keep everything else the same. Use the same model, the same settings and the same \
set of questions, and write down what a good answer looks like before you read the first one. It is easy to like \
the answer that you saw last.""",
    ),
    Page(
        "bread bake baking flour oven dough yeast loaf recipe cook cooking kitchen food eat dinner",
        """\
Good bread needs flour, water, salt and time, and most of all it needs time. Mix the dough in the evening, cover \
the bowl, and leave it on the kitchen table until the morning. While you sleep, the yeast does the work that \
your arms would have to do.

In the morning the dough is soft and full of air. Fold it a few times, shape it into a loaf, and let it rest \
while the oven gets hot. Bake it until the crust is dark and the loaf sounds hollow when you knock on the bottom \
of it.

A simple loaf, for one small family:

| What | How much |
|---|---|
| Flour | 500 g |
| Water | 350 g |
| Salt | 10 g |
| Yeast | a pinch |

The hardest part is to wait until the bread is cool. A warm loaf is hard to cut, and the middle of it is still \
setting.""",
    ),
    Page(
        "tea coffee cup drink water boil breakfast milk kettle",
        """\
A cup of tea is a small experiment that you can repeat every day. Boil the water, warm the pot, and count the \
minutes. After two minutes the tea is light and sweet, and after five minutes it is dark and bitter.

Coffee is less patient. The first water that meets the ground coffee takes the best of it, and the last water \
takes what you would rather leave behind. So it is wise to stop a little early, and to use a little more coffee \
instead.

Both taste better when somebody else has made them. Nobody has measured why, but most people agree on it before \
breakfast.""",
    ),
    Page(
        "rain weather cloud clouds storm wind snow sun sunny summer winter autumn spring haiku poem sky cold",
        """\
Rain begins long before the first drop. The light turns grey, the birds fly lower, and the wind comes from a new \
side of the house. Then there is a short wait, as if somebody had put down a cup, and the first drops fall on \
the dry road.

The smell of rain on a dry road has a name, petrichor, and it comes from oils in the ground. It is strongest \
after a long dry summer. People who have been away for years say that it is the smell of home.

Here is a small poem about it:

> Rain on the tin roof,
> a hundred quiet fingers
> counting to the end.

After the rain, the air is clear and the hills look closer than before. It is a good time for a short walk, with \
good shoes and no plan.""",
    ),
    Page(
        "garden gardening plant plants flower flowers tree trees seedling soil grow tomato vegetable bee bees nature",
        """\
A garden is a slow conversation with the weather. You say something in the spring, and the answer comes in the \
autumn. Most of the work is to look, to wait, and to pull out what grew where nobody asked it to.

Begin with a small bed and three plants that want to live: beans, marigolds and a tomato. Give them water in the \
morning, so that the leaves are dry by night. Look at the soil before you look at the plants, because the soil \
decides the rest.

Bees find a garden before the neighbours do. If you leave one corner of it wild, they will come back every year, \
and the tomato will thank you for it.""",
    ),
    Page(
        "train trains travel trip journey station ticket holiday road city map walk visit plan",
        """\
The best place to think is the window seat of a slow train. The fields go by at the pace of a thought, and \
nobody expects you to be anywhere else. Now and then there is a small station with one lamp, one bench and one \
cat.

A good journey needs a plan that you are willing to lose. Know the first train and the last train, and leave the \
hours between them open. The place you remember is hardly ever the place on the ticket.

Before you leave, check three things:

- the time of the last train home
- a bottle of water
- a book that is longer than the journey

When you come back, the city looks a little different for a day. That day is part of the journey as well.""",
    ),
    Page(
        "cat cats dog dogs animal animals pet bird birds horse fish",
        """\
A cat is asleep for most of the day and busy for the rest of it. In the morning it wants to go out, and as soon \
as the door is open it wants to think about it. There is no setting for this.

A dog, on the other hand, is sure of everything. It is sure that the ball will be thrown, that the visitor is a \
friend, and that dinner is late. Most of the time it is right about the dinner.

Birds keep their own hours. The first one sings long before the sun is up, and by the time people make their \
coffee, the best of the concert is over.""",
    ),
    Page(
        "book books read reading library story stories novel author letter letters",
        """\
Once there was a small library at the end of a long road. It had one room, one lamp and four hundred books, and \
it was open whenever the lamp was lit. People came for the books and stayed for the quiet.

One winter the lamp went out, and nobody could say when it had happened. The next evening there were eleven \
lamps on the table, one from each house along the road. Since then the library has never closed, because \
somebody always has to come back for a lamp.

A story like this needs only three things: a place, a small change, and people who answer it. The rest is the \
order in which you tell it. Begin as late as you can, and stop as soon as the change is answered.""",
    ),
    Page(
        "code python program programming function bug debug software computer script javascript sort list",
        """\
A program is a letter to two readers. The computer does exactly what it says, and the next person has to \
understand why. Write it for the person, and the computer will not mind.

Here is the heart of a sampler like me, in a few lines of Python:

```python
import random

def pick(words, weights, temperature):
    if temperature == 0:
        return max(zip(weights, words))[1]
    scaled = [w ** (1 / temperature) for w in weights]
    return random.choices(words, scaled)[0]
```

When a program goes wrong, do not guess. Make the failure small, make it happen every time, and then read the \
code as if somebody else had written it. Most bugs are in the line that nobody looked at, because it was too \
simple to be wrong.

A test is a question that you ask the program every day. It is best when it is short, when it has a clear \
answer, and when it fails for one reason only.""",
    ),
    Page(
        "number numbers math maths mathematics sum average mean median statistics data chance dice calculate",
        """\
I cannot do sums, but I can tell you something about numbers. The average of a few answers says little until you \
know how far apart they are. Two sets with the same average can be as different as a calm sea and a storm.

When the numbers are small in count, look at the median and at the range. The median is the value in the middle, \
and one wild value does not move it. That is why the wait for an answer is given as a median and a 95th \
percentile.

If you throw a die six times, you will hardly ever see each side once. Chance is more uneven than people expect, \
and so a difference between two prompts has to be large, or seen many times, before it means something.""",
    ),
    Page(
        "moon sea ocean star stars night space sky earth planet light tide science physics blue",
        """\
The sea comes in twice a day, and the moon is the reason. It pulls at the water on the near side of the earth, \
and the earth turns below the bulge of it. On the far side there is a second bulge, because there the water is \
pulled the least.

The sky is blue because air scatters short waves of light more than long ones. In the evening the light comes \
through more air, most of the blue is lost on the way, and what is left is red.

On a clear night, far from the city, you can see about three thousand stars. The light of some of them set out \
before there were books, and it arrives just now, at the end of your road, in the time it takes to look up.""",
    ),
    Page(
        "sleep morning day habit habits work focus tired rest health walk routine productivity meeting email life "
        "advice",
        """\
A good day begins the evening before. Put the things you need by the door, write down the first small task, and \
leave the phone in another room. In the morning there is nothing to decide, and you can simply begin.

Work on the hard thing first, for as long as a pot of tea stays warm. Then take a short walk, even if it is only \
to the end of the road and back. The answer you were looking for often comes when you have stopped looking at \
it.

Be kind to the person who will do the rest of the work tomorrow, because it is you. Leave the last line half \
finished, so that there is an easy place to begin.""",
    ),
    Page(
        "music song sing guitar piano play game football paint art idea ideas learn teach friend friends love happy",
        """\
To learn a song, play it slowly, and then play it more slowly than that. At a slow pace the hands learn the \
right way first, and there is nothing to unlearn. Speed comes by itself, some weeks later, when nobody is \
looking.

The same is true of most things that are worth learning. A little every day is better than a lot on one day, and \
a friend who learns with you is better than either. It helps to teach what you learnt yesterday to somebody who \
will ask why.

An idea is a small and shy animal. Do not ask it for its papers at the door. Let it come in, give it something \
warm to drink, and ask your questions in the morning.""",
    ),
)

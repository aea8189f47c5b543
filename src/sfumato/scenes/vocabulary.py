"""The words of the bundled model's world: objects, places, times, colours, styles and how captions name them.

Pure data. A row of `OBJECTS` is one glyph of Noto Color Emoji under the name people use for it;
near-duplicates (horse and racehorse, wolf and fox face) are left out on purpose, so that a picture can be
judged right or wrong.
"""

from dataclasses import dataclass

_ANIMALS = """
dog 🐕|cat 🐈|black cat 🐈‍⬛|horse 🐎|unicorn 🦄|cow 🐄|pig 🐖|sheep 🐑|camel 🐪|giraffe 🦒|
elephant 🐘|mouse 🐁|rabbit 🐇/bunny|squirrel 🐿️|hedgehog 🦔|bear 🐻|panda 🐼|kangaroo 🦘|
rooster 🐓|chick 🐥|penguin 🐧|duck 🦆|swan 🦢|owl 🦉|flamingo 🦩|peacock 🦚|parrot 🦜|frog 🐸|
crocodile 🐊|turtle 🐢|snake 🐍|dinosaur 🦕|dragon 🐉|whale 🐋|dolphin 🐬|fish 🐟|tropical fish 🐠|
shark 🦈|octopus 🐙|snail 🐌|butterfly 🦋|bee 🐝|ladybug 🐞|spider 🕷️|crab 🦀|monkey 🐒|lion 🦁|
tiger 🐅|fox 🦊
"""
_PLANTS = """
tree 🌳|pine tree 🌲|palm tree 🌴|cactus 🌵|rose 🌹|tulip 🌷|sunflower 🌻|cherry blossom 🌸|
maple leaf 🍁|mushroom 🍄|potted plant 🪴
"""
_FOOD = """
red apple 🍎/apple|green apple 🍏|pear 🍐|orange 🍊|lemon 🍋|banana 🍌|watermelon 🍉|grapes 🍇|
strawberry 🍓|cherries 🍒|pineapple 🍍|eggplant 🍆|avocado 🥑|broccoli 🥦|carrot 🥕|corn 🌽|
bread 🍞|pretzel 🥨|cheese 🧀|hamburger 🍔|french fries 🍟|pizza 🍕|hot dog 🌭|fried egg 🍳|
popcorn 🍿|sushi 🍣|ice cream 🍦|doughnut 🍩|birthday cake 🎂|cup of coffee ☕|
"""
_VEHICLES = """
car 🚗|taxi 🚕|blue car 🚙|bus 🚌|fire engine 🚒|truck 🚚|tractor 🚜|bicycle 🚲|motorcycle 🏍️|
train 🚂/steam train|airplane ✈️/plane|helicopter 🚁|rocket 🚀|flying saucer 🛸/ufo|
sailboat ⛵/sailing boat|ship 🚢|balloon 🎈
"""
_BUILDINGS = """
house 🏠|castle 🏰|church ⛪|tent ⛺|tower 🗼|statue 🗽|fountain ⛲|factory 🏭|
"""
_THINGS = """
football ⚽/soccer ball|guitar 🎸|trumpet 🎺|piano 🎹|camera 📷|computer 💻/laptop|
clock ⏰/alarm clock|umbrella ☂️|crown 👑|hat 🎩/top hat|ring 💍|key 🔑|lamp 💡/light bulb|
candle 🕯️|book 📖|gift 🎁/present|teddy bear 🧸|heart ❤️|star ⭐|snowman ⛄|pumpkin 🎃|anchor ⚓|
chair 🪑|bell 🔔|robot 🤖|skull 💀|ghost 👻|bomb 💣|sword 🗡️|scissors ✂️|pencil ✏️|trophy 🏆|
toolbox 🧰|paint palette 🎨/palette
"""
_PEOPLE = """
astronaut 🧑‍🚀|clown 🤡|wizard 🧙|mermaid 🧜‍♀️|santa claus 🎅|fairy 🧚|princess 👸|
"""


@dataclass(frozen=True)
class Thing:
    """One drawable object: its `name` as captions say it, its `glyph` as the font draws it, and its `kind`
    (animal, food, ...). Captions for training also use the `synonyms`.
    """

    name: str
    glyph: str
    kind: str
    synonyms: tuple[str, ...] = ()


def _rows(kind: str, text: str) -> list[Thing]:
    rows: list[Thing] = []
    for cell in text.replace("\n", "").strip("|").split("|"):
        head, *synonyms = cell.split("/")
        name, _, glyph = head.rpartition(" ")
        rows.append(Thing(name, glyph, kind, tuple(synonyms)))
    return rows


OBJECTS: tuple[Thing, ...] = tuple(
    row
    for kind, text in {
        "animal": _ANIMALS,
        "plant": _PLANTS,
        "food": _FOOD,
        "vehicle": _VEHICLES,
        "building": _BUILDINGS,
        "thing": _THINGS,
        "person": _PEOPLE,
    }.items()
    for row in _rows(kind, text)
)
OBJECT_NAMES: tuple[str, ...] = tuple(thing.name for thing in OBJECTS)

#: Place -> phrases that put something there. The first is the one evaluation asks for.
PLACES: dict[str, tuple[str, ...]] = {
    "beach": ("on a beach", "on the beach", "at the beach"),
    "meadow": ("in a meadow", "on a meadow", "on green grass"),
    "snow": ("in the snow", "in snow", "on a snowy field"),
    "desert": ("in the desert", "in a desert", "on a sand dune"),
    "sea": ("in the sea", "on the sea", "on the ocean"),
    "space": ("in space", "in outer space", "among the stars"),
    "city": ("in a city", "in the city", "on a city street"),
    "forest": ("in a forest", "in the forest", "in the woods"),
    "mountains": ("in the mountains", "in front of mountains", "on a mountain"),
}
#: Plain backgrounds, as 8-bit RGB.
COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (250, 250, 248),
    "red": (214, 48, 49),
    "orange": (242, 140, 40),
    "yellow": (250, 218, 94),
    "green": (60, 163, 88),
    "blue": (52, 116, 200),
    "purple": (132, 78, 166),
    "pink": (246, 165, 192),
    "grey": (140, 142, 146),
    "black": (22, 22, 24),
}
BACKGROUNDS: tuple[str, ...] = (*PLACES, *COLOURS)

TIMES: dict[str, tuple[str, ...]] = {
    "day": ("",),
    "sunset": ("at sunset", "during sunset"),
    "night": ("at night", "by night"),
}
#: Places whose look depends on the time of day (space and plain colours do not).
TIMED_PLACES: tuple[str, ...] = tuple(place for place in PLACES if place != "space")

#: Style -> phrases; `{}` is the rest of the caption.
STYLES: dict[str, tuple[str, ...]] = {
    "plain": ("{}", "{}", "a picture of {}", "an image of {}"),
    "pencil sketch": (
        "pencil sketch of {}",
        "a pencil sketch of {}",
        "{}, pencil sketch",
        "a pencil drawing of {}",
    ),
    "black and white": (
        "black and white photo of {}",
        "a black and white picture of {}",
        "{}, black and white",
    ),
    "pixel art": ("pixel art of {}", "{}, pixel art", "{} as pixel art"),
    "watercolour": (
        "watercolour of {}",
        "a watercolour painting of {}",
        "{}, watercolour",
        "watercolor of {}",
    ),
    "oil painting": ("oil painting of {}", "an oil painting of {}", "{}, oil painting"),
}
STYLE_NAMES: tuple[str, ...] = tuple(STYLES)
#: Styles without colour: whoever sees them cannot tell a plain colour, nor the time of day.
COLOURLESS_STYLES: tuple[str, ...] = ("pencil sketch", "black and white")

#: Relation -> phrases between the first and the second object.
RELATIONS: dict[str, tuple[str, ...]] = {
    "next to": ("next to", "beside", "and"),
    "on": ("on", "on top of", "sitting on"),
    "riding": ("riding", "riding on"),
    "above": ("above", "over"),
    "left of": ("to the left of", "left of"),
}
#: The relation of two objects that are one: each a part of the same thing.
MIXED: str = "mixed with"
MIXED_WORDS: tuple[str, ...] = ("mixed with", "crossed with")
SIZES: dict[str, float] = {"small": 0.62, "normal": 1.0, "big": 1.32}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "big": ("big", "large", "huge"),
}
COUNT_WORDS: dict[int, str] = {2: "two", 3: "three"}

#: What can be ridden, so that captions about riding are about mounts.
MOUNTS: tuple[str, ...] = (
    "horse", "unicorn", "cow", "pig", "camel", "giraffe", "elephant", "turtle", "whale",
    "dolphin", "dragon", "dinosaur", "bicycle", "motorcycle", "rocket", "crocodile", "tiger", "snail",
)  # fmt: skip

_PLURALS = {
    "mouse": "mice",
    "sheep": "sheep",
    "fish": "fish",
    "tropical fish": "tropical fish",
    "fox": "foxes",
    "bunny": "bunnies",
    "butterfly": "butterflies",
    "octopus": "octopuses",
    "maple leaf": "maple leaves",
    "cherries": "bunches of cherries",
    "grapes": "bunches of grapes",
    "french fries": "bags of french fries",
    "scissors": "pairs of scissors",
    "strawberry": "strawberries",
    "cup of coffee": "cups of coffee",
    "bus": "buses",
    "church": "churches",
    "fairy": "fairies",
    "princess": "princesses",
    "bread": "loaves of bread",
    "corn": "ears of corn",
    "sushi": "pieces of sushi",
    "cheese": "pieces of cheese",
    "popcorn": "boxes of popcorn",
    "santa claus": "santa clauses",
    "cactus": "cactuses",
    "broccoli": "heads of broccoli",
}
#: Names that take no article, or carry their own.
_NO_ARTICLE = frozenset(
    {
        "grapes", "cherries", "french fries", "scissors", "bread", "corn", "sushi", "cheese", "popcorn",
        "broccoli", "santa claus",
    }
)  # fmt: skip


def with_article(noun: str) -> str:
    """`"frog"` -> `"a frog"`, `"owl"` -> `"an owl"`, `"grapes"` -> `"grapes"`."""
    if noun in _NO_ARTICLE:
        return noun
    vowel = noun[0] in "aeiou" and not noun.startswith(("unicorn", "ufo"))
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    """The plural as captions write it: `"mouse"` -> `"mice"`."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    return noun + ("es" if noun.endswith(("s", "x", "sh", "ch")) else "s")

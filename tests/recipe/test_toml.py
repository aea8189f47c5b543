import tomllib

from hypothesis import given
from hypothesis import strategies as st

from recipe.strategies import any_text, quick
from sfumato.recipe.syntax import clean_text
from sfumato.recipe.toml import dump_toml

keys = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text.map(clean_text)
)
inner_tables = st.dictionaries(keys, scalars, max_size=3)
tables = st.dictionaries(keys, scalars | inner_tables | st.lists(inner_tables, max_size=2), max_size=3)
values = scalars | st.lists(scalars, max_size=3) | tables | st.lists(tables, max_size=2)


@quick
@given(st.dictionaries(keys, values, max_size=5))
def test_what_is_written_is_read(table):
    assert tomllib.loads(dump_toml(table)) == table


def test_form():
    table = {
        "parts": [{"kind": "text"}, {"kind": "mix", "prompts": [{"ratio": 1.0}]}],
        "steps": 3,
        "seed": None,
    }
    assert dump_toml(table) == (
        'steps = 3\n\n[[parts]]\nkind = "text"\n\n[[parts]]\nkind = "mix"\n\n[[parts.prompts]]\nratio = 1.0\n'
    )


def test_tuples_are_lists():
    assert dump_toml({"a": (1, (True, "x")), "b": ()}) == 'a = [1, [true, "x"]]\nb = []\n'

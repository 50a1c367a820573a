import pytest

from hpsearch.space.fields import section_of
from hpsearch.space.requirements import RequirementError, parse_requirement
from tests.space.toy import Config

SETTINGS = section_of(Config)
CONFIG = Config.model_validate(
    {
        "data": {"corpus": "tiny"},
        "model": {"width": 64, "heads": 4, "sizes": [3, 5], "position": {"rope": {"base": 100.0}}},
        "train": {"learning_rate": 0.01},
    }
)


def broken(text):
    return parse_requirement(text, SETTINGS).broken(CONFIG)


@pytest.mark.parametrize(
    "text",
    [
        "model.width % model.heads == 0",
        "model.width // 3 == 21 and model.width / 128 == 0.5",
        "model.width == 4 ** 3 and -model.heads == 3 - 7",
        "2 < model.heads <= 4 < model.width",
        "not model.width > 100 or false",
        "model.position == 'rope' and model.position != 'learned'",
        "model.position.rope.base >= model.width",
        "model.activation in ['relu', 'gelu'] and model.heads not in (1, 2)",
        "train.clip == null and train.stopping == none and data.shuffle == true",
        "max(model.heads, 5, model.width) == 64 and min(model.heads, 5) == 4",
        "abs(model.heads - 6) == 2 and len(model.sizes) == 2 and model.sizes[1] == 5",
        "model.layers == 2 and 'in' in data.corpus",
    ],
)
def test_requirements_that_hold(text):
    assert not broken(text)
    assert broken(f"not ({text})")


@pytest.mark.parametrize(
    "text",
    [
        "model.position.learned != null and 1 == 2",  # an option not chosen
        "train.stopping.patience > 1000",  # a section that is not there
        "model.feed.mixture.router.gate.bias > 3 or model.heads == 5",
        "model.sizes[7] == 1",
    ],
)
def test_a_requirement_on_what_is_not_chosen_does_not_apply(text):
    assert not broken(text)


@pytest.mark.parametrize(
    "text",
    [
        "model.width / (model.heads - 4) > 0",
        "model.width % 0 == 0",
        "model.width ** 1000000 > 0",
        "model.width ** 60 ** 3 * 10 ** 60 > 0",
        "data.corpus * 1000000000 != 'x'",
        "data.corpus + 'x' != 'y'",
        "'%s' % data.corpus != 'y'",
        "data.corpus < 3",
        "train.clip > 0",
        "len(model.width) > 0",
        "model.width in 3",
    ],
)
def test_what_cannot_be_computed_is_broken(text):
    assert broken(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.widht > 1", "names an unknown setting 'widht' in model, did you mean 'width'?"),
        ("modle.width > 1", "names an unknown setting 'modle', did you mean 'model'?; known: data, model, train"),
        ("model.width.x > 1", "names an unknown setting 'x' in model.width; model.width is a single value"),
        ("model.position.rop.base > 1", "names an unknown setting 'rop' in model.position, did you mean 'rope'?"),
        ("model.width >", "cannot be read: invalid syntax"),
        ("", "cannot be read"),
        ("import os", "cannot be read: invalid syntax"),
        ("1 > 2", "names no setting, so it is always the same"),
        ("__import__('os').system('x') == model.width", "cannot be called; known: min, max, abs, len"),
        ("open(model.width) == 1", "open(...) cannot be called"),
        ("max(model.sizes, key=len) == 1", "max(...) cannot be called"),
        ("max() == model.width", "max(...) cannot be called"),
        ("[x for x in model.sizes] == 1", "is not allowed here"),
        ("(lambda: model.width)() == 1", "cannot be called"),
        ("model.width if true else 1", "is not allowed here"),
        ("model.width << 3 > 1", "the operator LShift is not allowed"),
        ("model.width is null", "the operator Is is not allowed"),
        ("~model.width > 1", "the operator Invert is not allowed"),
        ("model.width == 3j", "3j is not a number, text, true, false or null"),
        ("model.sizes[model.heads] == 1", "is not allowed here"),
        ("(y := model.width) > 1", "is not allowed here"),
        ("f'{model.width}' == '1'", "is not allowed here"),
        ("-" * 300 + "model.width > 1", "is nested too deeply"),
        ("(" * 300 + "model.width" + ")" * 180, "cannot be read"),
        ("model.width > 1" + " " * 500, "longer than 500 characters"),
        ("model.width > 1\0", "cannot be read"),
        (3, "3 is not a condition such as 'model.width % 2 == 0'"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(RequirementError) as caught:
        parse_requirement(text, SETTINGS)
    assert message in str(caught.value)

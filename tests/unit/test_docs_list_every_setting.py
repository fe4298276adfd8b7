"""`.env.example` and the README list every setting, with the default and the words of the code."""

import re

import pytest

from chatplay.settings import ROOT, Settings, env_example, load_settings, settings_table, variable_name

NAMES = [variable_name(field) for field in Settings.model_fields]


def test_env_example_is_what_the_settings_print():
    assert (ROOT / ".env.example").read_text() == env_example(), (
        "python -m chatplay settings-table --env > .env.example"
    )


def test_readme_holds_the_table_the_settings_print():
    assert settings_table() in (ROOT / "README.md").read_text(), "paste `python -m chatplay settings-table` there"


@pytest.mark.parametrize("name", NAMES)
def test_setting_is_listed_with_a_sentence(name):
    assert re.search(rf"^\| `{name}` \| .* \| .{{15,}} \|$", settings_table(), re.MULTILINE)
    assert f"\n# {name}=" in env_example()


def test_env_example_with_every_line_in_force_is_the_defaults(tmp_path):
    lines = re.sub(r"^# ([A-Z_]+=)", r"\1", env_example(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(lines)
    assert load_settings(env_file=tmp_path / ".env", environ={}, root=tmp_path).port == 8501

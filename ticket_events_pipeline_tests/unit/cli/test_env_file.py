"""A file .env holds every value so that python-dotenv, which Dagster reads it with, gives it back unchanged."""

import tempfile
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st

from ticket_events_pipeline.cli.env_file import env_text, known_variables
from ticket_events_pipeline.errors import UsageError

SECRET, AFTER = "ZENDESK_OAUTH_CLIENT_SECRET", "TICKET_EVENTS_ROOT"
STORABLE = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\0"))


@given(STORABLE)
@example('it\'s a # with "quotes", $HOME and ${HOME}')
@example("two\nlines\n")
@example("ends with a backslash\\")
@example("\\'\\\\'${:-x}")
@example("")
def test_every_value_comes_back_and_the_variable_after_it_too(value):
    text = env_text({SECRET: value, AFTER: "/srv/it's here"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_text(text, encoding="utf-8")
        assert dotenv_values(path) == {SECRET: value, AFTER: "/srv/it's here"}


def test_what_a_file_cannot_keep_is_refused_by_name_and_not_quoted():
    with pytest.raises(UsageError) as refused:
        env_text({SECRET: "hush\rhush"})
    assert str(refused.value).startswith(f"{SECRET}: ")
    assert "hush" not in str(refused.value)


def test_the_other_variables_stay_as_comments_with_their_meaning():
    empty, text = env_text({}), env_text({SECRET: "s3cret"})
    assert [line for line in text.splitlines() if line not in empty.splitlines()] == [f"{SECRET}=s3cret"]
    assert f"#{AFTER}=data" in text


def test_dagster_home_is_among_the_known_variables():
    assert {"DAGSTER_HOME", SECRET, AFTER} <= set(known_variables())

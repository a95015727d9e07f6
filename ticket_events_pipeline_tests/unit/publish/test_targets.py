"""Where tables can be published to: nowhere inside the root, nor around it."""

import pytest

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.publish.targets import parse_target
from ticket_events_pipeline.settings import PublishCatalog, parse_catalog, publish_settings


@pytest.mark.parametrize(
    ("target", "root"),
    [
        ("/srv/lake", "/srv/lake"),
        ("/srv/lake/delta", "/srv/lake"),
        ("/srv", "/srv/lake"),
        ("/srv/lake/../lake/x", "/srv/lake"),
        ("s3://bucket/lake/delta", "s3://bucket/lake"),
        ("s3://bucket", "s3://bucket/lake"),
        ("s3://bucket/lake", "s3://bucket"),
    ],
)
def test_a_place_in_or_around_the_root_is_refused(target, root):
    with pytest.raises(UsageError, match="lie in each other"):
        parse_target(target, root)


@pytest.mark.parametrize(
    ("target", "root"),
    [
        ("/srv/lakehouse", "/srv/lake"),
        ("s3://bucket/lakehouse", "s3://bucket/lake"),
        ("s3://other/lake", "s3://bucket/lake"),
        ("s3://bucket/lake", "/bucket/lake"),
    ],
)
def test_a_place_of_its_own_is_taken(target, root):
    assert parse_target(target, root) == target


def test_a_link_into_the_root_is_seen_through(tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    with pytest.raises(UsageError, match="lie in each other"):
        parse_target(str(tmp_path / "link" / "delta"), str(tmp_path / "lake"))


def test_the_catalog_and_its_namespace_are_one_variable():
    assert publish_settings({}).catalog == PublishCatalog("ticket-events", "zendesk")
    assert parse_catalog("lakehouse.zendesk.acme") == PublishCatalog("lakehouse", "zendesk.acme")
    with pytest.raises(ValueError, match=r"is not CATALOG\.NAMESPACE"):
        parse_catalog("lakehouse")

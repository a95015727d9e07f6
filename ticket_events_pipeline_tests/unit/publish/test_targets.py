"""Where tables can be published to: nowhere inside the root, nor around it."""

import pytest

from ticket_events_pipeline.errors import SettingsError, UsageError
from ticket_events_pipeline.publish.targets import Target, parse_target, refuse_shared_places
from ticket_events_pipeline.publish_settings import PublishCatalog, parse_catalog, publish_settings
from ticket_events_pipeline.settings import root_settings


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


@pytest.mark.parametrize("other", ["/x", "/x/sla_targets", "/", "/x/../x"])
def test_targets_in_or_around_each_other_are_refused_in_either_order(other):
    pair = [Target("delta", "/x", "ONE"), Target("iceberg", other, "OTHER")]
    for targets, names in ((pair, "ONE and OTHER"), (pair[::-1], "OTHER and ONE")):
        with pytest.raises(UsageError, match=f"{names} lie in each other"):
            refuse_shared_places(targets)


def test_targets_apart_from_each_other_are_taken():
    refuse_shared_places([Target("delta", uri, "--to delta") for uri in ("/x", "/xy", "s3://b/x", "s3://b/xy", "s3://x")])


@pytest.mark.parametrize("text", ["gs:/bad", "s3:/b/p", "file:/srv"])
def test_a_uri_that_lacks_a_slash_is_no_folder(text, tmp_path):
    with pytest.raises(UsageError, match="has one slash after its scheme"):
        parse_target(text, str(tmp_path))
    with pytest.raises(SettingsError, match="TICKET_EVENTS_ROOT: has one slash"):
        root_settings({"TICKET_EVENTS_ROOT": text})
    assert parse_target(f"./{text}", str(tmp_path)).endswith(f"/{text}")


def test_the_catalog_and_its_namespace_are_one_variable():
    assert publish_settings({}).catalog == PublishCatalog("ticket-events", "zendesk")
    assert parse_catalog("lakehouse.zendesk.acme") == PublishCatalog("lakehouse", "zendesk.acme")
    with pytest.raises(ValueError, match=r"is not CATALOG\.NAMESPACE"):
        parse_catalog("lakehouse")

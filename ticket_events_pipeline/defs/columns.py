"""The columns of an asset as Dagster shows them: types, what each means, and which columns it is made from."""

from __future__ import annotations

from itertools import groupby

import dagster as dg
import pyarrow as pa

from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.tables.column_docs import COLUMN_DOCS
from ticket_events_pipeline.tables.column_lineage import COLUMN_LINEAGE


def column_schema(asset: str, schema: pa.Schema) -> dict[str, dg.TableSchema]:
    """The columns of the asset, as its definition tells them."""
    columns = [dg.TableColumn(column.name, str(column.type), description=_description(asset, column.name)) for column in schema]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def column_lineage(scope: AccountScope, asset: str) -> dict[str, dg.TableColumnLineage]:
    """Which columns, one asset upstream, each column is made from, as a materialisation tells them."""
    deps = {
        column: [dg.TableColumnDep(asset_key=scope.key(upstream), column_name=name) for upstream, name in sources]
        for column, sources in COLUMN_LINEAGE[asset].items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def _description(asset: str, column: str) -> str:
    """With its sources: only Dagster's paid UI draws the lineage of columns."""
    sources = COLUMN_LINEAGE.get(asset, {}).get(column, [])
    by_asset = groupby(sorted(sources), key=lambda source: source[0])
    told = ", ".join(f"{upstream} ({', '.join(name for _, name in columns)})" for upstream, columns in by_asset)
    return f"{COLUMN_DOCS[asset][column]} Made from {told}." if told else COLUMN_DOCS[asset][column]

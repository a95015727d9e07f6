"""The columns of an asset as Dagster shows them: types, what each means, and which columns it is made from."""

from __future__ import annotations

import dagster as dg

from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import Column, Table


def column_schema(asset: str) -> dict[str, dg.TableSchema]:
    """The columns of the asset, as its definition shows them."""
    table = TABLES[asset]
    columns = [dg.TableColumn(column.name, str(column.type), description=_description(table, column)) for column in table]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def column_lineage(scope: AccountScope, asset: str) -> dict[str, dg.TableColumnLineage]:
    """Which columns, one asset upstream, each column is made from, as a materialisation shows them."""
    deps = {
        column: [dg.TableColumnDep(asset_key=scope.key(upstream), column_name=name) for upstream, name in sources]
        for column, sources in TABLES[asset].lineage.items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def _description(table: Table, column: Column) -> str:
    """With the columns upstream that it is made from: only Dagster's paid UI draws the lineage of columns."""
    names = dict.fromkeys(name for _, name in sorted(table.lineage[column.name]))
    return f"{column.doc} From: {', '.join(names)}." if names else column.doc

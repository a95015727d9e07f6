-- Between the first and the last stored day of a table, every day has its file. An empty day has one, too.
with file as (
    select
        regexp_extract(file, '([^/]+)/date=[^/]+/[^/]+$', 1) as asset,
        try_cast(regexp_extract(file, '/date=([^/]+)/[^/]+$', 1) as date) as date
    from glob('{{ env_var("TICKET_EVENTS_ROOT") }}/*/date=*/*.parquet')
    where file not like '%/ticket_snapshots/%'  -- has days on which tickets were asked for
)

select asset, range::date as date
from (select asset, min(date) as first, max(date) as last from file group by asset),
    lateral (select unnest(generate_series(first, last, interval 1 day)) as range)
where (asset, range::date) not in (select (asset, date) from file)

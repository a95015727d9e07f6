-- An open target is on every day until it closes: its newest row is its newest state.
with newest as (
    select max(try_cast(regexp_extract(file, '/date=([^/]+)/[^/]+$', 1) as date)) as newest_day
    from glob('{{ env_var("TICKET_EVENTS_ROOT") }}/sla_targets/date=*/*.parquet')
)

select
    target.*,
    outcome in ('active', 'breached_open') and date = newest_day as is_open,
    outcome in ('active', 'breached_open') and date < newest_day as is_stale
from {{ source('zendesk', 'sla_targets') }} as target
cross join newest
qualify row_number() over (partition by ticket_id, metric, instance_id order by date desc) = 1

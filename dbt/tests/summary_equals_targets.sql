-- The figures of the summary are counts of its day's targets.
with counted as (
    select
        date,
        sla_metric,
        count(*) filter (timezone('{{ var("timezone") }}', breached_at)::date = date and not superseded) as breaches,
        count(*) filter (outcome = 'achieved' and timezone('{{ var("timezone") }}', fulfilled_at)::date = date) as achieved,
        count(*) filter (outcome = 'breached' and timezone('{{ var("timezone") }}', fulfilled_at)::date = date) as completed_breached,
        count(*) filter (outcome in ('active', 'breached_open')) as active_eod,
        count(*) filter (outcome = 'breached_open') as breached_open_eod
    from {{ source('zendesk', 'sla_targets') }}
    group by date, sla_metric
),

summarized as (
    select
        date,
        sla_metric,
        sum(breaches) as breaches,
        sum(achieved) as achieved,
        sum(completed_breached) as completed_breached,
        sum(active_eod) as active_eod,
        sum(breached_open_eod) as breached_open_eod
    from {{ source('zendesk', 'daily_sla_breach_summary') }}
    group by date, sla_metric
)

select date, sla_metric, counted, summarized
from counted
full join summarized using (date, sla_metric)
where (counted.breaches, counted.achieved, counted.completed_breached, counted.active_eod, counted.breached_open_eod)
    is distinct from (
        summarized.breaches, summarized.achieved, summarized.completed_breached, summarized.active_eod, summarized.breached_open_eod
    )

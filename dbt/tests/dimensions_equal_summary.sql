-- The rows of every dimension but tag add up to the summary's.
with summarized as (
    select date, sla_metric, sum(breaches) as breaches, sum(achieved) as achieved, sum(active_eod) as active_eod
    from {{ source('zendesk', 'daily_sla_breach_summary') }}
    group by date, sla_metric
    having sum(breaches) + sum(achieved) + sum(active_eod) > 0
),

split as (
    select date, sla_metric, dimension, sum(breaches) as breaches, sum(achieved) as achieved, sum(active_eod) as active_eod
    from {{ source('zendesk', 'daily_sla_breaches_by_dimension') }}
    where dimension <> 'tag'
    group by date, sla_metric, dimension
)

select split.date, split.sla_metric, dimension, split.breaches, summarized.breaches as breaches_of_summary
from split
join summarized using (date, sla_metric)
where (split.breaches, split.achieved, split.active_eod)
    is distinct from (summarized.breaches, summarized.achieved, summarized.active_eod)

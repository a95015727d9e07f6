select
    date_trunc('week', date)::date as week,
    value as group_id,
    is_known,
    any_value(name) as group_name,
    sla_metric,
    sum(breaches)::bigint as breaches,
    sum(achieved)::bigint as achieved,
    sum(achieved) / nullif(sum(achieved) + sum(breaches), 0) as achievement_rate
from {{ ref('daily_breaches') }}
where dimension = 'group'
group by week, value, is_known, sla_metric

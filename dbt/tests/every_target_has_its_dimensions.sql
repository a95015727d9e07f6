-- On the days that have ticket tables, each row of sla_targets has one in sla_target_dimensions, and the other way round.
select date, ticket_id, metric, instance_id, target.outcome, dimension.at_kind
from {{ source('zendesk', 'sla_targets') }} as target
full join {{ source('zendesk', 'sla_target_dimensions') }} as dimension using (date, ticket_id, metric, instance_id)
where date in (select date from {{ source('zendesk', 'sla_target_dimensions') }})
    and (target.outcome is null or dimension.at_kind is null)

select
    breach.*,
    coalesce(
        names.name,
        value,
        case when not is_known then 'unknown' when dimension = 'assignee' then 'nobody' else 'none' end
    ) as name
from {{ source('zendesk', 'daily_sla_breaches_by_dimension') }} as breach
left join {{ ref('names') }} as names
    on names.id = value
    and names.kind = case dimension
        when 'group' then 'groups'
        when 'assignee' then 'agents'
        when 'brand' then 'brands'
        when 'form' then 'ticket_forms'
        when 'organization' then 'organizations'
    end

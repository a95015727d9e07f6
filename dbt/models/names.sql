-- The newest name of each id; without rows if names are turned off (ZENDESK_NAMES=none).
{% if is_stored('zendesk_names/*.parquet') %}
select
    regexp_extract(filename, '([a-z_]+)[.]parquet$', 1) as kind,
    id::varchar as id,
    name,
    is_deleted
from read_parquet('{{ env_var("TICKET_EVENTS_ROOT") }}/zendesk_names/*.parquet', union_by_name = true, filename = true)
qualify row_number() over (partition by kind, id order by seen_to desc nulls last, seen_from desc nulls last) = 1
{% else %}
select null::varchar as kind, null::varchar as id, null::varchar as name, null::boolean as is_deleted
where false
{% endif %}

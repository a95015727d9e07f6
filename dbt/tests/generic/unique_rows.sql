{# No two rows have the same values in the columns (SQL expressions); NULL is a value. #}
{% test unique_rows(model, columns) %}
select {{ columns | join(', ') }}, count(*) as rows_with_this_key
from {{ model }}
group by all
having count(*) > 1
{% endtest %}

{# Whether any file matches a glob below the root: DuckDB can't read a glob without files. #}
{% macro is_stored(glob) %}
  {%- if execute -%}
    {%- set found = run_query("select count(*) from glob('" ~ env_var('TICKET_EVENTS_ROOT') ~ "/" ~ glob ~ "')") -%}
    {{- return(found.columns[0].values()[0] > 0) -}}
  {%- endif -%}
  {{- return(false) -}}
{% endmacro %}

"""pyarrow doesn't import pandas by itself, and works with it as usual once somebody imports it."""

import subprocess
import sys

import pytest

DEFER = "from ticket_events_pipeline.pandas_on_demand import defer_pandas; defer_pandas()"

CONVERSIONS = """
import pandas as pd, pyarrow as pa
gap = pd.Series([1.0, None, 3.0])
zoned = pd.Series(pd.to_datetime(["2026-03-02 10:00", None]).tz_localize("Europe/Paris"))
found = [
    pa.array(gap), pa.array(gap.index), pa.array(zoned), pa.array(pd.Categorical(["a", "b", "a"])),
    pa.array(pd.array([1, None], dtype="Int64")), pa.array([pd.Timestamp(0)]),
    pa.table(pd.DataFrame({"a": gap, "b": zoned})), pa.record_batch(pd.DataFrame({"a": gap})), pa.table({"a": gap}),
    pa.scalar(1, pa.timestamp("ns")).as_py(), pa.array([1, None]).to_pandas(),
]
print("converted", *map(str, found), sep="\\n")
"""


def printed(program):
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout.splitlines()


def test_a_conversion_imports_no_pandas():
    program = f"import sys\n{DEFER}\nimport pyarrow as pa\nprint(pa.array([1, 2]).to_pylist(), 'pandas' in sys.modules)"
    assert printed(program) == ["[1, 2] False"]


@pytest.mark.parametrize(
    "before",
    [
        DEFER,
        f"{DEFER}\nimport pyarrow as pa\npa.array([1])",
        f"{DEFER}\nimport pyarrow as pa\npa.array([1]).to_pandas()",
        f"import pandas\n{DEFER}",
    ],
    ids=["deferred", "pyarrow used before", "imported by pyarrow", "imported before"],
)
def test_once_pandas_is_imported_its_objects_are_converted_as_usual(before):
    assert printed(before + CONVERSIONS) == printed(CONVERSIONS)


def test_pandas_is_still_imported_once_and_can_be_reloaded():
    program = f"import sys, importlib\n{DEFER}\nimport pandas as pd\nfinders = len(sys.meta_path)\nimportlib.reload(pd)\n"
    assert printed(program + "print(pd is sys.modules['pandas'], finders == len(sys.meta_path))") == ["True True"]

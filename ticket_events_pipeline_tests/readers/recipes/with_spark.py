from pyspark.sql import DataFrame, SparkSession

spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()  # the footer's `timezone`


def read(asset: str) -> DataFrame:
    """All days of an asset; columns that older files lack are NULL there."""
    files = spark.read.option("mergeSchema", True).option("basePath", f"data/{asset}")
    return files.parquet(f"data/{asset}/date=*/*.parquet")


day = read("daily_sla_breach_summary").where("date = DATE '2026-03-29'")
print(day.selectExpr("sum(breaches)").first()[0])

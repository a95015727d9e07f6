"""Makes the bucket that DAGSTER_LOGS_BUCKET names in the store of AWS_ENDPOINT_URL, unless it is there."""

import os

import boto3


def main() -> None:
    """Make the bucket."""
    s3 = boto3.client("s3")
    name = os.environ["DAGSTER_LOGS_BUCKET"]
    if name not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=name)


if __name__ == "__main__":
    main()

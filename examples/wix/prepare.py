"""Puts three months of flights and the model of their delay into the session's bucket.

The flights are Parquet. Whoever exported them wrote the delay at departure as text, and three times
no number at all.
"""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sagemaker

FLIGHTS = Path(__file__).parent.parent / "flights"
MONTHS = ["2013-01", "2013-02", "2013-03"]
WRONG = {("2013-01", 17): "n/a", ("2013-01", 1500): "soon", ("2013-03", 800): "?"}

session = sagemaker.Session()
bucket = session.default_bucket()
s3 = session.boto_session.client("s3")

for month in MONTHS:
    table = pq.read_table(FLIGHTS / "data" / f"{month}.parquet")
    delays = [WRONG.get((month, row), str(delay)) for row, delay in enumerate(table["dep_delay"].to_pylist())]
    at = table.schema.get_field_index("dep_delay")
    table = table.set_column(at, "dep_delay", pa.array(delays))
    written = io.BytesIO()
    pq.write_table(table, written)
    s3.put_object(Bucket=bucket, Key=f"flights/{month}.parquet", Body=written.getvalue())

packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w:gz") as archive:
    archive.add(FLIGHTS / "model.json", "model.json")
s3.put_object(Bucket=bucket, Key="models/delay/model.tar.gz", Body=packed.getvalue())
print(f"{len(MONTHS)} files are in s3://{bucket}/flights/")

"""Rows of a dataset of Parquet files, as pyarrow counts them.

    python parquet_rows.py FILE...

Ends with status 3 where pyarrow is not installed.
"""

import sys

try:
    import pyarrow.dataset
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(3)

print(pyarrow.dataset.dataset(sys.argv[1:], format="parquet").count_rows())

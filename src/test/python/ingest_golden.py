"""Writes small Parquet files in the layouts of img2dataset and Hugging Face datasets with pyarrow."""

import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(colour):
    out = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(out, "PNG")
    return out.getvalue()


def main(folder):
    red, green, blue = png("red"), png("green"), png("blue")
    pq.write_table(
        pa.table(
            {
                "key": ["0", "1", "2", "3"],
                "status": ["success", "success", "failed_to_download", "success"],
                "caption": ["a red square", "a green square", "gone", None],
                "jpg": pa.array([red, green, None, blue], pa.binary()),
            }
        ),
        folder / "img2dataset.parquet",
        row_group_size=3,
        compression="snappy",
    )
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(
        pa.table(
            {
                "image": pa.array(
                    [
                        {"bytes": red, "path": "red.png"},
                        {"bytes": green, "path": None},
                        None,
                    ],
                    image,
                ),
                "caption": pa.array(
                    [["red", "a red area"], ["green"], ["nothing to see"]], pa.list_(pa.string())
                ),
            }
        ),
        folder / "huggingface.parquet",
        compression="zstd",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Writes tables with pandas, as people write captions for open_clip, and as JSON what they hold."""

import csv
import json
import sys
from pathlib import Path

import pandas as pd

CAPTIONS = [
    "plain",
    "a comma, and another",
    'she said "hello"',
    '"quoted" from its start',
    '"',
    '""',
    'ends with a quote "',
    "two\nlines",
    "a blank line\n\nbetween, with a comma",
    "a tab\there",
    "  spaces around  ",
    "a backslash \\ and \\\" with a quote",
    "\u00e9t\u00e9 \u72ac \U0001f415",
    "semicolon; pipe | hash # apostrophe '",
    "line\u2028separator",
    "carriage\r\nreturn",
]


def main(folder):
    frame = pd.DataFrame(
        {"filepath": [f"img/{i}.jpg" for i in range(len(CAPTIONS))], "title": CAPTIONS}
    )
    frame.to_csv(folder / "pandas.csv", index=False, lineterminator="\n")
    frame.to_csv(folder / "pandas-index.csv", lineterminator="\n")
    frame.to_csv(folder / "pandas-tabs.csv", sep="\t", index=False, lineterminator="\n")
    frame.to_csv(folder / "pandas-quoted.csv", index=False, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    frame.to_csv(folder / "pandas-bom.csv", index=False, encoding="utf-8-sig", lineterminator="\n")
    frame.to_csv(folder / "pandas-utf-16.csv", index=False, encoding="utf-16", lineterminator="\r\n")
    frame.to_csv(
        folder / "pandas-escaped.csv", index=False, doublequote=False, escapechar="\\", lineterminator="\n"
    )
    (folder / "pandas.json").write_text(json.dumps(CAPTIONS, indent=1) + "\n")
    for name in sorted(folder.glob("pandas*.csv")):
        options = {"sep": "\t"} if "tabs" in name.name else {}
        options |= {"encoding": "utf-16"} if "utf-16" in name.name else {}
        options |= {"doublequote": False, "escapechar": "\\"} if "escaped" in name.name else {}
        assert list(pd.read_csv(name, lineterminator=None, **options)["title"]) == CAPTIONS, name


if __name__ == "__main__":
    main(Path(sys.argv[1]))

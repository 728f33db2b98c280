"""What TensorBoard reads from a folder of event files, as JSON: {tag: [[step, value], ...]}.

    python event_file.py FOLDER

Ends with status 3 where TensorBoard is not installed.
"""

import json
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(3)

events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps({
    tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
}))

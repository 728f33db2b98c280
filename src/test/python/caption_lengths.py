"""Numbers of tokens of real captions, for the benchmarks: one line "CLIP LLAMA" a caption, special tokens included.

    python src/test/python/caption_lengths.py LLAMA2_TOKENIZER_FOLDER WEBDATASET_TAR... > src/bench/caption-lengths.txt

The committed file counts 2,048 captions of Flickr8k's training split in a shuffled order.
"""

import json
import random
import sys
import tarfile

import open_clip
import tokenizers

captions = []
for archive in sys.argv[2:]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.endswith(".json"):
                captions += json.load(tar.extractfile(member))["captions"]
random.Random(0).shuffle(captions)
clip = open_clip.SimpleTokenizer()
llama = tokenizers.Tokenizer.from_file(f"{sys.argv[1]}/tokenizer.json")
for caption in captions[:2048]:
    print(len(clip.encode(caption)) + 2, len(llama.encode(caption).ids))

"""Compares the ids of vocabularies in GGUF files with those of llama.cpp.

usage: gguf-tokens.py GGUF_TOKENIZER TEXT_IDS SHARED_DATA WORK_FOLDER [--strings N] [--pre SOURCE] [FILE...]

Without files it trains small tokenizers on tinyshakespeare and writes them as vocabularies of the kinds `llama` (BPE by
scores, with bytes), `gpt2` under the first name of each way to cut a text, `bert` and `t5`; the texts are lines of that corpus, mixed
scripts, and N random strings. Texts with characters that Unicode added lately are left out: llama.cpp's tables are older.
Prints a line for each, and exits 1 where more differ than is known.
"""
import argparse
import ctypes
import json
import math
import os
import re
import struct
import subprocess
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "text"))
from texts import MIXED, random_strings
import gguf
import llama_cpp
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

parser = argparse.ArgumentParser()
parser.add_argument("json_of")
parser.add_argument("text_ids")
parser.add_argument("data")
parser.add_argument("work")
parser.add_argument("files", nargs="*")
parser.add_argument("--strings", type=int, default=1000)
parser.add_argument("--pre", default="", help="the table of names, as source text")
parser.add_argument("--show", action="store_true", help="print the first differences")
args = parser.parse_args()
os.makedirs(args.work, exist_ok=True)
quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))

lines = open(os.path.join(args.data, "tinyshakespeare", "input.txt"), encoding="utf-8").read().splitlines()
NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6
SPACE = "\u2581"


def write(name, kind, tokens, types, scores=None, merges=None, pre=None, **ids):
    path = os.path.join(args.work, name + ".gguf")
    w = gguf.GGUFWriter(path, "llama")
    for key in ("block_count", "context_length", "embedding_length", "feed_forward_length", "head_count"):
        getattr(w, "add_" + key)(64)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model(kind)
    if pre is not None:
        w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(types)
    if scores is not None:
        w.add_token_scores(scores)
    if merges is not None:
        w.add_token_merges(merges)
    for key, value in ids.items():
        getattr(w, "add_" + key)(value)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


def trained(model, trainer, pre=None, normalizer=None):
    t = Tokenizer(model)
    if pre is not None:
        t.pre_tokenizer = pre
    if normalizer is not None:
        t.normalizer = normalizer
    t.train_from_iterator(lines, trainer)
    vocab = t.get_vocab()
    return t, sorted(vocab, key=vocab.get)


def made():
    """The vocabularies, each with the share of texts that may differ from llama.cpp and why."""
    # BPE over characters: the score of a token is how early its merge came.
    t, tokens = trained(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False),
                        pre_tokenizers.Metaspace(split=False))
    tokens = tokens[:3] + [f"<0x{b:02X}>" for b in range(256)] + tokens[3:] + ["<|sep|>", "\n\n"]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * (len(tokens) - 261) + [USER, USER]
    scores = [0.0] * 259 + [-float(i // 2) for i in range(len(tokens) - 259)]  # two of each score
    yield write("llama", "llama", tokens, types, scores, bos_token_id=1, eos_token_id=2, unk_token_id=0, add_bos_token=True, add_eos_token=True), 0
    yield write("llama-tight", "llama", tokens, types, scores, bos_token_id=1, eos_token_id=2, unk_token_id=0, add_bos_token=False,
                add_space_prefix=False), 0

    t, tokens = trained(models.BPE(), trainers.BpeTrainer(vocab_size=1200, special_tokens=["<|end|>"], show_progress=False,
                                                          initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
                        pre_tokenizers.ByteLevel(add_prefix_space=False))
    merges = [m if isinstance(m, str) else " ".join(m) for m in json.loads(t.to_str())["model"]["merges"]]
    source = open(args.pre, encoding="utf-8").read() if args.pre else '{{"gpt-2"}}'
    for pre in re.findall(r'\{\{"([a-z][a-z0-9_.-]+)"', source):
        # o200k's capitals are \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}; llama.cpp has "all letters but a to z" for them, without marks.
        loose = pre in ("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2", "tekken", "tiny_aya", "cohere2moe")
        yield write("gpt2-" + pre, "gpt2", tokens, [CONTROL] + [NORMAL] * (len(tokens) - 1), merges=merges, pre=pre, bos_token_id=0, eos_token_id=0), \
            0.005 if loose else 0

    t, tokens = trained(models.WordPiece(unk_token="[UNK]"),
                        trainers.WordPieceTrainer(vocab_size=1500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False),
                        pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer())
    named = [x if i < 4 else x[2:] if x.startswith("##") else SPACE + x for i, x in enumerate(tokens)]
    # llama.cpp takes of composed characters the first part alone, where Hugging Face's library drops accents and keeps Hangul.
    yield write("bert", "bert", named, [CONTROL] * 4 + [NORMAL] * (len(tokens) - 4), bos_token_id=2, sep_token_id=3, unk_token_id=1, pad_token_id=0), 0.02

    t, tokens = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=1500, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False),
                        pre_tokenizers.Metaspace())
    scores = [s for _, s in json.loads(t.to_str())["model"]["vocab"]]
    yield write("t5", "t5", tokens, [CONTROL, CONTROL, UNKNOWN] + [NORMAL] * (len(tokens) - 3), scores, eos_token_id=1, unk_token_id=2, pad_token_id=0,
                add_space_prefix=True, remove_extra_whitespaces=True), 0


def ours(path, texts):
    json_path = path if path.startswith(args.work) else os.path.join(args.work, os.path.basename(path))
    json_path += ".json"
    with open(json_path, "wb") as f:
        subprocess.run([args.json_of, path], stdout=f, check=True)
    out = subprocess.run([args.text_ids, json_path], input=b"".join(struct.pack("<I", len(t)) + t for t in texts), stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in texts:
        (n,) = struct.unpack_from("<i", out, at)
        ids = list(struct.unpack_from(f"<{max(n, 0)}i", out, at + 4))
        at += 4 + 16 * max(n, 0)
        (more,) = struct.unpack_from("<I", out, at)
        at += 4 + more
        yield ids if n >= 0 else None


def old(text):
    return all(unicodedata.category(c) != "Cn" or ord(c) in (0xFFFD,) for c in text)


texts = [t for t in MIXED if old(t)] + lines[:1000]
texts += [t for t in (b.decode("utf-8", "replace") for b in random_strings(args.strings, 7, lines)) if old(t)]
texts = [t.encode() for t in texts]
failed = False
for path, allowed in ((f, math.inf) for f in args.files) if args.files else made():
    model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    bad = [(t, a, b) for t, a in zip(texts, ours(path, texts)) for b in [model.tokenize(t, add_bos=True, special=True)] if a != b]
    failed |= len(bad) > allowed * len(texts)
    print(f"{os.path.basename(path)}: {len(bad)} of {len(texts)} differ" + (" (more than is known)" if len(bad) > allowed * len(texts) else ""), flush=True)
    for t, a, b in bad[:3] if args.show else []:
        print(" ", t.decode(), "\n    ours ", a, "\n    theirs", b)
sys.exit(failed)

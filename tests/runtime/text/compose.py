"""Compares tokenizers of random parts with Hugging Face's library.

usage: compose.py TEXT_IDS SHARED_DATA WORK_FOLDER [--count N] [--seed N] [--texts N]

Each of the N tokenizers has a model of any kind, trained on some lines, and normalizers, pre-tokenizers, post-processors,
decoders, added tokens, truncation and padding drawn at random with random settings. Texts, alone and two by two, with and
without special tokens, must have the same ids, types, spans and decoded texts. A text that the library refuses is passed
over. Prints what differs, and exits 1 if anything did.
"""
import argparse
import json
import os
import random
import sys

from texts import BROKEN, MIXED, answers, charsmap, in_characters, random_strings
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("data")
parser.add_argument("work")
parser.add_argument("--count", type=int, default=200)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--texts", type=int, default=60)
args = parser.parse_args()
os.makedirs(args.work, exist_ok=True)
LINES = open(os.path.join(args.data, "tinyshakespeare", "input.txt"), encoding="utf-8").read().splitlines()[:1500] + MIXED
SPM = charsmap([*range(0xA0, 0x250), *range(0xFF00, 0xFFF0), *range(0x2000, 0x2150), *range(0x3000, 0x3400)])
FALLBACK = [f"<0x{b:02X}>" for b in range(256)]
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "[CLS]", "[SEP]", "<mask>"]
PATTERNS = [
    r"\s+", r"\w+", r"\W", r"\d", r"\d{1,3}", r"\p{L}+", r"\p{N}", r"[^\s\p{L}\p{N}]+", r"\p{P}", r"\p{Han}+", r"[\p{M}\p{Lu}]",
    r"\w+|[^\w\s]+", r" ?\p{L}+| ?[^\s\p{L}]+|\s+", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?=[A-Z])", r"[aeiou]", r"\b", r".", r"[^a-z]", r"[一-龥]+", r"[\p{Hiragana}\p{Katakana}]+", r"(?<=\s)\S", r"e$", r"^.", r"\p{Sc}|\p{Sm}", r"[[:punct:]]", r"[[:alpha:]]+",
    r"(\p{Lu}\p{Ll}*)", r"\p{Cyrillic}+|\p{Arabic}+|\p{Latin}+", r"[^\p{L}\s]", r"\S+", r"\R", r"(?m)^", r"(a|b)?", r"\h", r"\p{Emoji}", r"\X",
]
WORDS = ["e", " ", "th", "▁", "the", ",", "é", "漢", ".", "\n", "  ", "'"]


def some(r, options, most):
    return [r.choice(options)() for _ in range(r.randrange(1, most + 1))]


def pattern(r):
    return Regex(r.choice(PATTERNS)) if r.random() < 0.6 else r.choice(WORDS)


def normalizer(r):
    flip = lambda: r.random() < 0.5
    options = [
        normalizers.NFC, normalizers.NFD, normalizers.NFKC, normalizers.NFKD, normalizers.Lowercase, normalizers.StripAccents, normalizers.Nmt, normalizers.ByteLevel,
        lambda: normalizers.Strip(flip(), flip()), lambda: normalizers.Prepend(r.choice(["▁", "ab", " "])),
        lambda: normalizers.Replace(pattern(r), r.choice(["", " ", "▁", "xy", "é", "a漢b"])), lambda: normalizers.Precompiled(SPM),
        lambda: normalizers.BertNormalizer(flip(), flip(), r.choice([None, True, False]), flip()),
    ]
    if r.random() < 0.25:
        return None
    return normalizers.Sequence(some(r, options, 4)) if flip() else r.choice(options)()


def pre_tokenizer(r):
    flip = lambda: r.random() < 0.5
    behavior = lambda: r.choice(["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"])
    options = [
        pre_tokenizers.BertPreTokenizer, lambda: pre_tokenizers.ByteLevel(flip(), use_regex=flip()), lambda: pre_tokenizers.CharDelimiterSplit(r.choice("e ▁é")),
        lambda: pre_tokenizers.Digits(flip()), lambda: pre_tokenizers.FixedLength(r.randrange(1, 7)),
        lambda: pre_tokenizers.Metaspace(r.choice("▁_ é"), r.choice(["always", "first", "never"]), flip()), lambda: pre_tokenizers.Punctuation(behavior()),
        lambda: pre_tokenizers.Split(pattern(r), behavior(), flip()), pre_tokenizers.UnicodeScripts, pre_tokenizers.Whitespace, pre_tokenizers.WhitespaceSplit,
    ]
    if r.random() < 0.15:
        return None
    return pre_tokenizers.Sequence(some(r, options, 3)) if flip() else r.choice(options)()


def model(r):
    """An untrained model, its trainer, and what to do with its JSON afterwards."""
    flip = lambda: r.random() < 0.5
    kind = r.choice(["bpe", "bpe", "wordpiece", "wordlevel", "unigram"])
    size = r.randrange(400, 1500)
    if kind == "bpe":
        fallback = flip()
        prefix, suffix = r.choice(["", "", "##"]), r.choice(["", "", "</w>"])
        given = dict(fuse_unk=flip(), byte_fallback=fallback, ignore_merges=flip())
        if flip():
            given["unk_token"] = "<unk>"
        if prefix:
            given["continuing_subword_prefix"] = prefix
        if suffix:
            given["end_of_word_suffix"] = suffix
        more = {k: given[k] for k in ("continuing_subword_prefix", "end_of_word_suffix") if k in given}
        return models.BPE(**given), trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL + (FALLBACK if fallback else []), show_progress=False, limit_alphabet=r.choice([80, 1000]), **more), None
    if kind == "wordpiece":
        prefix = r.choice(["##", "@", ""])
        return models.WordPiece(unk_token="<unk>", max_input_chars_per_word=r.choice([100, 7]), continuing_subword_prefix=prefix), trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, continuing_subword_prefix=prefix, limit_alphabet=r.choice([80, 1000]), show_progress=False), None
    if kind == "wordlevel":
        return models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False), None
    def fallback(j):
        j["vocab"] += [[b, -20.0 - r.random()] for b in FALLBACK]
        j["byte_fallback"] = True
    return models.Unigram(), trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False), fallback if r.random() < 0.4 else None


def post_processor(r, id_of):
    flip = lambda: r.random() < 0.5

    def template():
        token = lambda: r.choice(["<s>", "</s>", "[CLS]", "[SEP]"])
        single = [token() for _ in range(r.randrange(3))] + [f"$A:{r.randrange(2)}"] + [token() + f":{r.randrange(3)}" for _ in range(r.randrange(3))]
        pair = single + [token()] * flip() + [f"$B:{r.randrange(2)}"] + [token() + ":1"] * flip()
        return processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(t, id_of(t)) for t in SPECIAL])

    options = [
        lambda: processors.ByteLevel(trim_offsets=flip(), add_prefix_space=flip()), template, template, lambda: processors.BertProcessing(("[SEP]", id_of("[SEP]")), ("[CLS]", id_of("[CLS]"))),
        lambda: processors.RobertaProcessing(("</s>", id_of("</s>")), ("<s>", id_of("<s>")), trim_offsets=flip(), add_prefix_space=flip()),
    ]
    kind = r.random()
    if kind < 0.3:
        return None
    if kind < 0.45:
        return processors.Sequence([options[0](), r.choice(options)()])
    return r.choice(options)()


def decoder(r):
    flip = lambda: r.random() < 0.5
    options = [
        lambda: decoders.BPEDecoder(r.choice(["</w>", "e"])), decoders.ByteFallback, decoders.ByteLevel, lambda: decoders.CTC("<pad>", r.choice(["|", "e", "▁"]), flip()), decoders.Fuse,
        lambda: decoders.Metaspace(r.choice("▁_"), r.choice(["always", "first", "never"]), flip()), lambda: decoders.Replace(pattern(r), r.choice(["", " ", "x", "漢"])),
        lambda: decoders.Strip(r.choice([" ", "e", "▁"]), r.randrange(3), r.randrange(3)), lambda: decoders.WordPiece(r.choice(["##", "@"]), flip()),
    ]
    if r.random() < 0.2:
        return None
    return decoders.Sequence(some(r, options, 4)) if flip() else r.choice(options)()


def made(seed):
    r = random.Random(seed)
    flip = lambda: r.random() < 0.5
    untrained, trainer, changed = model(r)
    t = Tokenizer(untrained)
    n, p = normalizer(r), pre_tokenizer(r)
    if n is not None:
        t.normalizer = n
    if p is not None:
        t.pre_tokenizer = p
    t.train_from_iterator(LINES, trainer)
    post, back = post_processor(r, t.token_to_id), decoder(r)
    if post is not None:
        t.post_processor = post
    if back is not None:
        t.decoder = back
    if flip():
        words = ["the king", "Citizen", "<br>", "zz", " you", "É", "\n", "漢字", "I'", "  ", "ſ", "Mar"]
        t.add_tokens([AddedToken(w, single_word=flip(), lstrip=flip(), rstrip=flip(), normalized=flip()) for w in r.sample(words, 4)])
    if flip():
        t.add_special_tokens([AddedToken(w, single_word=flip(), lstrip=flip(), rstrip=flip(), normalized=flip()) for w in r.sample(["<mask>", "<end>", "you", "[MASK]"], 2)])
    # There an added token that the normalizer leaves nothing of is found everywhere, and ends the process in the midst of a
    # character; here it is found nowhere.
    # Of two that it makes the same either may be found there.
    shapes = [n.normalize_str(a.content) if n else a.content for a in t.get_added_tokens_decoder().values() if a.normalized]
    if "" in shapes or len(set(shapes)) < len(shapes):
        raise ValueError("added tokens that cannot be told apart")
    if r.random() < 0.3:
        t.enable_truncation(r.randrange(8, 30), strategy=r.choice(["longest_first", "only_first", "only_second"]), direction=r.choice(["left", "right"]))
    if r.random() < 0.3:
        t.enable_padding(direction=r.choice(["left", "right"]), pad_id=3, pad_type_id=r.randrange(2), length=r.choice([None, 9, 40]), pad_to_multiple_of=r.choice([None, 8, 7]))
    if changed is not None:
        j = json.loads(t.to_str())
        changed(j["model"])
        t = Tokenizer.from_str(json.dumps(j))
    return t


def shown(t):
    j = json.loads(t.to_str())
    j["model"] = {k: v for k, v in j["model"].items() if k not in ("vocab", "merges")}
    for part in json.dumps(j["normalizer"]), :
        if len(part) > 1000:
            j["normalizer"] = part[:300]
    if j["post_processor"]:
        j["post_processor"].pop("special_tokens", None)
    j["added_tokens"] = [a for a in j["added_tokens"] if a["content"] not in SPECIAL + FALLBACK]
    return json.dumps(j, ensure_ascii=False)


wrong = made_of = refused = compared = 0
for number in range(args.count):
    seed = args.seed + number
    try:
        t = made(seed)
    except KeyboardInterrupt:
        raise
    except BaseException:  # the library does not put these parts together
        refused += 1
        continue
    made_of += 1
    path = os.path.join(args.work, f"{seed}.json")
    t.save(path)
    texts = [x.encode() for x in MIXED] + BROKEN + random_strings(args.texts, seed, LINES)
    seen = [x.decode(errors="replace") for x in texts]
    told = 0
    parts = json.loads(t.to_str())["model"]
    # Bytes of a prefix or suffix stand for nothing in the text: spans of what follows mean nothing there.
    dressed = parts.get("byte_fallback") and (parts.get("continuing_subword_prefix") or parts.get("end_of_word_suffix"))
    for flags in [], ["--no-special"], ["--pairs"]:
        ours = list(answers(args.program, path, texts, *flags))
        for i, mine in enumerate(ours):
            inputs = seen[2 * i:2 * i + 2] if flags == ["--pairs"] else [seen[i]]
            whole = all(s.encode() == x for s, x in zip(inputs, texts[2 * i:2 * i + 2] if flags == ["--pairs"] else [texts[i]]))
            try:
                theirs = t.encode(*inputs, add_special_tokens=flags != ["--no-special"])
                back = t.decode(theirs.ids)
            except BaseException as e:
                if isinstance(e, KeyboardInterrupt):
                    raise
                continue
            compared += 1
            differs = None
            if isinstance(mine, str):
                differs = ("error", mine, theirs.ids)
            elif mine[0] != theirs.ids:
                differs = ("ids", mine[0], theirs.ids)
            elif mine[1] != theirs.type_ids:
                differs = ("types", mine[1], theirs.type_ids)
            elif whole and not dressed and len(inputs) == 1 and in_characters(inputs[0], mine[2]) != theirs.offsets:
                bad = [k for k, (a, b) in enumerate(zip(in_characters(inputs[0], mine[2]), theirs.offsets)) if a != b][:4]
                differs = ("spans", [(theirs.tokens[k], in_characters(inputs[0], mine[2])[k]) for k in bad], [theirs.offsets[k] for k in bad])
            elif mine[3] != back:
                differs = ("decoded", mine[3], back)
            if differs and told < 2:
                if told == 0:
                    print(f"--- {seed}: {shown(t)}")
                told += 1
                print(f"{seed}: {differs[0]} of {inputs!r} {' '.join(flags)}\n  ours   {differs[1]!r}\n  theirs {differs[2]!r}\n  {theirs.tokens}")
    wrong += told > 0
print(f"{made_of} tokenizers ({refused} were not made), {compared} texts: {wrong} tokenizers differ")
sys.exit(1 if wrong else 0)

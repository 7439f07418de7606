"""What compare.py and compose.py share: texts of every kind, a map of characters as SentencePiece has them, and text-ids.
"""
import random
import struct
import subprocess
import sys
import unicodedata

MIXED = [
    "Hello, world! It's 10:42pm; I'd've said so.", "naïve café — déjà vu, Ångström, İstanbul ǅ ß ﬁ ﬂ ½ ② Ⅷ",
    "我爱北京天安门。今天天气很好,我们去公园散步吧!", "日本語のテキストとカタカナ、ひらがな", "한국어 문장입니다. 띄어쓰기도 있어요",
    "مرحبا بالعالم، كيف حالك اليوم؟ ١٢٣", "שלום עולם", "नमस्ते दुनिया, क्षत्रिय", "สวัสดีชาวโลก", "Привет, мир! Ёжик",
    "👍🏽 👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ☺ 🤷‍♀️", "e\u0301 a\u030a o\u0308\u0323 \u1100\u1161\u11a8", "a\u00a0b\u2003c\u3000d\u200be\ufefff\u2028g\u0085h",
    "tab\there\nnew\r\nline\x00nul\x07bell\x7fdel\x8f\x9f\xad", "   leading and trailing   ", "", " ", "\n\n\n", "a  b   c    d",
    "[CLS] hello [SEP] <s>x</s> <unk> <|endoftext|> [MASK]dog<mask> x<mask>y", "▁▁meta▁space ▁", "<0x41><0x0A> literal", "'S 'LL 'Re don'T",
    "12345678901234567890 3.14159 1,000,000 ½¾", "http://example.com/?q=a+b&c=%20#x_y-z", "snake_case camelCase ALLCAPS", "ﷺ ﹏ ﾊﾝｶｸ ＡＢＣ",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𓀀 𠜎", "x" * 150 + " " + "é" * 101 + " " + "漢" * 120,
]
BROKEN = [b"\xff\xfe abc", b"caf\xc3", b"\xe4\xbd", b"\xf0\x9f\x98 ok \xf0\x9f", b"\xed\xa0\x80\xed\xb0\x80", b"\xc0\xaf\xe0\x80\x80", b"a\x80b\xbfc", b"\xf4\x90\x80\x80", bytes(range(128, 256))]


def random_strings(n, seed, lines):
    """Bytes of any kind, and words of the lines among characters of all planes."""
    r = random.Random(seed)
    pools = [range(0x20, 0x7F), range(0x00, 0x250), range(0x250, 0x600), range(0x600, 0x900), range(0x900, 0x2000), range(0x2000, 0x3100),
             range(0x3100, 0xA000), range(0xA000, 0xD800), range(0xE000, 0x10000), range(0x10000, 0x20000), range(0x1F300, 0x1FB00),
             range(0x20000, 0x110000), range(0x300, 0x370), (0x20, 0x09, 0x0A, 0x0D, 0xA0, 0x2581, 0x3000, 0x200D, 0xFE0F)]
    words = [w for line in lines[:2000] for w in line.split()]
    out = []
    for _ in range(n):
        kind = r.random()
        if kind < 0.1:  # bytes of any kind
            out.append(bytes(r.randrange(256) for _ in range(r.randrange(1, 24))))
            continue
        s = ""
        for _ in range(r.randrange(1, 12)):
            if kind < 0.5 and r.random() < 0.6:
                s += r.choice(words) + r.choice(["", " ", ", ", "\n", "  "])
            else:
                pool = r.choice(pools)
                s += "".join(chr(r.choice(pool)) for _ in range(r.randrange(1, 5)))
        out.append("".join(c for c in s if not 0xD800 <= ord(c) < 0xE000).encode())
    return out


def charsmap(points):
    """A map of characters in SentencePiece's form, made here: NFKC of single characters, é from its parts, spaces."""
    table = {}
    for c in points:
        s = unicodedata.normalize("NFKC", chr(c))
        if s != chr(c):
            table[chr(c).encode()] = s.encode()
        d = unicodedata.normalize("NFD", chr(c))
        if d != chr(c) and len(d) == 2:
            table[d.encode()] = chr(c).encode()
    for c in "\t\n\r\u200b\ufeff":
        table[c.encode()] = b" " if c in "\t\n\r" else b""
    replacements, where = b"", {}
    for v in sorted(set(table.values())):
        where[v] = len(replacements)
        replacements += v + b"\0"
    # A double array, built level by level.
    trie = {}
    for key, v in table.items():
        node = trie
        for b in key:
            node = node.setdefault(b, {})
        node[None] = where[v]
    units, used = [0] * (1 << 16), [False] * (1 << 16)
    used[0] = True

    def place(node, at):
        labels = sorted(0 if k is None else k for k in node)
        base = 1
        while any(used[(at ^ base) ^ l] for l in labels) or base >= 1 << 15:
            base += 1
        units[at] |= base << 10
        to = at ^ base
        for l in labels:
            used[to ^ l] = True
        if None in node:
            units[at] |= 1 << 8
            units[to] = node[None] | 1 << 31
        for k, child in node.items():
            if k is not None:
                units[to ^ k] |= k
                place(child, to ^ k)

    sys.setrecursionlimit(10000)
    place(trie, 0)
    last = max(i for i in range(len(units)) if used[i])
    raw = b"".join(struct.pack("<I", u) for u in units[:last + 1])
    return struct.pack("<I", len(raw)) + raw + replacements


def answers(program, path, texts, *flags, timeout=600):
    """Of each text the ids, types, spans and decoded text, or the error."""
    blob = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    run = subprocess.run([program, path, *flags], input=blob, capture_output=True, timeout=timeout)
    if run.returncode != 0:
        sys.exit(f"{path}: {run.stderr.decode(errors='replace')}")
    out, at = run.stdout, 0

    def bytes_of():
        nonlocal at
        size, = struct.unpack_from("<I", out, at)
        at += 4 + size
        return out[at - size:at].decode()

    for _ in range(len(texts) // 2 if "--pairs" in flags else len(texts)):
        n, = struct.unpack_from("<i", out, at)
        at += 4
        if n < 0:
            yield bytes_of()
            continue
        numbers = struct.unpack_from(f"<{4 * n}I", out, at)
        at += 16 * n
        yield list(numbers[:n]), list(numbers[n:2 * n]), list(zip(numbers[2 * n::2], numbers[2 * n + 1::2])), bytes_of()


def in_characters(text, spans):
    """Spans of bytes of valid UTF-8 as spans of its characters."""
    place, at = [0] * (len(text.encode()) + 1), 0
    for i, c in enumerate(text):
        size = len(c.encode())
        place[at:at + size] = [i] * size
        at += size
    place[at] = len(text)
    if any(b >= len(place) for _, b in spans):
        sys.exit(f"{text!r} has spans outside: {spans}")
    return [(place[a], place[b]) for a, b in spans]

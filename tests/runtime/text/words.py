"""Compares the ids of words that belong together, and where those of each begin, with those of Hugging Face's tokenizers
for is_pretokenized.

usage: words.py TEXT_IDS TOKENIZER.json...

For each tokenizer encodes the same lists of words with both, of several lengths, with special tokens and without, whole and
cut. Prints a line for each tokenizer, and exits 1 if any list differs.
"""
import os
import struct
import subprocess
import sys

from texts import MIXED, random_strings
from tokenizers import Tokenizer


def words_of(program, path, lists, *flags):
    """Of each list of words, all of one length, its ids and where each word begins among them, or the error."""
    blob = b"".join(struct.pack("<I", len(w.encode())) + w.encode() for words in lists for w in words)
    run = subprocess.run([program, path, "--words", str(len(lists[0])), *flags], input=blob, capture_output=True, timeout=600)
    if run.returncode != 0:
        sys.exit(f"{path}: {run.stderr.decode(errors='replace')}")
    at = 0

    def numbers():
        nonlocal at
        n, = struct.unpack_from("<i", run.stdout, at)
        if n < 0:
            sys.exit(f"{path}: {run.stdout[at + 8:at + 200]!r}")
        at += 4 + 4 * n
        return list(struct.unpack_from(f"<{n}i", run.stdout, at - 4 * n))

    return [(numbers(), numbers()) for _ in lists]


def starts_of(encoding, count, cut):
    """Where each word begins by theirs: one without ids, which they do not place, begins where the next does."""
    own = encoding.word_ids
    found = [own.index(w) if w in own else None for w in range(count)]
    if cut:  # the words behind the last of which anything is left
        while found and found[-1] is None:
            found.pop()
    places = [i for i, w in enumerate(own) if w is not None]
    behind = min(places[-1] + 1, len(own) - 1) if places else 0
    for w in reversed(range(len(found))):
        if found[w] is None:
            found[w] = behind
        behind = found[w]
    return found


def main():
    program, *paths = sys.argv[1:]
    texts = [s.decode(errors="replace") for s in random_strings(250, 3, MIXED)] + MIXED
    singles = [w for text in texts for w in text.split(" ")] + texts
    failed = False
    for path in paths:
        tokenizer = Tokenizer.from_file(path)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        lists = wrong = misplaced = 0
        for length, most in ((1, 0), (2, 0), (7, 0), (7, 9), (23, 0), (23, 17), (23, 40)):
            groups = [singles[i:i + length] for i in range(length, len(singles) - length, length)]
            if most:
                tokenizer.enable_truncation(most)
            else:
                tokenizer.no_truncation()
            for special in (True, False):
                flags = [*(["--at-most", str(most)] if most else []), *([] if special else ["--no-special"])]
                for words, (ids, starts) in zip(groups, words_of(program, path, groups, *flags)):
                    theirs = tokenizer.encode(words, is_pretokenized=True, add_special_tokens=special)
                    lists += 1
                    cut = bool(theirs.overflowing)
                    expected = starts_of(theirs, length, cut)
                    # What is left without ids at a cut is theirs to leave out and ours to leave out or place.
                    same = starts[:len(expected)] == expected if cut else starts == expected
                    if ids != theirs.ids:
                        wrong += 1
                    elif not same:
                        misplaced += 1
                    if (ids != theirs.ids or not same) and wrong + misplaced <= 2:
                        print(f"{words!r} {' '.join(flags)}\n  ours   {ids} {starts}\n  theirs {theirs.ids} {expected}\n  {theirs.tokens}")
        print(f"{os.path.basename(path)}: {lists} lists: ids of {wrong} and beginnings of {misplaced} differ")
        failed |= wrong + misplaced > 0
    sys.exit(1 if failed else 0)


main()

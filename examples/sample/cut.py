#!/usr/bin/env python3
"""Cuts this sample out of the full data sets. What is taken from where, and under which licence, stands in SOURCES.md.

usage: examples/sample/cut.py DATA [OUT]     DATA: the collection's folder; OUT: where to write (default: this folder's data/)

The choice is a fixed rule (whole documents, or sentences evenly spaced), so that two runs write the same bytes.
"""
import pathlib
import sys


def blocks(path):
    """Sentences: runs of lines between empty ones."""
    current = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            current.append(line)
        elif current:
            yield current
            current = []
    if current:
        yield current


def documents(path):
    """Lists of sentences; a document begins at a sentence with a `# newdoc` comment."""
    found = []
    for sentence in blocks(path):
        if not found or any(line.startswith("# newdoc") for line in sentence):
            found.append([])
        found[-1].append(sentence)
    return found


def whole_documents(path, first, step, at_least):
    """Documents first, first + step, ... until there are `at_least` sentences (0: no end)."""
    taken = []
    for document in documents(path)[first::step]:
        taken += document
        if at_least and len(taken) >= at_least:
            break
    return taken


def evenly(items, count):
    items = list(items)
    count = min(count, len(items))
    return [items[k * len(items) // count] for k in range(count)]


def conllu(sentence, with_text):
    """Keeps ID, FORM, UPOS, HEAD, DEPREL and the comments sent_id (and text); the other columns become `_`."""
    for line in sentence:
        if line.startswith("#"):
            if line.startswith("# sent_id") or (with_text and line.startswith("# text =")):
                yield line
            continue
        column = line.split("\t")
        yield "\t".join([column[0], column[1], "_", column[3], "_", "_", column[6], column[7], "_", "_"])


def tagged(sentence, word, tag, separator):
    """Two columns, word and tag."""
    for line in sentence:
        if not line.startswith("#"):
            column = line.rsplit(" ", 1) if separator == " " else line.split("\t")
            yield f"{column[word]}\t{column[tag]}"


def write(path, sentences):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("\n".join(sentence) + "\n\n" for sentence in sentences)
    path.write_text(text, encoding="utf-8", newline="\n")


def cut_pos(data, out):
    ud = data / "ud"
    ewt = ud / "en_ewt/en_ewt-ud-{}.conllu"
    plan = {
        "en.train": whole_documents(pathlib.Path(str(ewt).format("train")), 0, 3, 0),
        "en.dev": whole_documents(pathlib.Path(str(ewt).format("train")), 1, 9, 300),
        "en.test": whole_documents(pathlib.Path(str(ewt).format("test")), 0, 2, 800),
        "mt.train": evenly(blocks(ud / "mt_mudt/mt_mudt-ud-train.conllu"), 600),
        "mt.dev": evenly(blocks(ud / "mt_mudt/mt_mudt-ud-dev.conllu"), 100),
        "mt.test": evenly(blocks(ud / "mt_mudt/mt_mudt-ud-test.conllu"), 200),
        "is.test": evenly(blocks(ud / "is_pud/is_pud-ud-test.conllu"), 150),
        "kk.test": evenly(blocks(ud / "kk_ktb/kk_ktb-ud-test.conllu"), 200),
        "tl.test": evenly(blocks(ud / "tl_trg/tl_trg-ud-test.conllu"), 128),
        "zh.test": evenly(blocks(ud / "zh_gsd/zh_gsd-ud-test.conllu"), 150),
    }
    for name, sentences in plan.items():
        write(out / f"pos.{name}.conllu", [conllu(s, not name.endswith("train")) for s in sentences])


def cut_ner(data, out):
    ner = data / "ner_other"
    ewt_test = ner / "uner_en_ewt/en_ewt-ud-test.iob2"
    plan = {
        "en.train": (blocks(ner / "uner_en_ewt/en_ewt-ud-dev.iob2"), 1, 2, "\t"),
        "en.dev": (whole_documents(ewt_test, 0, 4, 0), 1, 2, "\t"),
        "en.test": (whole_documents(ewt_test, 2, 4, 0) + whole_documents(ewt_test, 3, 4, 0), 1, 2, "\t"),
        "tr.train": (evenly(blocks(ner / "turkish_wiki_ner_tr/train.conll"), 1200), 0, 1, "\t"),
        "tr.dev": (evenly(blocks(ner / "turkish_wiki_ner_tr/dev.conll"), 150), 0, 1, "\t"),
        "tr.test": (evenly(blocks(ner / "turkish_wiki_ner_tr/test.conll"), 300), 0, 1, "\t"),
        "zh.train": (evenly(blocks(ner / "uner_zh_gsd/zh_gsd-ud-train.iob2"), 600), 1, 2, "\t"),
        "zh.dev": (evenly(blocks(ner / "uner_zh_gsd/zh_gsd-ud-dev.iob2"), 100), 1, 2, "\t"),
        "zh.test": (evenly(blocks(ner / "uner_zh_gsd/zh_gsd-ud-test.iob2"), 200), 1, 2, "\t"),
        "kk.test": (evenly(blocks(ner / "kaznerd_kk/IOB2_test.txt"), 400), 0, 1, " "),
    }
    for name, (sentences, word, tag, separator) in plan.items():
        write(out / f"ner.{name}.tsv", [tagged(s, word, tag, separator) for s in sentences])
    for language, folder in (("tr", "turkish_wiki_ner_tr"), ("kk", "kaznerd_kk")):
        lines = (ner / folder / "label_map.tsv").read_text(encoding="utf-8").splitlines()
        pairs = ["\t".join(line.split("\t")[:2]) for line in lines if not line.startswith("#")]
        (out / f"ner.{language}.labels.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")


# The stretch of each text file that is CC0 (Common Voice; Tagalog: TICO-19): first line, number of lines.
CC0_LINES = {"en": (0, 20000), "mt": (0, 5231), "tr": (0, 9690), "zh": (13000, 5442), "kk": (0, 6134), "is": (7218, 381),
             "tl": (0, 3049)}


def cut_text(data, out):
    for language, (first, count) in CC0_LINES.items():
        lines = (data / "text" / f"{language}.txt").read_text(encoding="utf-8").split("\n")[first:first + count]
        taken = evenly(lines, 560)
        held_out = taken[::9]
        train = [line for number, line in enumerate(taken) if number % 9]
        for split, part in (("train", train), ("test", held_out)):
            (out / f"mlm.{language}.{split}.txt").write_text("\n".join(part) + "\n", encoding="utf-8")


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    data = pathlib.Path(sys.argv[1])
    out = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else pathlib.Path(__file__).resolve().parent / "data"
    out.mkdir(parents=True, exist_ok=True)
    cut_pos(data, out)
    cut_ner(data, out)
    cut_text(data, out)


if __name__ == "__main__":
    main()

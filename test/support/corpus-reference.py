"""What the importer's texts must equal: the same rules (docs/formats/corpus.md) on whole trees of Python's ElementTree.

usage: corpus-reference.py FORMAT FILE…    prints a JSON array [[id, text], …] a file and line, newest records only
FORMAT: pubmed, jats, medline, bioc-xml, bioc-json, pubtator, jsonl
"""
import gzip
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

BLANKS = re.compile(r"[ \t\r\n]+")


def collapsed(text):
    return BLANKS.sub(" ", text).strip(" ")


def text_of(element):
    return "" if element is None else collapsed("".join(element.itertext()))


def read_bytes(path):
    opened = gzip.open(path) if path.endswith(".gz") else open(path, "rb")
    with opened as file:
        return file.read()


def labelled(parent):
    lines = []
    for part in parent.findall("AbstractText"):
        text = text_of(part)
        label = collapsed(part.get("Label", ""))
        if text:
            lines.append(text if label in ("", "UNLABELLED") else f"{label}: {text}")
    return lines


def citation(record):
    article = record.find("Article") if record.tag == "MedlineCitation" else record
    title = text_of(article.find("ArticleTitle")) if article is not None else ""
    if not title and record.find("Book/BookTitle") is not None:
        title = text_of(record.find("Book/BookTitle"))
    abstract = article.find("Abstract") if article is not None else None
    lines = labelled(abstract) if abstract is not None else []
    if not lines:
        for other in record.findall("OtherAbstract"):
            if other.get("Language", "eng") == "eng" and labelled(other):
                lines = labelled(other)
                break
    pmid = record.find("PMID")
    return text_of(pmid), int(pmid.get("Version", "1")), "\n".join(([title] if title else []) + lines)


def pubmed(path):
    root = ElementTree.fromstring(read_bytes(path))
    records = []  # [id, version, text], emptied when replaced
    newest = {}
    for child in root:
        if child.tag == "DeleteCitation":
            for pmid in child.findall("PMID"):
                gone = newest.pop(text_of(pmid), None)
                if gone is not None:
                    gone[2] = ""
            continue
        record = child
        if child.tag == "PubmedArticle":
            record = child.find("MedlineCitation")
        elif child.tag == "PubmedBookArticle":
            record = child.find("BookDocument")
        entry = list(citation(record))
        if not entry[2]:
            continue
        before = newest.get(entry[0])
        if before is not None and before[1] > entry[1]:
            continue
        if before is not None:
            before[2] = ""
        newest[entry[0]] = entry
        records.append(entry)
    return [(f"pmid:{pmid}", text) for pmid, _, text in records if text]


LEFT_OUT = set(
    "table-wrap table-wrap-group table fig fig-group graphic inline-graphic media supplementary-material "
    "inline-supplementary-material ref-list fn fn-group tex-math label object-id permissions".split()
)
LINES = set(
    "p title sec list list-item def-list def-item term def disp-quote disp-formula disp-formula-group boxed-text "
    "statement speech speaker verse-group verse-line attrib preformat".split()
)


def lines_of(element):
    """Lines of the text below an element: depth first, a new line wherever one of LINES begins or ends."""
    finished, current = [], []

    def end_line():
        line = collapsed("".join(current))
        current.clear()
        if line:
            finished.append(line)

    def inside(parent):
        current.append(parent.text or "")
        for child in parent:
            is_supplement = child.tag == "sec" and child.get("sec-type") == "supplementary-material"
            if child.tag == "break":
                current.append(" ")
            elif child.tag in LINES and not is_supplement:
                end_line()
                inside(child)
                end_line()
            elif child.tag not in LEFT_OUT and not is_supplement:
                inside(child)
            current.append(child.tail or "")

    inside(element)
    end_line()
    return finished


def jats(path):
    root = ElementTree.fromstring(read_bytes(path))
    documents = []
    for article in [root] if root.tag == "article" else root.iter("article"):
        meta = article.find("front/article-meta")
        ids = {each.get("pub-id-type"): text_of(each) for each in meta.findall("article-id")}
        lines = []
        for part in meta.iter():
            if part.tag == "title-group" and part.find("article-title") is not None:
                lines += lines_of(part.find("article-title"))
            elif part.tag == "abstract" and part.get("abstract-type") is None:
                lines += lines_of(part)
        if article.find("body") is not None:
            lines += lines_of(article.find("body"))
        if "pmc" in ids or "pmcid" in ids:
            name = "pmc:PMC" + re.sub("^PMC", "", ids.get("pmc", ids.get("pmcid")))
        elif "doi" in ids:
            name = f"doi:{ids['doi']}"
        else:
            name = f"pmid:{ids.get('pmid')}"
        if lines:
            documents.append((name, "\n".join(lines)))
    return documents


def bioc_xml(path):
    root = ElementTree.fromstring(read_bytes(path))
    documents = []
    for document in root.findall("document"):
        lines = []
        for passage in document.findall("passage"):
            line = text_of(passage.find("text"))
            line = line or collapsed(" ".join("".join(s.find("text").itertext()) for s in passage.findall("sentence")))
            lines += [line] if line else []
        documents.append((f"bioc:{text_of(document.find('id'))}", "\n".join(lines)))
    return documents


def bioc_json(path):
    documents = []
    for document in json.loads(read_bytes(path))["documents"]:
        lines = []
        for passage in document["passages"]:
            line = collapsed(passage.get("text", ""))
            line = line or collapsed(" ".join(sentence["text"] for sentence in passage["sentences"]))
            lines += [line] if line else []
        documents.append((f"bioc:{document['id']}", "\n".join(lines)))
    return documents


def medline(path):
    documents = []
    for block in re.split(r"\n[ \t\r]*\n", read_bytes(path).decode("utf-8").replace("\r\n", "\n")):
        joined = re.sub(r"\n {4,}", " ", block)
        fields = {}
        for line in joined.split("\n"):
            found = re.match(r"([A-Z][A-Z0-9]{1,3}) *- (.*)", line)
            if found:
                fields.setdefault(found.group(1), collapsed(found.group(2)))
        text = "\n".join(fields[tag] for tag in ("TI", "AB") if fields.get(tag))
        if text:
            documents.append((f"pmid:{fields['PMID']}", text))
    return documents


def pubtator(path):
    parts = {}
    for line in read_bytes(path).decode("utf-8").split("\n"):
        found = re.match(r"([^|\t]+)\|([ta])\|(.*)", line)
        if found:
            parts.setdefault(found.group(1), {})[found.group(2)] = found.group(3)
    return [(f"pmid:{name}", "\n".join(each[kind] for kind in "ta" if kind in each)) for name, each in parts.items()]


def jsonl(path):
    records = (json.loads(line) for line in read_bytes(path).decode("utf-8").split("\n") if line)
    return [(record.get("id", record.get("pmid")), record["text"]) for record in records]


READERS = {
    "pubmed": pubmed,
    "jats": jats,
    "medline": medline,
    "bioc-xml": bioc_xml,
    "bioc-json": bioc_json,
    "pubtator": pubtator,
    "jsonl": jsonl,
}

if __name__ == "__main__":
    for file in sys.argv[2:]:
        print(json.dumps(READERS[sys.argv[1]](file)))

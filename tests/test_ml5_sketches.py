"""ml5.check of a whole sketch: what it says of nn.load is what real ml5 does when the sketch runs in Chromium."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml5_browser import Ml5Error
from ml5_judge import Ml5Judge
from ml5_spoiling import GOOD, INPUTS, TASK, VERSIONS
from test_ml5_checking import failing

from tfjs_torch import ml5
from tfjs_torch.errors import FilesError
from tfjs_torch.ml5.scripts import Script
from tfjs_torch.ml5.sketches import path_of

INDEX = """<!DOCTYPE html>
<html>
  <head><meta charset="utf-8"><link rel="icon" href="data:,"><script src="ml5@{version}/ml5.min.js"></script></head>
  <body><input type="file" multiple>{inline}<script src="./js/sketch.js"></script></body>
</html>
"""

# Both versions take it: 0.x calls back when it has loaded, and tells no error.
SKETCH = """const picker = document.querySelector("input");
let nn;
async function setup() {{
  await ml5.tf.setBackend("cpu");
  nn = ml5.neuralNetwork({{ task: "classification" }});
  {body}
}}
async function ready() {{
  const found = [];
  for (const input of {inputs}) found.push(await nn.classify(input));
  window.answers = found;
}}
setup();
"""
WHOLE = '{ model: "model/model.json", metadata: "model/model_meta.json", weights: "model/model.weights.bin" }'


KEYS = ("label", "confidence")


@dataclass(frozen=True)
class Use:
    """What stands in a sketch, and what check calls it; `page`: as it is opened."""

    body: str
    code: str | None = None
    page: str = "index.html"
    picked: bool = False


USES = {
    "three addresses": Use(f"nn.load({WHOLE}, ready);"),
    "three addresses by a name": Use(f"const details = {WHOLE};\n  nn.load(details, ready);"),
    "no semicolons": Use(f"let place = 'model/model'\n  const details = {WHOLE}\n  nn.load(details, ready)"),
    "no semicolons, a folder": Use("let place = '/sketch/model'\n  nn.load(place, ready)", "load-folder"),
    "names for the parts": Use(
        'const model = "model/model.json", metadata = "model/model_meta.json";\n'
        '  const weights = "model/model.weights.bin";\n  nn.load({ model, metadata, weights }, ready);'
    ),
    "an address of the server": Use('nn.load("/sketch/model/model.json", ready);'),
    "a full address": Use('nn.load(new URL("model/model.json", location.href).href, ready);'),
    "an address beside the page": Use('nn.load("model/model.json", ready);', "load-relative"),
    "an address with a dot": Use("nn.load('./model/model.json', ready);", "load-relative"),
    "an address with a query": Use('nn.load("/sketch/model/model.json?v=2", ready);', "load-query"),
    "a folder": Use('nn.load("model/", ready);', "load-folder"),
    "a folder without a slash": Use("nn.load(`/sketch/model`, ready);", "load-folder"),
    "no weights": Use(
        'nn.load({ model: "model/model.json", metadata: "model/model_meta.json" }, ready);', "load-incomplete"
    ),
    "meta instead of metadata": Use(f"nn.load({WHOLE.replace('metadata:', 'meta:')}, ready);", "load-incomplete"),
    "no model": Use(
        'nn.load({ metadata: "model/model_meta.json", weights: "model/model.weights.bin" }, ready);', "load-incomplete"
    ),
    "files as they are": Use("picker.onchange = () => nn.load(picker.files, ready);", picked=True),
    "files in an array": Use("picker.onchange = () => nn.load([...picker.files], ready);", "load-array", picked=True),
    "files in another array": Use(
        "picker.onchange = () => nn.load(Array.from(picker.files), ready);", "load-array", picked=True
    ),
    "parsed JSON": Use(
        'const text = await (await fetch("model/model.json")).text();\n  nn.load(JSON.parse(text), ready);',
        "load-parsed",
    ),
    "parsed JSON as a part": Use(
        'const text = await (await fetch("model/model.json")).text();\n'
        f"  nn.load({WHOLE.replace(chr(34) + 'model/model.json' + chr(34), 'JSON.parse(text)')}, ready);",
        "load-parsed",
    ),
    "another folder": Use(f"nn.load({WHOLE.replace('model/model_', 'models/model_')}, ready);", "load-not-there"),
    "capitals": Use(f"nn.load({WHOLE.replace('model/model.j', 'model/Model.j')}, ready);", "load-not-there"),
    "modelUrl": Use(f'nn = ml5.neuralNetwork({{ task: "classification", modelUrl: {WHOLE} }}, ready);'),
    "modelUrl of a folder": Use(
        'nn = ml5.neuralNetwork({ task: "classification", modelUrl: "/sketch/model/" }, ready);', "load-folder"
    ),
}


def folder_of(version: str, body: str, inline: str = "") -> dict[str, bytes]:
    """{path: bytes} of a sketch with a good model in model/."""
    sketch = SKETCH.format(body=body, inputs=json.dumps(INPUTS))
    return {
        "index.html": INDEX.format(version=version, inline=inline).encode(),
        "js/sketch.js": sketch.encode(),
        **{f"model/{name}": content for name, content in GOOD.items()},
    }


def write(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def close(found: Any, right: Any) -> bool:
    labels, numbers = (
        [[[one[key] for one in result] for result in results] for results in (found, right)] for key in KEYS
    )
    return labels[0] == labels[1] and np.allclose(numbers[0], numbers[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", USES)
def test_check_foretells_what_ml5_does_with_a_sketch(ml5_judge: Ml5Judge, name: str, version: str) -> None:
    use, own = USES[name], VERSIONS[version]
    files = folder_of(own, use.body)
    try:
        answers = ml5_judge.run(own, files, GOOD if use.picked else {}, use.page)
        works = close(answers, ml5_judge.ask(own, "object", GOOD, TASK, INPUTS))
    except Ml5Error:
        works = False
    found = ml5.check(files)
    assert [finding.code for finding in found] == ([] if works else [use.code])
    assert {version for version, _ in failing(found)} == (set() if works else {version})


def test_a_page_whose_address_ends_in_a_slash_may_name_files_beside_it(ml5_judge: Ml5Judge) -> None:
    files = folder_of("1.4.0", USES["an address beside the page"].body)
    assert len(ml5_judge.run("1.4.0", files, {}, "")) == len(INPUTS)
    assert [finding.severity for finding in ml5.check(files)] == ["warning"]


TRAIN = """nn.load(WHOLE, () => {
    for (let i = 0; i < 8; i++) nn.addData({ r: i, g: 0, b: 0 }, { colour: i % 2 ? "red" : "yellow" });
    nn.normalizeData();
    nn.train({ epochs: 1 }, (...told) => (window.answers = told.map(String)));
  });""".replace("WHOLE", WHOLE)


@pytest.mark.parametrize("version", VERSIONS)
def test_training_after_loading_is_noted(ml5_judge: Ml5Judge, version: str) -> None:
    own = VERSIONS[version]
    try:
        told = "; ".join(ml5_judge.run(own, folder_of(own, TRAIN), {}, "index.html"))
    except Ml5Error as error:
        told = str(error)
    assert "compiled" in told
    (finding,) = ml5.check(folder_of(own, TRAIN))
    assert (finding.code, finding.severity, finding.where) == ("train-after-load", "note", "js/sketch.js, line 9")
    assert ml5.check(folder_of(own, TRAIN.replace("nn.normal", "nn.compile(); nn.normal"))) == []


def test_1x_that_only_loads_needs_a_backend(ml5_judge: Ml5Judge) -> None:
    files = folder_of("1.4.0", USES["three addresses"].body)
    files["js/sketch.js"] = files["js/sketch.js"].replace(b'await ml5.tf.setBackend("cpu")', b"")
    with pytest.raises(Ml5Error, match="backend"):
        ml5_judge.run("1.4.0", files, {}, "index.html")
    (finding,) = ml5.check(files)
    assert (finding.code, finding.where) == ("no-backend", "js/sketch.js, line 6")
    files["index.html"] = files["index.html"].replace(b"1.4.0", b"0.12.2")
    assert ml5.check(files) == []


# What is read, and what is not ----------------------------------------------------------------------------------------


def codes_of(files: Any) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in ml5.check(files)]


BAD = folder_of("1.4.0", USES["a folder"].body)
SAID = [("load-folder", "js/sketch.js, line 6")]


def test_a_sketch_may_be_a_folder_a_zip_or_files(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in BAD.items():
            archive.writestr(f"my sketch/{name}", content)
    (tmp_path / "sketch.zip").write_bytes(stream.getvalue())
    for source in (write(BAD, tmp_path / "sketch"), tmp_path / "sketch.zip", stream.getvalue(), BAD):
        assert codes_of(source) == SAID


def test_files_that_were_dropped_without_their_folders_are_not_missing(tmp_path: Path) -> None:
    flat = {
        name.rpartition("/")[2]: content for name, content in folder_of("1.4.0", USES["three addresses"].body).items()
    }
    assert codes_of(flat) == []
    folder = write(flat, tmp_path)
    assert codes_of(list(folder.iterdir())) == []
    assert {code for code, _ in codes_of(folder)} == {"load-not-there"}  # here folders are to be seen


def test_the_only_model_in_a_folder_below_is_the_one() -> None:
    below = {f"week 3/{name}": content for name, content in GOOD.items()} | {"README.md": b""}
    assert codes_of(below) == []
    assert ml5.load(below).classify(INPUTS[0]) == ml5.load(GOOD).classify(INPUTS[0])
    two = {**below, **{f"week 4/{name}": content for name, content in GOOD.items()}}
    assert [code for code, _ in codes_of(two)] == ["network-missing"]
    with pytest.raises(FilesError, match="one model"):
        ml5.load(two)


def test_folders_that_tools_serve_as_the_pages_own_are_seen() -> None:
    files = folder_of("1.4.0", USES["three addresses"].body)
    moved = {f"public/{name}" if name.startswith("model/") else name: content for name, content in files.items()}
    assert codes_of(moved) == []


@pytest.mark.parametrize(
    "address", ["C:\\\\Users\\\\me\\\\model.json", "file:///home/me/model.json", "model\\\\model.json"]
)
def test_places_of_a_disk_are_out_of_a_pages_reach(address: str) -> None:
    files = folder_of("1.4.0", f'nn.load({{ model: "{address}", metadata: x, weights: y }});')
    assert [code for code, _ in codes_of(files)] == ["load-not-there"]


def test_findings_name_the_files_of_the_model_with_their_folder() -> None:
    spoilt = {**BAD, "model/model_meta (1).json": BAD["model/model_meta.json"]}
    del spoilt["model/model_meta.json"]
    assert ("browser-duplicate", "model/model_meta (1).json") in codes_of(spoilt)


def test_a_sketch_does_not_keep_repair_from_its_work(tmp_path: Path) -> None:
    done = ml5.repair(BAD, tmp_path / "out")
    assert [sentence.partition(":")[0] for sentence in done] == ["Left as it is"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == GOOD


def test_lines_in_a_page_are_those_of_the_page() -> None:
    inline = '\n<script>\nlet other = ml5.neuralNetwork({ modelUrl: "/model/" });\n</script>'
    files = folder_of("1.4.0", USES["three addresses"].body, inline)
    assert codes_of(files) == [("load-folder", "index.html, line 6")]


VERSIONED = {
    "https://unpkg.com/ml5@1/dist/ml5.min.js": {"1.x"},
    "https://unpkg.com/ml5@latest/dist/ml5.min.js": {"1.x"},
    "https://cdn.jsdelivr.net/npm/ml5@0.12.2/dist/ml5.min.js": {"0.x"},
    "https://unpkg.com/ml5/dist/ml5.min.js": {"0.x", "1.x"},
    "ml5.min.js": {"0.x", "1.x"},
}


@pytest.mark.parametrize("address", VERSIONED)
def test_the_version_is_the_one_that_the_page_names(address: str) -> None:
    page = BAD["index.html"].replace(b"ml5@1.4.0/ml5.min.js", address.encode())
    found = ml5.check({**BAD, "index.html": page})
    assert {version for version, _ in failing(found)} == VERSIONED[address]


NOT_READ = {
    "a library": {"index.html": b'<script src="js/my.min.js"></script>', "js/my.min.js": BAD["js/sketch.js"]},
    "a script that no page names": {"index.html": b"<html></html>", "sketch.js": BAD["js/sketch.js"]},
    "a script of a megabyte": {"sketch.js": BAD["js/sketch.js"] + b" " * (1 << 20)},
    "a script elsewhere": {"index.html": b'<script src="https://example.org/js/sketch.js"></script>'},
    "another load": {"sketch.js": b'ml5.neuralNetwork({}); image.load("model/");'},
    "a comment of the page": {"index.html": b"<!-- <script>" + BAD["js/sketch.js"] + b"</script> -->"},
    "what is built in steps": {
        "sketch.js": b"nn = ml5.neuralNetwork(); const p = {model: 'model.json'}; p.metadata = x;"
        b"p['weights'] = y; nn.load(p); ml5.setBackend('cpu');"
    },
    "parameters": {
        "sketch.js": b"nn = ml5.neuralNetwork(); ml5.setBackend('cpu'); const place = 'm/'; const {a, b} = x;"
        b" function go(place) { nn.load(place); } const to = (place) => nn.load(place); nn.load(a); [a] = 'm/';"
        b" for (const at of ['m/']) nn.load(at);"
    },
    "two pages, one of which trains": {
        "train.html": b"<script>nn = ml5.neuralNetwork(); nn.train();</script>",
        "use.html": b"<script>nn = ml5.neuralNetwork(); nn.load('/model.json'); ml5.setBackend('cpu')</script>",
    },
    "what looks like code in patterns and templates": {
        "sketch.js": b"nn = ml5.neuralNetwork(); ml5.setBackend('cpu'); x = y.replace(/[/\"]/g, '');"
        b" nn.load('/m/m.json');"
        b'z = `a ${b ? `nn.load("m/")` : {c: "}"}} nn.load("m/")`; // "'
    },
    "what is set in odd ways": {
        "sketch.js": b"nn = ml5.neuralNetwork(); ml5.setBackend('cpu'); let a = 'm/', b = 'm/', c = 'm/', d = 'm/';"
        b" ({a} = x); [b] = f(); c ||= y; d ??= z; nn.load(a); nn.load(b); nn.load(c); nn.load(d);"
    },
    "a sound": {"sketch.js": b"model = ml5.neuralNetwork(); ml5.setBackend('cpu'); model.load('beep.mp3');"},
    "a page that waits": {"sketch.js": b"nn = ml5.neuralNetwork(); await ml5.tf.ready(); nn.load('/m/model.json');"},
    "what is only said": {
        "sketch.js": b'nn = ml5.neuralNetwork(); /* nn.load("m/") */ say("nn.load(\'m/\')"); // nn.load("m/")'
    },
    "what nobody can know": {
        "sketch.js": b'nn = ml5.neuralNetwork(); let a = "m/"; a = "n/"; nn.load(a); nn.load("m" + x);'
        b" nn.load(`m${x}`); nn.load(f()); nn.load(a ? b : c); nn.load(x[0]); nn.load(); ml5.setBackend('cpu');"
    },
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_known_is_not_told(name: str) -> None:
    assert codes_of({**GOOD, **NOT_READ[name]}) == []


def test_scripts_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.js"
    secret.write_bytes(BAD["js/sketch.js"])
    folder = write(
        {**GOOD, "index.html": b'<script src="../secret.js"></script><script src="link.js"></script>'}, tmp_path / "in"
    )
    (folder / "link.js").symlink_to(secret)
    assert codes_of(folder) == []
    (folder / "index.html").unlink()
    assert codes_of(folder) == []


@pytest.mark.parametrize(
    ("address", "path"),
    [("model/a%20b.json", "model/a b.json"), ("./x/../y.json#z", "y.json"), ("/x.json", None), ("//h/x.json", None),
     ("data:,x", None), ("x/../../y.json", None), ("a\\b.json", None), ("a%00.json", None)],
)  # fmt: skip
def test_addresses_below_a_page(address: str, path: str | None) -> None:
    assert path_of(address) == path


PIECES = st.sampled_from(
    ["nn", "=", "ml5", ".", "neuralNetwork", "(", ")", "load", "{", "}", "[", "]", ",", ":", ";", '"a/"', "'", '"', "`",
     "/", "//", "/*", "*/", "\\", "\n", "${", "await ", "model", "x", "...", "?.", "=>", "1", "é", "\0"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_text_is_read_without_harm(text: str) -> None:
    script = Script(text)
    assert all(text[token.at : token.at + len(token.text)] == token.text for token in script.tokens)
    list(script.calls("load", "neuralNetwork", "train"))
    ml5.check({**GOOD, "sketch.js": text.encode()})


@pytest.mark.parametrize("piece", ["load(", "load({a:", "{a:load([", "'", "`\\", "/[", "x=load,", "load(x);x={y:x};"])
def test_long_texts_take_no_more_than_their_length(piece: str) -> None:
    script = Script(piece * ((1 << 18) // len(piece)))
    assert len(list(script.calls("load"))) == piece.count("load(") * ((1 << 18) // len(piece))


PAGES = ("<script>", "<script ", "<script>a</scrip>", "<script></script>", "</script", "<", "<!--", "-", "<!---")


@pytest.mark.parametrize("piece", PAGES)
def test_long_pages_take_no_more_than_their_length(piece: str) -> None:
    page = piece.encode() * ((1 << 18) // len(piece))
    assert codes_of({**GOOD, **{f"{name}.html": page for name in range(9)}, "sketch.js": BAD["js/sketch.js"]}) == []

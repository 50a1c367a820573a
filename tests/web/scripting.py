"""Running the page's scripts without a browser: Node.js with the few parts of a document that they touch."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hpsearch.web

PAGE = Path(hpsearch.web.__file__).parent / "page"
DOCUMENT = """
class Element {
  constructor(tag) { Object.assign(this, { tag, children: [], style: {}, attributes: {}, listeners: {} }); }
  addEventListener(name, call) { this.listeners[name] = call; }
  removeEventListener() {}
  setAttribute(name, value) { this.attributes[name] = value; }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  get firstChild() { return this.children[0]; }
  get text() { return this.children.map((each) => each.text ?? String(each)).join(" "); }
  all(tag) {
    const below = this.children.filter((each) => each.all);
    return below.flatMap((each) => [...(each.tag === tag ? [each] : []), ...each.all(tag)]);
  }
  showModal() {}
  remove() {}
}
globalThis.document = new Element("html");
document.createElement = (tag) => new Element(tag);
document.body = new Element("body");
globalThis.window = { matchMedia: () => ({ matches: false, addEventListener() {} }), addEventListener() {} };
globalThis.location = { pathname: "/token/", hash: "" };
"""


def scripted(folder: Path, script: str, **values: Any) -> Any:
    """Run a script, which may import the page's files from "./NAME.js", and return what it gives to `tell`."""
    node = shutil.which("node")
    assert node is not None, "the tests of the page's scripts need Node.js: apt-get install nodejs"
    for file in PAGE.glob("*.js"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    given = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    tell = "const tell = (value) => console.log(JSON.stringify(value));\n"
    (folder / "test.mjs").write_text(f"{DOCUMENT}{tell}{given}{script}", encoding="utf-8")
    done = subprocess.run([node, "test.mjs"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

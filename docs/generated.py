"""What the site shows of the code: commands, the settings of each family, examples, notebooks, reports and benchmarks.

MkDocs calls `on_files` before it builds the site (`hooks:` in mkdocs.yml). Nothing is written into the checkout: these
pages are always those of the code from which the site is built.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from hpsearch.cli import app

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "spaces" / "schemas"
SHARED = ("family", "objective", "search", "require", "start", "confirm", "quick")
"""The sections that every space file has; they have a page of their own."""
RANGES = ({"choice"}, {"int"}, {"float"}, {"log"})
FORMATS = (".md", ".png", ".svg")
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and what stands outside `docs/`: examples, reports, CONTRIBUTING, CHANGELOG."""
    for place, text in pages().items():
        if (old := files.get_file_from_path(place)) is not None:
            files.remove(old)
        files.append(File.generated(config, place, content=text))
    reports = [path for path in sorted((ROOT / "reports").rglob("*")) if path.suffix in FORMATS]
    examples = sorted((ROOT / "examples").rglob("README.md"))
    for path in (*reports, *examples, *(ROOT / name for name in ROOT_PAGES)):
        files.append(File(str(path.relative_to(ROOT)), str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(text: str, *, page: Page, **_: Any) -> str:
    """Turn links that hold in the checkout into links that hold on the site, where `docs/` is the root."""
    text = re.sub(r"\[([^]]+)\]\([./]*hpsearch/[\w/]+\.py\)", r"\1", text)
    if page.file.src_uri.startswith(("reports/", "examples/", "notebooks/")):
        return re.sub(r"\]\(((?:\.\./)+)docs/", r"](\1", text)
    if page.file.src_uri in ROOT_PAGES:
        return text.replace("](docs/", "](")
    text = re.sub(r"\]\(([./]*notebooks/[\w-]+)\.ipynb\)", r"](\1.md)", text)
    outside = "|".join(["reports/", "examples/", "notebooks/", *ROOT_PAGES])
    return re.sub(rf"\]\(\.\./(?=(?:\.\./)*(?:{outside}))", "](", text)


def pages() -> dict[str, str]:
    """Return the text of each generated page, by its place on the site."""
    found = {"reference/command-line.md": commands()}
    found |= {f"notebooks/{path.stem}.md": notebook(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    schemas = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SCHEMAS.glob("*.json"))}
    study = schemas.pop("study")
    found["reference/study-file.md"] = "# The study file\n\n" + study_text(study)
    for name, schema in schemas.items():
        own = {key: value for key, value in schema["properties"].items() if key not in SHARED}
        parts = [f"# {name}\n", schema.get("description", ""), "\nEvery value may be a [range](../space-file.md).\n"]
        found[f"reference/families/{name}.md"] = "\n".join([*parts, *sections(own)])
    shared = {key: value for key, value in schemas["char_lm"]["properties"].items() if key in SHARED}
    text = (ROOT / "docs" / "reference" / "space-file.md").read_text(encoding="utf-8")
    found["reference/space-file.md"] = text + "\n## Every setting of a search\n\n" + "\n".join(sections(shared))
    return found


def notebook(path: Path) -> str:
    """Return a notebook as a page: its texts, and its code without outputs."""
    place = f"`{path.relative_to(ROOT)}`"
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.insert(1, f"This page is {place} of the clone, without outputs: open it in Jupyter to run it.")
    return re.sub(r"\]\(([\w-]+)\.ipynb\)", r"](\1.md)", "\n\n".join(parts))


# The command line


def commands() -> str:
    """Return a section for each command: its help, usage and options."""
    group = typer.main.get_group(app)
    lines = ["# The command line\n", group.help or "", ""]
    statuses = (
        "0 done, 1 the search failed or the answer is no (`overfit`, `doctor`), 2 a mistake in the command or a file, "
        "10 to 12 the answers of `challenge`"
    )
    lines += [f"Exit statuses: {statuses}, 130 interrupted.\n"]
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        if inner is not None and command.invoke_without_command:
            lines += command_lines(f"hpsearch {name}", command)
        if inner is None:
            lines += command_lines(f"hpsearch {name}", command)
            continue
        for below, one in inner.items():
            deeper = getattr(one, "commands", None)
            named = (
                {f"hpsearch {name} {below}": one}
                if deeper is None
                else {f"hpsearch {name} {below} {last}": each for last, each in deeper.items()}
            )
            for title, each in named.items():
                lines += command_lines(title, each)
    return "\n".join(lines)


def command_lines(title: str, command: Any) -> Iterator[str]:
    """Yield the lines of a command."""
    yield f"## {title}\n"
    yield f"{command.help}\n"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    yield f"```text\n{' '.join([title, *map(usage, arguments), '[OPTIONS]'])}\n```\n"
    if arguments:
        yield from ("| argument | |", "|---|---|")
        yield from (f"| `{each.name}` | {cell(each.help)} |" for each in arguments)
        yield ""
    if options:
        yield from ("| option | default | |", "|---|---|---|")
    for each in options:
        names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
        default = "" if each.default in (None, False, ()) or callable(each.default) else f"`{each.default}`"
        yield f"| {names} | {default} | {cell(each.help)} |"
    yield ""


def usage(argument: Any) -> str:
    """Return an argument as a usage has it: brackets around what may be left out, dots behind what may repeat."""
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


# Settings


def study_text(schema: Mapping[str, Any]) -> str:
    """Return the settings of a study's file."""
    return "\n".join([schema.get("description", ""), "", *sections(schema["properties"])])


def sections(properties: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table for each section of a file, a row for each setting by its dotted name."""
    plain = {name: each for name, each in properties.items() if not inner_of(each)}
    if plain:
        yield from table(plain, prefix="")
    for name, each in properties.items():
        if name not in plain:
            yield f"### {name}\n"
            if text := each.get("description"):
                yield f"{text}\n"
            yield from table(inner_of(each), prefix=f"{name}.")


def table(properties: Mapping[str, Any], *, prefix: str) -> Iterator[str]:
    """Yield the rows of some settings and of those below them."""
    yield from ("| setting | values | default | |", "|---|---|---|---|")
    yield from rows(properties, prefix=prefix)
    yield ""


def rows(properties: Mapping[str, Any], *, prefix: str) -> Iterator[str]:
    """Yield a row for each setting; the settings of an option stand below it."""
    for name, each in properties.items():
        default = f"`{json.dumps(each['default'])}`" if "default" in each else ""
        below = inner_of(each)
        kind = "" if below and not values(each) else ", ".join(values(each))
        yield f"| `{prefix}{name}` | {kind} | {default} | {cell(each.get('description'))} |"
        yield from rows(below, prefix=f"{prefix}{name}.")


def alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what a value may be, without the ranges."""
    for each in schema.get("anyOf", [schema]):
        if "anyOf" in each:
            yield from alternatives(each)
        elif not any(keys <= set(each.get("required", ())) for keys in RANGES):
            yield each


def inner_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings below one, those of all its options together."""
    found: dict[str, Any] = {}
    for each in alternatives(schema):
        for name, value in each.get("properties", {}).items():
            found.setdefault(name, value)
    return found


def values(schema: Mapping[str, Any]) -> list[str]:
    """Return in words what a value may be."""
    found = []
    for each in alternatives(schema):
        if "enum" in each:
            found += [f"`{json.dumps(value) if not isinstance(value, str) else value}`" for value in each["enum"]]
        elif "const" in each:
            found.append(f"`{each['const']}`")
        elif each.get("type") == "null":
            found.append("`null`")
        elif each.get("type") not in (None, "object"):
            found.append(f"{each['type']}{bounds(each)}")
    return list(dict.fromkeys(found))


def bounds(schema: Mapping[str, Any]) -> str:
    """Return the limits of a number in words."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {schema[key]}" for key, sign in signs.items() if key in schema)


def cell(text: str | None) -> str:
    """Return a text that stays within its cell."""
    return re.sub(r"\s+", " ", text or "").replace("|", "\\|").strip()

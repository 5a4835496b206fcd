"""A preprocessor of mdBook: links that leave the book lead to the repository.

    mdbook build        # book.toml names this file and the repository's address

Pages link to files beside the book (`../config/rules.toml`), which is right where the repository is looked at. In the
book there are no such files, so these links get the address that book.toml says.
"""

import json
import posixpath
import re
import sys

LINK = re.compile(r"(\]\()([^)\s:#]+)(#[^)\s]*)?(?=[)\s])")


def led(chapter: str, url: str, source: str) -> str:
    """The text of the chapter at this path, with the links that leave the book led to the repository."""

    def one(link: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(source, posixpath.dirname(chapter[0]), link[2]))
        if target == source or target.startswith(source + "/"):
            # mdBook makes README.md the index of its directory, and leaves the links to it as they are.
            return link[0].replace("README.md", "index.md")
        return f"{link[1]}{url.rstrip('/')}/{target}{link[3] or ''}"

    return LINK.sub(one, chapter[1])


def walk(items: list, url: str, source: str):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            if chapter["path"]:
                chapter["content"] = led((chapter["path"], chapter["content"]), url, source)
            walk(chapter["sub_items"], url, source)


if __name__ == "__main__":
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0)
    context, book = json.load(sys.stdin)
    config = context["config"]
    # mdBook 0.5 calls them items, 0.4 sections.
    walk(book.get("items") or book.get("sections"), config["preprocessor"]["repository"]["url"], config["book"]["src"])
    json.dump(book, sys.stdout)

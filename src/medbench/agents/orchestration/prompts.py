"""The agent's prompts: `prompts.toml`, and what a user's file puts in their place or adds."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template

from medbench.items.model import ItemLanguage
from medbench.text import LANGUAGES


@cache
def shipped() -> Mapping[str, Mapping[str, str]]:
    """Name -> language -> template."""
    source = files("medbench.agents.orchestration").joinpath("prompts.toml").read_text("utf-8")
    return tomllib.loads(source)


def placeholders(template: str) -> set[str]:
    """Names that a template has filled in.

    Raises:
        ValueError: A `$` stands alone; `$$` writes one.
    """
    pattern = Template(template)
    if not pattern.is_valid():
        raise ValueError(template)
    return set(pattern.get_identifiers())


class Prompts:
    """The prompts in one piece; what is filled in is never read as a template itself.

    Args:
        own: Language -> name -> template, in place of a shipped one or of a role of its own, then in every language.
    """

    def __init__(self, own: Mapping[ItemLanguage, Mapping[str, str]]) -> None:
        texts = {(name, language): said[language] for name, said in shipped().items() for language in LANGUAGES}
        texts |= {(name, language): text for language, said in own.items() for name, text in said.items()}
        self._templates = {place: Template(text.strip("\n")) for place, text in texts.items()}

    @property
    def revision(self) -> str:
        """SHA-256 (hex) over all of them."""
        digest = hashlib.sha256()
        for (name, language), template in sorted(self._templates.items()):
            digest.update(f"{name}\0{language}\0{template.template}\0".encode())
        return digest.hexdigest()

    def say(self, name: str, language: ItemLanguage, **values: object) -> str:
        """A prompt with its fields filled in."""
        return self._templates[name, language].substitute(values)

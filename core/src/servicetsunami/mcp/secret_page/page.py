"""What the page shows: who asks, where the secret will go, and a field for each secret. It works without scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from servicetsunami.operations.answers.visible import visible
from servicetsunami.sdk import Problem

_LONGEST_SHOWN = 400
_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 38rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { opacity: .75; }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-size: 1.15rem; font-weight: 700; letter-spacing: .12em; }
label { display: block; margin-top: 1rem; font-weight: 600; }
small { display: block; font-weight: 400; }
input, textarea { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit; }
button { margin-top: 1.2rem; padding: .6rem 1.4rem; font: inherit; font-weight: 600; }
[role=alert] { border-left: .3rem solid #c22; padding-left: 1rem; }
"""
_PROMISE = "What you type is stored encrypted, sent to what is named here and nowhere else, and shown to no model."
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}


@dataclass(frozen=True)
class Field:
    """One secret to give."""

    name: str
    about: str = ""
    long: bool = False
    """True for what has several lines, such as a key in PEM."""
    required: bool = True


@dataclass(frozen=True)
class Asked:
    """What a person is shown before giving a secret."""

    tenant: str
    subject: str
    connector: str
    name: str
    settings: Mapping[str, object]
    """Where the secret will go; none of it is secret."""
    fields: Sequence[Field]
    code: str
    """Also shown by whoever sent the person here, so that both can be compared."""
    minutes: int
    """How long the page lasts."""
    form_token: str
    problem: Problem | None = None
    """Why the last try failed."""
    sign_in_at: str = ""
    """The site where the person can sign in instead of giving a token; empty if there is none."""


def form(asked: Asked) -> str:
    """Return the page with the form."""
    facts = {
        "Connection": asked.name,
        "Connector": asked.connector,
        **{name: _setting(value) for name, value in asked.settings.items()},
        "Asked for by": f"{asked.subject} of tenant {asked.tenant}",
    }
    parts = (
        f"<p>Go on only if the program that sent you here shows this code: <code>{_text(asked.code)}</code></p>",
        f"<p>{_PROMISE}</p>",
        _facts(facts),
        _failure(asked.problem) if asked.problem else "",
        f'<form method="post" autocomplete="off"><input type="hidden" name="form" value="{_text(asked.form_token)}">',
        *map(_input, asked.fields),
        _sign_in(asked.sign_in_at) if asked.sign_in_at else "",
        "<button>Connect and test</button></form>",
        f"<p>This page can be used once, for {asked.minutes} more minutes.</p>",
    )
    return framed(f"Give the secret of '{asked.name}'", parts)


def leaving(site: str, url: str) -> str:
    """Return the page with the link to where a person signs in."""
    shown = _text(site)
    parts = (
        f"<p>Sign in at <strong>{shown}</strong> and allow what is asked there. You come back here by yourself.</p>",
        f'<p><a href="{escape(url)}" rel="noreferrer">Go on to {shown}</a></p>',
    )
    return framed("Sign in", parts)


def not_signed_in(problem: Problem | None) -> str:
    """Return the page for a person who came back and is not connected."""
    return framed("Not connected yet", [_failure(problem) if problem else "", "<p>Go back and begin again.</p>"])


def connected(name: str, tables: int | None) -> str:
    """Return the page that says that all went well."""
    reads = "" if tables is None else f" It can read {tables:,} {'table' if tables == 1 else 'tables'}."
    told = f"<p>The connection '{_text(name)}' works.{reads} You can close this page and go back.</p>"
    return framed("Connected", [told])


def void() -> str:
    """Return the page that stands where there is nothing to ask for: used, expired and unknown look the same."""
    told = "<p>This page was used, has expired, or never was. Ask for a new one where you were sent from.</p>"
    return framed("Nothing to do here", [told])


def framed(title: str, parts: Iterable[str]) -> str:
    """Return a whole page; its parts are HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{_text(title)}</h1>{''.join(parts)}</main></body></html>"
    )


def _facts(facts: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{_text(name)}</dt><dd>{_text(value)}</dd>' for name, value in facts.items())}</dl>"


def _failure(problem: Problem) -> str:
    lines = [problem.message, problem.why or "", problem.fix or ""]
    told = "".join(f"<p>{_text(line)}</p>" for line in lines if line)
    return f'<div role="alert"><h2>It did not work yet</h2>{told}</div>'


def _input(field: Field) -> str:
    name, required = _text(field.name), " required" if field.required else ""
    optional = "" if field.required else " Leave it empty if there is none."
    about = f"<small>{_text(field.about)}{optional}</small>" if field.about or optional else ""
    plain = f'name="secret.{name}" autocomplete="off" spellcheck="false" autocapitalize="off"{required}'
    box = f'<textarea rows="8" {plain}></textarea>' if field.long else f'<input type="password" {plain}>'
    return f"<label>{name}{about}{box}</label>"


def _sign_in(site: str) -> str:
    shown = _text(site)
    return (
        f"<p>You need no token if you sign in at {shown}: leave its field empty.</p>"
        f'<button name="act" value="sign-in">Sign in at {shown}</button> '
    )


def _setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _text(text: str) -> str:
    # A name may hold what cannot be seen, or turns the direction of what follows.
    shown = visible(text)
    return escape(shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…")

"""An envelope opens only as what it was sealed as, and only whole."""

from dataclasses import replace
from pathlib import Path

import pytest

from servicetsunami.records import Vault, open_vault
from servicetsunami.records.vault import SecretName
from servicetsunami.sdk import PermanentError

_NAME = SecretName("acme", "conn_1", "password", 3)
_SECRET = "pässword-of-some-length-4f8a"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path, master_key=None)


def _refusal(vault: Vault, name: SecretName, envelope: bytes) -> PermanentError:
    with pytest.raises(PermanentError) as refused:
        vault.open(name, envelope)
    return refused.value


def test_a_sealed_secret_opens_as_itself(vault: Vault) -> None:
    envelope = vault.seal(_NAME, _SECRET)

    opened = vault.open(_NAME, envelope)

    assert opened == _SECRET


@pytest.mark.parametrize("secret", ["", "x", "long " * 10_000, "\x00\n'\"\\"])
def test_any_text_can_be_sealed(vault: Vault, secret: str) -> None:
    assert vault.open(_NAME, vault.seal(_NAME, secret)) == secret


def test_the_same_secret_sealed_twice_gives_envelopes_with_nothing_in_common_but_the_head(vault: Vault) -> None:
    first, second = vault.seal(_NAME, _SECRET), vault.seal(_NAME, _SECRET)

    head = 10
    assert first[:head] == second[:head]
    assert first[head : head + 60] != second[head : head + 60]
    assert first[-40:] != second[-40:]


@pytest.mark.parametrize(
    "other",
    [
        replace(_NAME, tenant="other"),
        replace(_NAME, connection="conn_2"),
        replace(_NAME, field="token"),
        replace(_NAME, version=2),
        replace(_NAME, version=4),
        SecretName("acme", 'conn_1","password', "password", 3),
    ],
)
def test_an_envelope_moved_along_any_axis_does_not_open(vault: Vault, other: SecretName) -> None:
    envelope = vault.seal(_NAME, _SECRET)

    refusal = _refusal(vault, other, envelope)

    assert refusal.code == "secret_unreadable"


def test_no_envelope_with_a_flipped_bit_opens(vault: Vault) -> None:
    envelope = vault.seal(_NAME, _SECRET)
    flipped = [
        envelope[:index] + bytes([byte ^ (1 << bit)]) + envelope[index + 1 :]
        for index, byte in enumerate(envelope)
        for bit in range(8)
    ]

    codes = {_refusal(vault, _NAME, changed).code for changed in flipped}

    assert len(flipped) >= 1000
    assert codes == {"secret_unreadable"}


def test_no_truncated_or_lengthened_envelope_opens(vault: Vault) -> None:
    envelope = vault.seal(_NAME, _SECRET)
    changed = [envelope[:length] for length in range(len(envelope))] + [envelope + b"\x00", b""]

    codes = {_refusal(vault, _NAME, other).code for other in changed}

    assert codes == {"secret_unreadable"}


def test_the_halves_of_two_envelopes_do_not_open_together(vault: Vault) -> None:
    first, second = vault.seal(_NAME, _SECRET), vault.seal(_NAME, "another")

    refusal = _refusal(vault, _NAME, first[:70] + second[70:])

    assert refusal.code == "secret_unreadable"


def test_an_envelope_of_another_installation_does_not_open(vault: Vault, tmp_path: Path) -> None:
    other = open_vault(tmp_path / "other", master_key=None)

    refusal = _refusal(vault, _NAME, other.seal(_NAME, _SECRET))

    assert refusal.code == "secret_unreadable"


def test_a_refusal_reads_the_same_whatever_the_reason_and_tells_nothing_of_the_secret(vault: Vault) -> None:
    envelope = vault.seal(_NAME, _SECRET)

    problems = {
        _refusal(vault, _NAME, other).problem()
        for other in (b"", envelope[:-1], b"\x02" + envelope[1:], envelope[:5] + b"\xff\xff" + envelope[7:])
    }

    assert len(problems) == 1
    assert _SECRET not in str(problems)

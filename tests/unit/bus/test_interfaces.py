"""Finding and parsing the XML contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from joblet.bus import interfaces
from joblet.bus.interfaces import ContractError, Interface

NAME = "org.joblet1.Test"


@pytest.mark.parametrize(
    ("member", "attribute"),
    [
        ("RunJob", "run_job"),
        ("GetJob", "get_job"),
        ("Id", "id"),
        ("OwnerUid", "owner_uid"),
        ("ListJobsEncoded", "list_jobs_encoded"),
        ("HTTPPort", "http_port"),
        ("Stop", "stop"),
    ],
)
def test_members_get_python_names(member: str, attribute: str) -> None:
    assert interfaces.snake_case(member) == attribute


def _parsed() -> Interface:
    return interfaces.parse(
        f"""<node><!-- about it --><interface name="{NAME}"><!-- Do: does -->
        <method name="Do"><arg name="a" type="s" direction="in"/><arg name="b" type="a{{sv}}"/>
        <arg name="c" type="h" direction="out"/></method>
        <signal name="Done"><arg name="n" type="u"/></signal>
        <property name="Now" type="s" access="read"/>
        <property name="Never" type="u" access="read">
        <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
        </property></interface></node>""",
        NAME,
    )


def test_an_argument_without_a_direction_goes_in_for_methods_and_out_for_signals() -> None:
    interface = _parsed()
    assert interface.methods["Do"].in_signature == "sa{sv}"
    assert interface.methods["Do"].out_args == (("c", "h"),)
    assert interface.signals["Done"].signature == "u"


def test_a_property_emits_changes_unless_it_says_otherwise() -> None:
    interface = _parsed()
    assert interface.properties["Now"].emits == "true"
    assert interface.properties["Never"].emits == "false"


def test_comments_do_not_travel() -> None:
    assert "<!--" not in _parsed().xml


def test_the_contract_of_this_checkout_is_found() -> None:
    assert "RunJob" in interfaces.load("org.joblet1.Manager").methods


def test_the_installed_contract_is_found_without_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    (second / f"{NAME}.xml").write_text(f'<node><interface name="{NAME}"/></node>')
    monkeypatch.setattr(interfaces, "INSTALLED", (first, second))
    assert interfaces.find(NAME) == second / f"{NAME}.xml"


def test_a_missing_contract_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interfaces, "INSTALLED", (tmp_path,))
    with pytest.raises(ContractError, match=f"org.joblet1.Nothing is not installed .*{tmp_path}"):
        interfaces.find("org.joblet1.Nothing")


@pytest.mark.parametrize("text", ["<node", '<node><interface name="other"/></node>', "\udc80"])
def test_a_broken_contract_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file = tmp_path / "org.joblet1.Broken.xml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(interfaces, "INSTALLED", (tmp_path,))
    with pytest.raises(ContractError, match="Broken"):
        interfaces.load.__wrapped__("org.joblet1.Broken")

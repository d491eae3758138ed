"""rnx-config.yml: what is ours in it changes, everything else stays."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from joblet.client.nodes import Node, NodesFile, NodesFileError

PEM = "-----BEGIN X-----\nQUJD\n-----END X-----\n"


def node(name: str, address: str = "node1:50051") -> Node:
    return Node(name, address, cert=PEM + "c", key=PEM + "k", ca=PEM + "a")


def merged(text: str, *nodes: Node) -> dict[str, object]:
    file = NodesFile(text)
    file.put(nodes)
    tree = yaml.safe_load(file.text())
    assert isinstance(tree, dict)
    return tree


def test_a_new_file_has_the_keys_that_clients_read() -> None:
    assert merged("", node("default", "[fd00::1]:7000")) == {
        "version": "3.0",
        "nodes": {
            "default": {
                "isDefault": True,
                "address": "[fd00::1]:7000",
                "persistAddress": "[fd00::1]:50052",
                "cert": PEM + "c",
                "key": PEM + "k",
                "ca": PEM + "a",
            }
        },
    }


def test_pem_texts_are_blocks_as_people_expect_them() -> None:
    file = NodesFile()
    file.put([node("default")])
    assert "    key: |" in file.text()
    assert "\n      -----BEGIN X-----\n      QUJD\n" in file.text()
    assert "version: '3.0'" in file.text()


def test_other_nodes_and_unknown_keys_are_kept_in_their_order() -> None:
    text = """
version: "2.0"
mode: fast
nodes:
  zeta: {address: "z:1", cert: c, key: k, ca: a, colour: blue}
  alpha: {address: "a:1", nodeId: "7", tags: [x, y]}
"""
    tree = merged(text, node("alpha", "new:2"), node("beta"))
    assert tree["version"] == "2.0"
    assert tree["mode"] == "fast"
    nodes = tree["nodes"]
    assert isinstance(nodes, dict)
    assert list(nodes) == ["zeta", "alpha", "beta"]
    assert nodes["zeta"] == {"address": "z:1", "cert": "c", "key": "k", "ca": "a", "colour": "blue"}
    assert nodes["alpha"]["address"] == "new:2"
    assert (nodes["alpha"]["nodeId"], nodes["alpha"]["tags"]) == ("7", ["x", "y"])


@pytest.mark.parametrize(
    ("text", "added", "marked"),
    [
        ("", ["a", "b"], ["a"]),
        ("", ["a", "default"], ["default"]),
        ("nodes: {old: {}}", ["a"], ["a"]),
        ("nodes: {default: {}}", ["a"], ["default"]),
        ("nodes: {old: {isDefault: true}}", ["default"], ["old"]),
        ("nodes: {old: {isDefault: false}}", ["a"], ["a"]),
    ],
)
def test_one_node_is_the_default(text: str, added: list[str], marked: list[str]) -> None:
    nodes = merged(text, *map(node, added))["nodes"]
    assert isinstance(nodes, dict)
    assert [name for name, entry in nodes.items() if entry.get("isDefault")] == marked


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a\n- b", "no file of nodes"),
        ("just words", "no file of nodes"),
        ("nodes: [a]", "must name nodes"),
        ("nodes: {a: text}", "must name nodes"),
        ("nodes: {7: {}}", "the node name 7 is no text"),
        ("nodes: {a: [", "this is not YAML in line 1"),
        ("nodes: !!python/object/apply:os.system [id]", "this is not YAML"),
        ("a: \x00", "this is not YAML"),
        ("[" * 5000, "this is not YAML"),
        ("x" * (5 << 20), "too long"),
    ],
)
def test_what_is_no_file_of_nodes_is_refused(text: str, why: str) -> None:
    with pytest.raises(NodesFileError, match=why) as caught:
        NodesFile(text, origin="here.yml")
    assert str(caught.value).startswith("here.yml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [10, 340, 500, 2000])
def test_nesting_is_kept_or_refused(depth: int) -> None:
    try:
        file = NodesFile(f"x: {'[' * depth}{']' * depth}")
        again = NodesFile(file.text()).text()
    except NodesFileError:
        refused = True
    else:
        refused = False
        assert again == file.text()
    assert refused is (depth > 100)


def test_a_complaint_quotes_nothing_of_the_file() -> None:
    with pytest.raises(NodesFileError) as caught:
        NodesFile("nodes:\n  a:\n    key: SECRET: SECRET\n")
    assert "SECRET" not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        file = NodesFile(text)
    except NodesFileError:
        return
    file.put([node("default")])
    again = NodesFile(file.text())
    assert again.names == file.names
    assert again.text() == file.text()


LEAVES = st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.none())
TREES = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.lists(below, max_size=3), st.dictionaries(st.text(max_size=8), below, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=12), st.dictionaries(st.text(max_size=8), TREES, max_size=4), max_size=4
    )
)
def test_no_other_node_is_ever_lost(nodes: dict[str, dict[str, object]]) -> None:
    others = {name: entry for name, entry in nodes.items() if name != "ours"}
    for entry in others.values():
        entry["isDefault"] = False
    # quoted, since the library's other styles are not always read as they were meant
    tree = merged(yaml.safe_dump({"nodes": nodes}, default_style='"'), node("ours"))
    held = tree["nodes"]
    assert isinstance(held, dict)
    assert held.pop("ours")["address"] == "node1:50051"
    if "default" in others:
        others["default"]["isDefault"] = True
    assert held == others


# Reading


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nQUJD\n-----END EC PRIVATE KEY-----\n"


def written(**nodes: object) -> NodesFile:
    """A file with these nodes; what a test does not say of one is right."""
    right = {"address": "h:1", "cert": CERTIFICATE, "key": KEY, "ca": CERTIFICATE}
    tree = {"nodes": {name: {**right, **dict(keys)} for name, keys in nodes.items()}}  # type: ignore[call-overload]
    return NodesFile(yaml.safe_dump(tree), origin="file.yml")


def test_a_node_is_read_as_other_clients_wrote_it() -> None:
    file = written(one={"address": "host.example:7000", "nodeId": "id-1", "unknown": 5})
    assert file.node("one") == Node("one", "host.example:7000", CERTIFICATE, KEY, CERTIFICATE)
    assert (file.node_id("one"), written(one={}).node_id("one")) == ("id-1", "")


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("Host.Example:7000", "host.example:7000"),
        ("host", "host:50051"),
        ("10.0.0.1", "10.0.0.1:50051"),
        ("fd00::1", "[fd00::1]:50051"),
        ("[fd00::1]:7", "[fd00::1]:7"),
        (" host:1 ", "host:1"),
    ],
)
def test_an_address_without_a_port_has_the_usual_one(address: str, wanted: str) -> None:
    assert written(one={"address": address}).node("one").address == wanted


@pytest.mark.parametrize(
    ("nodes", "chosen"),
    [
        ({"a": {}, "b": {"isDefault": True}, "default": {}}, "b"),
        ({"a": {}, "default": {}}, "default"),
        ({"a": {}}, "a"),
        ({"a": {"isDefault": "yes"}, "default": {}}, "default"),
    ],
    ids=["marked", "by name", "the only one", "a mark that is none"],
)
def test_whoever_names_no_node_gets_the_default_one(
    nodes: dict[str, dict[str, object]], chosen: str
) -> None:
    assert written(**nodes).default == chosen
    assert written(**nodes).node().name == chosen
    assert written(**nodes).node("").name == chosen


@pytest.mark.parametrize(
    ("nodes", "name", "said"),
    [
        ({}, None, "does not say which node to use; it has none"),
        ({"a": {}, "b": {}}, None, "it has a, b; name one with --node"),
        ({"a": {}}, "c", "node 'c' is not in file.yml; it has a"),
        ({"a": {"address": None}}, "a", "node 'a' has no 'address'"),
        ({"a": {"address": 5}}, "a", "node 'a' has no 'address'"),
        ({"a": {"address": "http://h:1/"}}, "a", "node 'a': 'http://h:1/' is no address"),
        ({"a": {"address": "h:99999"}}, "a", "from 1 to 65535"),
        ({"a": {"cert": None}}, "a", "'cert' of node 'a' is no certificate in PEM"),
        ({"a": {"key": CERTIFICATE}}, "a", "'key' of node 'a' is no private key in PEM"),
        ({"a": {"ca": "ca.crt"}}, "a", "'ca' of node 'a' is no certificate in PEM"),
    ],
)
def test_what_a_file_lacks_is_told_with_its_name(
    nodes: dict[str, dict[str, object]], name: str | None, said: str
) -> None:
    with pytest.raises(NodesFileError) as refusal:
        written(**nodes).node(name)
    assert said in str(refusal.value)
    assert "file.yml" in str(refusal.value)
    assert "QUJD" not in str(refusal.value), "no part of a key is shown"

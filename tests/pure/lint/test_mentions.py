"""The servers that a text names: what is one, and that nothing but host and port comes out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.lint.mentions import servers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis-cart:6379", "redis-cart:6379"),
        ("a,kafka-0.kafka:9092,kafka-1.kafka:9092", "kafka-0.kafka:9092 kafka-1.kafka:9092"),
        ("mongodb://u:p@a:27017,b:27017/db", "a:27017 b:27017"),
        ("--upstream=http://api/", "api:80"),
        ("https://api", "api:443"),
        ("grpc://api", "api"),
        ("foo.bar.svc.cluster.local", "foo.bar.svc.cluster.local"),
        ("http://x.y.svc:81/z", "x.y.svc:81"),
        ("root@tcp(db:3306)/x", "db:3306"),
        ("server web:80;", "web:80"),
        ("go to http://web.", "web:80"),
        ("web:80abc", ""),
        ("user:1234@db:5432", "db:5432"),
        ("http://web:1234@[::1]/", ""),
        ("image:1.25", ""),
        ("db:5432:shop:user:hush", "db:5432"),
        ("web:99999", ""),
        ("web", ""),
    ],
)
def test_the_servers_of_a_text(text: str, expected: str) -> None:
    assert " ".join(map(str, servers(text))) == expected


@given(st.text(alphabet="abz09.-:@/, $()\n", max_size=300))
def test_of_any_text_a_host_and_a_port_come_out(text: str) -> None:
    for server in servers(text):
        assert 0 <= server.port <= 65535 and server.host in text
        assert f"{server}@" not in text

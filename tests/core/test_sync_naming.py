"""Names of tables: predictable, unquoted, and never empty."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicetsunami.sdk import ConfigError, Stream
from servicetsunami.sync.naming import identifier, wanted_tables


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Customers", "customers"),
        ("Order Items", "order_items"),
        ("2024 sales", "t_2024_sales"),
        ("日本", "t_e697a5e69cac"),
    ],
)
def test_a_name_is_folded_to_lower_case_letters_digits_and_underscores(text: str, folded: str) -> None:
    assert identifier(text) == folded


@given(st.text(min_size=1, max_size=200))
def test_any_text_gives_a_name_that_needs_no_quotes(text: str) -> None:
    assert re.fullmatch(r"[a-z_][a-z0-9_]{0,119}", identifier(text))


def test_a_table_outside_the_default_schema_is_named_after_both() -> None:
    names = wanted_tables(Stream("orders", namespace="sales"), "Shop", None)

    assert [str(name) for name in names[:3]] == [
        "bronze.sales_orders",
        "bronze.shop_sales_orders",
        "bronze.shop_sales_orders_2",
    ]


def test_a_target_is_the_only_name_wanted() -> None:
    names = wanted_tables(Stream("orders"), "shop", "all_orders")

    assert [str(name) for name in names] == ["bronze.all_orders"]


def test_a_target_that_needs_quotes_is_refused_with_one_that_does_not() -> None:
    with pytest.raises(ConfigError) as refused:
        wanted_tables(Stream("orders"), "shop", "All Orders")

    assert "all_orders" in (refused.value.fix or "")

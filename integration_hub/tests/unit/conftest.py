"""Unit tests need no site; where none is connected, sentences stay as they are written."""

import pytest

import frappe


@pytest.fixture(autouse=True)
def _no_translations(monkeypatch):
	if not getattr(frappe.local, "site", None):
		monkeypatch.setattr(frappe.local, "lang", "", raising=False)

"""Every setting stands under one heading, and docs/settings.md has all of them as they are."""

from oxidicom.setting_groups import GROUPS
from oxidicom.settings import Settings
from tests.settings_page import PAGE, with_settings


def test_every_setting_stands_under_one_heading():
    grouped = [variable for variables in GROUPS.values() for variable in variables]
    assert sorted(grouped) == sorted(str(field.alias) for field in Settings.model_fields.values())


def test_the_page_has_every_setting_with_its_default():
    page = PAGE.read_text("utf-8")
    assert with_settings(page) == page, "make settings-page"
    assert page.count("\n| `") == len(Settings.model_fields)

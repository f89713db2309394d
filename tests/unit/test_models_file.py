"""What `models.json` says after each step, and how it is read and written."""

from pathlib import Path

import pytest

from endcap.deploy.models_file import (
    Models,
    Named,
    in_use,
    read_models,
    rolled_back,
    with_shadow,
    without_shadow,
    write_models,
)
from endcap.errors import SettingsError

SPRING, SUMMER = Named("/models/spring", "a1"), Named("/models/summer", "b2")


def test_what_was_in_use_is_remembered_and_comes_back() -> None:
    models = in_use(in_use(Models(), SPRING), SUMMER)
    assert (models.current, models.previous) == (SUMMER, SPRING)
    back = rolled_back(models)
    assert (back.current, back.previous) == (SPRING, SUMMER)
    assert rolled_back(back) == models


def test_the_one_in_use_chosen_again_is_not_its_own_predecessor() -> None:
    models = in_use(in_use(Models(), SPRING), SUMMER)
    assert in_use(models, SUMMER) == models


def test_the_same_folder_trained_anew_is_another_model() -> None:
    anew = Named(SPRING.bundle, "c3")
    assert in_use(in_use(Models(), SPRING), anew).previous == SPRING


def test_a_shadow_stays_through_a_swap_and_is_none_once_it_is_in_use() -> None:
    tried = with_shadow(in_use(Models(), SPRING), SUMMER, 0.2)
    assert in_use(tried, Named("/models/autumn")).shadow == SUMMER
    used = in_use(tried, SUMMER)
    assert (used.current, used.shadow, used.shadow_share) == (SUMMER, None, 0.0)
    assert without_shadow(tried) == in_use(Models(), SPRING)


def test_without_a_bundle_from_before_there_is_no_way_back() -> None:
    with pytest.raises(SettingsError, match="endcap models use"):
        rolled_back(in_use(Models(), SPRING))


def test_the_file_says_afterwards_what_was_written_and_nothing_lies_beside_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "data" / "models.json"
    assert read_models(path) == Models()
    for models in (
        Models(),
        in_use(Models(), SPRING),
        with_shadow(in_use(in_use(Models(), SPRING), SUMMER), SPRING, 0.25),
    ):
        write_models(path, models)
        assert read_models(path) == models
    assert [found.name for found in path.parent.iterdir()] == ["models.json"]


def test_a_folder_alone_is_enough_in_a_file_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text('{"current": {"bundle": "/models/spring"}}')
    assert read_models(path).current == Named("/models/spring")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "truncated"),
        ('{"curent": {"bundle": "x"}}', "curent"),
        ('{"current": "x"}', "current"),
        ('{"shadow_share": 2}', "shadow_share"),
    ],
)
def test_a_file_of_another_form_is_named_with_what_is_wrong(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "models.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=rf"models\.json.*{says}.*endcap models use"):
        read_models(path)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="ENDCAP_MODELS_FILE"):
        write_models(tmp_path / "file" / "models.json", Models())

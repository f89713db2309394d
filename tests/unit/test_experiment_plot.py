"""The picture of an experiment, and what the commands can do without."""

import subprocess
import sys
import xml.etree.ElementTree as ET

from endcap.deploy.experiment_plot import uplift_picture
from endcap.experiments import Counting, Experiment, Impression, Report, ShownAt, Variant, report_of

SUMMER = Experiment(
    "summer", "2026-01-01", "2026-02-01", (Variant("control", 0.5), Variant("treated", 0.5))
)
_ALONE = (
    "import sys\n"
    "for name in ('torch', 'polars', 'jinja2', 'onnxruntime', 'redis', 'psutil', 'scipy'):\n"
    "    sys.modules[name] = None\n"
    "import endcap.deploy.experiment_plot\n"
    "import endcap.streams.experiment_records\n"
    "from endcap.deploy.cli import main\n"
    "main()\n"
)


def a_report(control: int, treated: int, clicks_every: int = 4) -> Report:
    counting = Counting(SUMMER)
    for variant, number in (("control", control), ("treated", treated)):
        for place in range(number):
            for kind in ("shown", "clicked") if place % clicks_every == 0 else ("shown",):
                counting.impression(
                    Impression(
                        impression_id="1",
                        user_id=f"{variant}-{place}",
                        kind="shown" if kind == "shown" else "clicked",
                        placement="home",
                        items=(ShownAt("milk", 1),),
                        list_version=7,
                        model="m",
                        timestamp_ms=SUMMER.start_ms,
                        variant=f"summer={variant}",
                    )
                )
    return report_of(SUMMER, counting.found(), SUMMER.end_ms)


def words_in(picture: str) -> str:
    return " ".join(ET.fromstring(picture).itertext())  # noqa: S314  our own drawing


def test_a_picture_shows_each_uplift_with_its_interval_and_says_what_is_not_known() -> None:
    words = words_in(uplift_picture(a_report(1000, 1000)))
    assert "summer: uplift over control" in words
    assert "treated" in words
    assert "+0.0%" in words
    assert "not known yet" in words  # nobody has bought
    assert "MISMATCH" not in words


def test_a_mismatch_of_samples_stands_on_the_picture() -> None:
    assert "SAMPLE RATIO MISMATCH" in words_in(uplift_picture(a_report(1000, 1400)))


def test_a_picture_of_nothing_is_a_picture() -> None:
    assert "not known yet" in words_in(uplift_picture(a_report(0, 0)))


def test_the_commands_need_neither_torch_nor_what_draws_other_reports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, "experiment", "selftest", "--runs", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith('{"aa_runs": 2'), done.stderr

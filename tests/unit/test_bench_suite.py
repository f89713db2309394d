"""What `endcap bench all` keeps, writes and draws, and what `endcap bench guard` calls worse."""

import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from endcap.deploy.bench.guard import RATIOS, guard, regressions
from endcap.deploy.bench.histogram import histogram
from endcap.deploy.bench.marked_page import with_part
from endcap.deploy.bench.plots import pictures_of
from endcap.deploy.bench.record import (
    Machine,
    Record,
    code_state,
    others_cpu_s,
    read_record,
    this_machine,
    write_record,
)
from endcap.deploy.bench.suite import BENCHMARKS, QUICK, Task, chosen, measure_all, publish
from endcap.deploy.bench.tables import table_of
from endcap.deploy.bench_cli import app
from endcap.errors import EndcapError

MACHINE = Machine(2, "Some CPU", 23.5)
ROOT = Path(__file__).parents[2]

FORM = {"p50_ms": 47.6, "p90_ms": 80.2, "p99_ms": 175.6, "max_ms": 1234.5, "lost": 0} | {
    "mean_ms": 55.1,
    "histogram": {"edges_ms": [39.81, 50.12, 63.1], "counts": [30, 10]},
    "p50_ratio_to_floor": 10.8,
    "p99_ratio_to_floor": 15.1,
    "parts": {"read": 0.21, "rescore": 0.33},
    "achieved_per_s": 999,
}
FOUND = {
    "rescore": {
        "users_per_s_per_core": 12_345,
        "lists_per_s_per_core": 992,
        "ratio_to_padded": 5.5,
        "ratio_to_torch": 9.5,
        "fraction_of_flop_limit": 0.36,
        "by_batch": [
            {"batch": 1, "users_per_s_per_core": 500, "padded_users_per_s_per_core": 200},
            {"batch": 8, "users_per_s_per_core": 2500, "padded_users_per_s_per_core": 400},
        ],
    },
    "latency": {
        **FORM,
        "floor_ms": {"p50": 4.4, "p99": 11.6},
        "two_process": FORM,
        "rate": 1000.0,
    },
    "catalogue": {
        "rows": [
            {"items": items, "way": way, "requests_per_s": rate, "p50_ms": 3.0, "p90_ms": p90}
            | {"recall_to_exact": recall, "memory_mib": 153}
            for items, way, rate, p90, recall in (
                (10_000, "exact", 100, 7.1, 1.0),
                (1_000_000, "index", 500, 61.0, 0.987),
            )
        ]
    },
    "http": {
        "ready_p50_ms": 1.2,
        "ready_p99_ms": 9.0,
        "rescore_p50_ms": 4.0,
        "rescore_p99_ms": 26.0,
        "achieved_per_s": 1000.0,
        "ready_max_per_s": 5000,
        "ready_ratio_to_empty": 0.61,
        "redis_get_per_s": 257_875,
        "plan": {"rate": 1000.0, "rescore_rate": 100.0},
    },
}


def record(name: str, **changed: object) -> Record:
    command = Task(name, BENCHMARKS[name]).command
    found = FOUND[name] | changed
    return Record(name, command, "2026-11-27", MACHINE, 0.1, "0123456789ab", found)


def page_for(*names: str) -> str:
    return "# Figures\n" + "".join(
        f"before {name}\n<!-- bench:{name} -->\nold\n<!-- /bench:{name} -->\nafter {name}\n"
        for name in names
    )


words = st.text(st.characters(exclude_characters="\r<", codec="utf-8"), max_size=60)


@settings(deadline=None)
@given(before=words, after=words, old=words, new=words)
def test_a_part_written_twice_is_the_same_as_once_and_nothing_else_is_touched(
    before: str, after: str, old: str, new: str
) -> None:
    first, last = "<!-- bench:x -->", "<!-- /bench:x -->"
    once = with_part(f"{before}\n{first}\n{old}\n{last}\n{after}", "x", new)
    assert with_part(once, "x", new) == once
    assert once.startswith(f"{before}\n{first}\n")
    assert once.endswith(f"\n{last}\n{after}")


@pytest.mark.parametrize(
    "page",
    [
        "no marker",
        "<!-- bench:http -->\nno end",
        "<!-- /bench:http -->\n<!-- bench:http -->",
        page_for("http", "http"),
    ],
)
def test_a_page_without_its_two_markers_is_an_error_that_names_them(page: str) -> None:
    with pytest.raises(EndcapError, match="<!-- bench:http -->"):
        with_part(page, "http", "table")


def test_tables_say_what_is_asked_for_what_misses_it_and_how_it_was_measured() -> None:
    rescore = table_of(record("rescore"), "bench")
    assert "| times the padded graph | 5.5 | 5 |" in rescore
    assert "| times the eager model in torch | **9.5** | 10 |" in rescore
    assert "| 8 | 2,500 | 400 |" in rescore
    assert "(bench/batches.svg)" in rescore
    assert (
        "`endcap bench rescore --json`, 2026-11-27, 2 cores of Some CPU, 23.5 GiB, "
        "other processes took 0.1 cores meanwhile, code 0123456789ab." in rescore
    )
    assert "not measured" in table_of(record("rescore", ratio_to_torch=None), "bench")
    latency = table_of(record("latency"), "bench")
    assert "| the floor | 4.4 | | 11.6 | | | |" in latency
    assert "| 47.6 | 80.2 | 175.6 | 1,234 | 10.8 / 15.1 | 0 |" in latency
    assert "**not reached**" in latency
    quick = {"p50_ratio_to_floor": 1.9, "p99_ratio_to_floor": 2.9}
    assert "none lost: reached" in table_of(record("latency", **quick), "bench")
    assert "none lost: **not reached**" in table_of(record("latency", **quick, lost=1), "bench")
    catalogue = table_of(record("catalogue"), "bench")
    assert "| 1,000,000 | index | 500 | 3 | **61** | 0.987 | 153 |" in catalogue
    http = table_of(record("http"), "bench")
    assert "| ready lists at 1000/s, p50 / p99, ms | 1.2 / 9 | p99 10 |" in http
    assert "4 / **26**" in http
    assert "| lists straight from Redis, /s | 257,875 | 40,000 |" in http


def test_the_page_in_docs_has_a_place_for_every_table() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for name in BENCHMARKS:
        assert table_of(record(name), "bench").strip() in with_part(
            page, name, table_of(record(name), "bench")
        )


def test_what_a_benchmark_takes_itself_is_not_taken_for_that_of_others() -> None:
    spin = "import time\nwhile time.process_time() < 0.5: pass"
    cores = psutil.cpu_count() or 1
    begun, before = time.monotonic(), others_cpu_s()
    spinning = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(cores)]
    assert [each.wait() for each in spinning] == [0] * cores
    left_to_others = (time.monotonic() - begun - 0.5) * cores
    # The system counts in hundredths of a second, each core by itself.
    assert others_cpu_s() - before < left_to_others + 0.2 * cores


def test_every_value_of_a_histogram_is_in_its_bin() -> None:
    values = [0.01, 3.0, 3.1, 9.99, 10.0, 250_000.0]
    found = histogram(values)
    assert sum(found["counts"]) == len(values)
    assert len(found["edges_ms"]) == len(found["counts"]) + 1
    at_ten = found["edges_ms"].index(10.0)
    assert found["counts"][at_ten] == found["counts"][at_ten - 1] == 1
    assert (found["counts"][0], found["counts"][-1]) == (1, 1)
    assert histogram([]) == {"edges_ms": [], "counts": []}


@pytest.mark.parametrize(("name", "file"), [("latency", "latency.svg"), ("rescore", "batches.svg")])
def test_a_picture_is_a_file_of_its_own_with_titles_units_and_both_schemes(
    name: str, file: str
) -> None:
    drawn = pictures_of(record(name))[file]
    root = ElementTree.fromstring(drawn)  # noqa: S314  drawn here
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    said = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    units = {
        "latency": {"milliseconds", "events, %"},
        "rescore": {"shoppers a batch", "shoppers/s"},
    }
    assert units[name] <= said
    assert "prefers-color-scheme: dark" in drawn
    assert "<script" not in drawn
    assert "href" not in drawn
    width, height = (float(size) for size in root.attrib["viewBox"].split()[2:])
    for line in root.iter("{http://www.w3.org/2000/svg}line"):
        assert 0 <= float(line.attrib["x1"]) <= width
        assert 0 <= float(line.attrib["y2"]) <= height


def test_the_floor_is_marked_even_where_all_lists_came_later() -> None:
    drawn = pictures_of(record("latency"))["latency.svg"]
    assert "floor: p50 4.4, p99 11.6 ms" in drawn
    at = [
        float(line.attrib["x1"])
        for line in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}line")  # noqa: S314
        if line.attrib["class"] == "floor" and line.attrib["x1"] == line.attrib["x2"]
    ]
    assert len(at) == 2
    assert at == sorted(at)


def test_what_was_measured_without_figures_for_a_picture_has_none() -> None:
    assert pictures_of(record("rescore", by_batch=[])) == {}
    assert pictures_of(record("http")) == {}
    assert "![" not in table_of(record("rescore", by_batch=[]), "bench")


@pytest.mark.parametrize("key", sorted(RATIOS))
def test_a_ratio_may_be_a_little_worse_and_is_named_when_it_is_more(key: str) -> None:
    name = next(n for n in FOUND if key in FOUND[n] or key in FOUND[n].get("rows", [{}])[0])
    ratio = RATIOS[key]
    was = 0.5

    def with_value(value: float) -> Record:
        if name != "catalogue":
            return record(name, **{key: value})
        first, second = FOUND["catalogue"]["rows"]
        return record(name, rows=[first, second | {key: value}])

    worse, way = (-1, "fell") if ratio.grows else (1, "rose")
    a_little, more = (was * (1 + worse * ratio.slack * share) for share in (0.9, 1.1))
    much_better = was / 2 if worse > 0 else was * 2
    assert regressions(with_value(was), with_value(a_little)) == []
    assert regressions(with_value(was), with_value(much_better)) == []
    (said,) = regressions(with_value(was), with_value(more))
    assert key in said
    assert f"{way} from 0.5 to {more:g}" in said
    assert f"`{record(name).command}`" in said
    assert ("1,000,000 items" in said) == (name == "catalogue")


def test_seconds_and_rates_are_never_compared() -> None:
    slow = {"users_per_s_per_core": 1, "lists_per_s_per_core": 1}
    assert regressions(record("rescore"), record("rescore", **slow)) == []
    slow = {"ready_p99_ms": 9000.0, "ready_max_per_s": 1}
    assert regressions(record("http"), record("http", **slow)) == []


def test_a_ratio_that_is_gone_or_was_measured_otherwise_is_no_pass() -> None:
    (said,) = regressions(record("rescore"), record("rescore", ratio_to_torch=None))
    assert "ratio_to_torch was 9.5 and is not measured now" in said
    rows = FOUND["catalogue"]["rows"][:1]
    (said,) = regressions(record("catalogue"), record("catalogue", rows=rows))
    assert "recall_to_exact at 1,000,000 items" in said
    other = msgspec.structs.replace(record("latency"), command="endcap bench latency --rate 1")
    (said,) = regressions(record("latency"), other)
    assert "cannot be compared" in said


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A repository with results of rescore and http."""
    folder = tmp_path / "docs" / "bench"
    for name in ("rescore", "http"):
        write_record(folder, record(name))
    who = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    for step in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "results")):
        subprocess.run(["git", *step], cwd=tmp_path, check=True)
    return folder


def test_the_guard_compares_a_folder_with_what_is_committed(committed: Path) -> None:
    assert guard(committed, ["rescore", "http"], "HEAD").worse == []
    write_record(committed, record("rescore", ratio_to_padded=2.0))
    ended = CliRunner().invoke(app, ["guard", str(committed), "--json"])
    assert ended.exit_code == 1
    found = msgspec.json.decode(ended.stdout)
    (said,) = found["worse"]
    assert "ratio_to_padded fell from 5.5 to 2, more than the 20% allowed" in said
    assert len(found["not_compared"]) == 2
    ended = CliRunner().invoke(app, ["guard", str(committed), "--only", "http", "--json"])
    assert ended.exit_code == 0
    (committed / "http.json").unlink()
    (said,) = guard(committed, ["http"], "HEAD").worse
    assert "gone" in said


def test_the_guard_says_where_it_has_nothing_to_compare_with(committed: Path) -> None:
    with pytest.raises(EndcapError, match="knows v99"):
        guard(committed, ["http"], "v99")
    with pytest.raises(EndcapError, match="no folder"):
        guard(committed / "none", ["http"], "HEAD")
    (committed / "http.json").write_text("{}")
    with pytest.raises(EndcapError, match="no benchmark's record"):
        guard(committed, ["http"], "HEAD")


def test_an_unknown_benchmark_is_an_error_and_the_order_is_always_the_same() -> None:
    assert [task.name for task in chosen("http, rescore", QUICK)] == ["rescore", "http"]
    assert [task.name for task in chosen("", BENCHMARKS)] == list(BENCHMARKS)
    with pytest.raises(EndcapError, match="no benchmark speed here"):
        chosen("speed,http", BENCHMARKS)


def test_a_result_is_written_with_its_tables_and_read_again(tmp_path: Path) -> None:
    page, folder = tmp_path / "performance.md", tmp_path / "bench"
    page.write_text(page_for(*BENCHMARKS))
    for name in BENCHMARKS:
        write_record(folder, record(name))
        publish(record(name), folder, page)
        assert read_record(folder, name) == record(name)
    written = page.read_text()
    assert "\nold\n" not in written
    assert all(f"before {name}\n" in written for name in BENCHMARKS)
    assert sorted(path.name for path in folder.glob("*.svg")) == ["batches.svg", "latency.svg"]


def test_a_failed_benchmark_stops_none_of_the_others_and_a_finished_one_is_kept(
    tmp_path: Path,
) -> None:
    # Options that the command refuses at once stand for whatever may fail.
    tasks = [Task("rescore", ("--users", "none")), Task("http", ("--rate", "none"))]
    page = tmp_path / "performance.md"
    page.write_text(page_for("rescore", "http"))
    said: list[str] = []
    ended = measure_all(tasks, tmp_path, page, False, said.append)
    assert (ended.measured, ended.kept, ended.failed) == ([], [], ["rescore", "http"])
    assert page.read_text() == page_for("rescore", "http")

    done = msgspec.structs.replace(
        record("http"), command=tasks[1].command, code=code_state(), machine=this_machine()
    )
    write_record(tmp_path, done)
    ended = measure_all(tasks, tmp_path, page, False, said.append)
    assert (ended.kept, ended.failed) == (["http"], ["rescore"])
    assert "before http" in page.read_text()
    assert "257,875" in page.read_text()
    assert measure_all(tasks[1:], tmp_path, page, True, said.append).failed == ["http"]
    assert read_record(tmp_path, "http") == done
    write_record(tmp_path, msgspec.structs.replace(done, code="another"))
    assert measure_all(tasks[1:], tmp_path, page, False, said.append).failed == ["http"]


def test_a_page_without_a_place_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    with pytest.raises(EndcapError, match="no page"):
        measure_all([Task("http", ())], tmp_path, page, False, print)
    page.write_text(page_for("rescore"))
    with pytest.raises(EndcapError, match="table of http"):
        measure_all([Task("rescore", ()), Task("http", ())], tmp_path, page, False, print)

"""The sections on all measurements together: head, table, machine; each is None where there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence

from ov_mobilenet.benchmarking.html import plots
from ov_mobilenet.benchmarking.html.drawing import MARKERS, SERIES
from ov_mobilenet.benchmarking.html.markup import Markup, Number, element, joined, table
from ov_mobilenet.benchmarking.html.words import NONE, Words, count, figure, percent
from ov_mobilenet.benchmarking.measurement import Failed, MachineFacts, Measurement, Report


def head(report: Report, words: Words) -> Markup:
    """Title, when and how, and the figures that matter most."""
    networks = dict.fromkeys(one.network.name for one in report.measurements)
    made = [element("p", "Measured ", element("time", report.created, datetime=report.created), class_="muted")]
    if report.command:
        made.append(element("p", element("code", report.command), class_="muted"))
    return joined(
        [
            element("h1", "Benchmark" + (f" of {', '.join(networks)}" if 0 < len(networks) <= 3 else "")),
            *made,
            element("div", *_tiles(report, words), class_="tiles"),
        ]
    )


def _tiles(report: Report, words: Words) -> list[Markup]:
    measured = report.measurements
    tiles = []
    if len(measured) == 1:
        one = measured[0]
        tiles += [
            _tile(figure(one.throughput_fps), "FPS", f"{one.count:,} images in {figure(one.duration_s)} s"),
            _tile(figure(one.latency_ms.p50), "ms p50", "median latency"),
            _tile(figure(one.latency_ms.p99), "ms p99", f"at most {figure(one.latency_ms.max)} ms"),
        ]
    elif measured:
        several = len({one.network.digest for one in measured})
        fastest = max(range(len(measured)), key=lambda index: measured[index].throughput_fps)
        quick = [index for index, one in enumerate(measured) if one.open_loop is None or not one.open_loop.saturated]
        tiles.append(_tile(str(len(measured)), "measurements", f"of {count(several, 'network')}"))
        tiles.append(_tile(figure(measured[fastest].throughput_fps), "FPS", f"the most: no. {words.keys[fastest]}"))
        if quick:
            best = min(quick, key=lambda index: measured[index].latency_ms.p50)
            tiles.append(_tile(figure(measured[best].latency_ms.p50), "ms p50", f"the least: no. {words.keys[best]}"))
    slower = sum(one.regressed for one in report.comparisons)
    if report.comparisons:
        tiles.append(
            _tile(str(slower), "slower than allowed", f"of {count(len(report.comparisons), 'comparison')}", slower)
        )
    if report.failures:
        tiles.append(_tile(str(len(report.failures)), "failed", "could not be measured", len(report.failures)))
    return tiles


def _tile(number: str, unit: str, more: str, bad: int = 0) -> Markup:
    return element("div", element("strong", number), unit, element("span", more), class_="tile bad" if bad else "tile")


def machine(of: MachineFacts) -> Markup:
    """Where it was measured, and a warning where others used it too."""
    flags = (
        "not known" if of.cpu_flags is None else ", ".join(name for name, has in of.cpu_flags.items() if has) or NONE
    )
    lacks = [] if of.cpu_flags is None else [name for name, has in of.cpu_flags.items() if not has]
    load = of.load
    facts = {
        "CPU": of.cpu, "cores": str(of.cores), "CPU flags": flags + (f" (not {', '.join(lacks)})" if lacks else ""),
        "system": of.system, "frequency governor": of.governor or "not known",
        "load before": f"{figure(load.average)} on average, CPU {percent(load.cpu_busy)} busy",
        "versions": ", ".join(f"{name} {version}" for name, version in of.versions.items()),
    }  # fmt: skip
    warning = (
        "The machine was busy before anything was measured: other programs took their part of it, "
        "and the figures below may be too low and too scattered."
    )
    return joined(
        [
            element("h2", "Machine"),
            element("div", element("p", warning), class_="note", role="note") if load.busy else "",
            facts_list(facts),
        ]
    )


def facts_list(facts: dict[str, str]) -> Markup:
    """Names and what they are."""
    pairs = (element("div", element("dt", name), element("dd", value)) for name, value in facts.items())
    return element("dl", *pairs, class_="facts")


def measurements(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """The table of all, and what they share."""
    if not all_of_them:
        return None
    unread = any(one.failed for one in all_of_them)
    heads = ["no.", *words.differing, *map(Number, (
        "FPS", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms", "FPS spread", "images", "busy cores",
        "memory MB", "J an image",
    )), *([Number("unread")] if unread else [])]  # fmt: skip
    rows = []
    for key, its, one in zip(words.keys, words.settings, all_of_them, strict=True):
        late, used = one.latency_ms, one.resources
        figures = (one.throughput_fps, late.p50, late.p90, late.p95, late.p99, late.p99_9, late.max)
        rows.append(
            [key, *(its[name] for name in words.differing), *(Number(figure(value)) for value in figures),
             Number(percent(one.spread.variation)), Number(f"{one.count:,}"), Number(figure(used.cpu_cores)),
             Number(figure(used.peak_memory_mb)), Number(figure(used.energy_per_image_j)),
             *([Number(f"{one.failed:,}")] if unread else [])]
        )  # fmt: skip
    heads, rows = _without_empty(heads, rows)
    said = "FPS are images per second. FPS spread is the standard deviation over equal intervals by the mean."
    if len(all_of_them) > 1:
        said += " The numbers in front stand for the measurements in every plot below."
    shared = "Settings" if len(all_of_them) == 1 else "The same in all"
    return joined(
        [
            element("h2", "Measurements"),
            element("p", said, class_="muted"),
            table("Measurements", heads, rows),
            element("h3", shared),
            facts_list({name: value for name, value in words.common.items() if value != NONE}),
            element("h3", "Networks"),
            _networks(all_of_them),
        ]
    )


def _networks(all_of_them: Sequence[Measurement]) -> Markup:
    """Which files ran, and on what."""
    rows = dict.fromkeys(
        (
            one.network.name,
            one.network.precision or NONE,
            Number(" × ".join("any" if size < 0 else str(size) for size in one.network.input_shape)),
            one.network.xml,
            element("code", one.network.digest[:16]),
            " ".join(filter(None, (one.device, one.device_name, one.device_version))),
        )
        for one in all_of_them
    )
    return table("Networks", ["network", "weights", Number("input"), "file", "SHA-256", "ran on"], rows)


def _without_empty(heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns in which any row says something."""
    kept = [place for place in range(len(heads)) if any(row[place] != NONE for row in rows)]
    return [heads[place] for place in kept], [[row[place] for place in kept] for row in rows]


def front(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """Throughput against latency."""
    if not all_of_them:
        return None
    told = [name for name in ("network", "weights", "mode", "device") if name in words.differing] or ["network"]
    groups: dict[str, list[int]] = {}
    for index, (one, its) in enumerate(zip(all_of_them, words.settings, strict=True)):
        name = " · ".join([*(its[name] for name in told), *(["images at a given rate"] if one.open_loop else [])])
        groups.setdefault(name, []).append(index)
    legend = [
        element("li", _mark(number), f"{name}: {', '.join(words.keys[index] for index in group)}")
        for number, (name, group) in enumerate(groups.items())
    ]
    said = "Up and to the left is better. The point is the median latency, the line ends at p95."
    if len(all_of_them) > 1:
        said += (
            " Dashed lines join what nothing of the same group beats in both throughput and latency. Hollow: "
            "the device did not keep up with the rate."
        )
    settings = element("ul", *(
        element("li", element("strong", key), " ", label) for key, label in zip(words.keys, words.labels, strict=True)
    ), class_="legend")  # fmt: skip
    drawing = plots.throughput_against_latency(all_of_them, list(groups.values()))
    return joined(
        [
            element("h2", "Throughput against latency"),
            element(
                "div", element("figure", drawing, element("figcaption", said)),
                element("div", element("ul", *legend, class_="legend"), settings),
                class_="beside",
            ),
        ]
    )  # fmt: skip


def _mark(number: int) -> Markup:
    colour, shape = plots.series(number)
    return plots.coloured(SERIES.index(colour), MARKERS[shape])


def failures(failed: Sequence[Failed]) -> Markup | None:
    """What could not be measured."""
    if not failed:
        return None
    rows = [[one.model, one.device, one.mode or NONE, one.error] for one in failed]
    return joined([element("h2", "Failures"), table("Failures", ["model", "device", "mode", "why"], rows)])

"""The sections of the report; each is None where there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence

from ov_mobilenet.measure.html import plots
from ov_mobilenet.measure.html.drawing import MARKERS, SERIES
from ov_mobilenet.measure.html.markup import Markup, Number, bar, element, joined, table
from ov_mobilenet.measure.html.words import NONE, Words, figure, percent
from ov_mobilenet.measure.measurement import Failed, Machine, Measurement, Report


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
            _tile(figure(one.throughput_fps), "FPS", f"{one.count:,} pictures in {figure(one.duration_s)} s"),
            _tile(figure(one.latency_ms.p50), "ms p50", "median latency"),
            _tile(figure(one.latency_ms.p99), "ms p99", f"at most {figure(one.latency_ms.max)} ms"),
        ]
    elif measured:
        several = len({one.network.digest for one in measured})
        fastest = max(range(len(measured)), key=lambda index: measured[index].throughput_fps)
        quick = [index for index, one in enumerate(measured) if one.open_loop is None or not one.open_loop.saturated]
        tiles.append(_tile(str(len(measured)), "measurements", f"of {_count(several, 'network')}"))
        tiles.append(_tile(figure(measured[fastest].throughput_fps), "FPS", f"the most: no. {words.keys[fastest]}"))
        if quick:
            best = min(quick, key=lambda index: measured[index].latency_ms.p50)
            tiles.append(_tile(figure(measured[best].latency_ms.p50), "ms p50", f"the least: no. {words.keys[best]}"))
    slower = sum(one.regressed for one in report.comparisons)
    if report.comparisons:
        tiles.append(
            _tile(str(slower), "slower than allowed", f"of {_count(len(report.comparisons), 'comparison')}", slower)
        )
    if report.failures:
        tiles.append(_tile(str(len(report.failures)), "failed", "could not be measured", len(report.failures)))
    return tiles


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _tile(number: str, unit: str, more: str, bad: int = 0) -> Markup:
    return element("div", element("strong", number), unit, element("span", more), class_="tile bad" if bad else "tile")


def machine(of: Machine) -> Markup:
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
        "FPS", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms", "FPS spread", "pictures", "busy cores",
        "memory MB", "J a picture",
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
    said = "FPS are pictures a second. FPS spread is the standard deviation over equal intervals by the mean."
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
        name = " · ".join([*(its[name] for name in told), *(["pictures at a given rate"] if one.open_loop else [])])
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
    return _coloured(SERIES.index(colour), MARKERS[shape])


def _coloured(number: int, character: str) -> Markup:
    style = f"color:var(--series-{number % len(SERIES) + 1})"
    return element("span", character, class_="mark", style=style, aria_hidden="true")


def distributions(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """Of each measurement: how its latencies spread, and how its throughput went."""
    cards = []
    for key, label, one in zip(words.keys, words.labels, all_of_them, strict=True):
        late, spread = one.latency_ms, one.spread
        drawn = []
        if any(one.histogram.counts):
            said = f"p50 {figure(late.p50)}, p95 {figure(late.p95)}, p99 {figure(late.p99)}, max {figure(late.max)} ms."
            if one.open_loop is not None and one.open_loop.saturated:
                said += " The device did not keep up: these say how long it was measured."
            drawn.append(_figure(plots.latency_histogram(one.histogram, late, key), said))
        if spread.fps:
            said = (
                f"{_count(len(spread.fps), 'interval')} of {figure(spread.interval_s)} s: {figure(spread.min)} to "
                f"{figure(spread.max)} FPS, spread {percent(spread.variation)}; dashed: the median, {figure(spread.median)}."
            )
            drawn.append(_figure(plots.throughput_over_time(spread, key), said))
        if drawn:
            title = f"{key} {label}" if len(all_of_them) > 1 else label
            cards.append(element("div", element("h3", title), element("div", *drawn, class_="beside"), class_="card"))
    return joined([element("h2", "Latency distribution and throughput over time"), *cards]) if cards else None


def _figure(drawing: Markup, said: str) -> Markup:
    return element("figure", drawing, element("figcaption", said))


def stages(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """Where the time of a picture goes, end to end."""
    rows = [
        (key, label, one.stages_ms)
        for key, label, one in zip(words.keys, words.labels, all_of_them, strict=True)
        if one.stages_ms
    ]
    names = list(dict.fromkeys(name for _, _, its in rows for name in its if name != "total"))
    if not names:
        return None
    means = [(key, {name: its[name].mean for name in names if name in its}) for key, _, its in rows]
    legend = [element("li", _coloured(number, "■"), name) for number, name in enumerate(names)]
    columns = [*names, "total"]
    cells = [
        [key, *(
            Number(f"{figure(its[name].mean)} / {figure(its[name].p95)}" if name in its else NONE) for name in columns
        ), label]
        for key, label, its in rows
    ]  # fmt: skip
    said = "Mean of each stage of a picture, from its file's first byte to its classes, one after the other."
    return joined(
        [
            element("h2", "Stages, end to end"),
            element(
                "div",
                _figure(plots.stage_bars(means, names), said),
                element("ul", *legend, class_="legend"),
                class_="beside",
            ),
            element("p", "Milliseconds a picture: mean / p95.", class_="muted"),
            table("Stages", ["no.", *map(Number, columns), "measurement"], cells),
        ]
    )


def start_up(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """Until the first answer."""
    taken = [
        (key, label, one.start_up_ms)
        for key, label, one in zip(words.keys, words.labels, all_of_them, strict=True)
        if one.start_up_ms is not None
    ]
    if not taken:
        return None
    longest = max(max(its.compile, its.first_inference, its.cached_compile or 0.0) for *_, its in taken) or 1.0
    rows: list[list[str]] = []
    for key, label, its in taken:
        row: list[str] = [key]
        for value in (its.compile, its.cached_compile, its.first_inference):
            row += [Number(figure(value)), NONE if value is None else bar(value / longest)]
        rows.append([*row, label])
    columns = ("compile ms", "from the cache ms", "first inference ms")
    heads = ["no.", *(cell for name in columns for cell in (Number(name), "")), "measurement"]
    return joined([element("h2", "Start-up"), table("Start-up", heads, rows)])


def open_loop(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """Pictures that came at a given rate."""
    rows = []
    for key, label, one in zip(words.keys, words.labels, all_of_them, strict=True):
        its = one.open_loop
        if its is None:
            continue
        kept_up = element("span", "saturated", class_="bad") if its.saturated else Markup("yes")
        figures = (its.rate_fps, one.throughput_fps, one.latency_ms.p50, one.latency_ms.p99)
        rows.append(
            [key, kept_up, *(Number(figure(value)) for value in figures), Number(f"{its.longest_queue:,}"),
             Number(f"{its.left:,}"), label]
        )  # fmt: skip
    if not rows:
        return None
    said = (
        "Latency counts from the picture's arrival, so it holds the time in the queue. Where the device was saturated "
        "the queue grew, and the latencies say how long it was measured."
    )
    heads = ["no.", "kept up", *map(Number, (
        "FPS that came", "FPS answered", "p50 ms", "p99 ms", "longest queue", "left",
    )), "measurement"]  # fmt: skip
    return joined(
        [
            element("h2", "Pictures at a given rate"),
            element("p", said, class_="muted"),
            table("Pictures at a given rate", heads, rows),
        ]
    )


def layers(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """Which layers take the time."""
    parts: list[Markup] = []
    for key, label, one in zip(words.keys, words.labels, all_of_them, strict=True):
        its = one.layers
        if its is None:
            continue
        kinds = [
            [kind.type, kind.precision or NONE, Number(str(kind.count)), Number(figure(kind.time_ms)),
             Number(percent(kind.share)), bar(kind.share)]
            for kind in its.by_type
        ]  # fmt: skip
        longest = max((layer.share for layer in its.top), default=0.0) or 1.0
        top = [
            [layer.name, layer.type, layer.precision or NONE, Number(figure(layer.time_ms)),
             Number(percent(layer.share)), bar(layer.share / longest), layer.implementation or NONE]
            for layer in its.top
        ]  # fmt: skip
        time = [Number("ms"), Number("share"), ""]
        said = f"{figure(its.total_ms)} ms of layers a request, mean of {_count(its.requests, 'request')}."
        shown = {"open": ""} if len(parts) < 2 else {}
        parts.append(
            element(
                "details",
                element("summary", f"{key} {label}" if len(all_of_them) > 1 else label),
                element("p", said, class_="muted"),
                element("h3", "By type and precision"),
                table(f"Layers of {key} by type", ["type", "precision", Number("layers"), *time], kinds),
                element("h3", "The longest layers"),
                table(f"Longest layers of {key}", ["layer", "type", "precision", *time, "implementation"], top),
                **shown,
            )
        )
    said = "By the device's own account, measured apart: counting slows it down."
    return joined([element("h2", "Layers"), element("p", said, class_="muted"), *parts]) if parts else None


def comparisons(report: Report, words: Words) -> Markup | None:
    """Against an earlier measurement, or another command."""
    if not report.comparisons:
        return None
    known = [(_nth(words.keys, one.measurement), one) for one in report.comparisons]
    rows = []
    for key, one in known:
        verdict = element("span", "slower than allowed", class_="bad") if one.regressed else Markup("within the limit")
        interval = NONE
        if one.low is not None and one.high is not None:
            interval = f"{one.low:.3f} to {one.high:.3f} ({100 * one.confidence:g} %)"
        rows.append(
            [key, verdict, Number(f"{one.ratio:.3f}"), Number(interval), Number(figure(one.baseline_fps)),
             Number(figure(one.present_fps)), Number(percent(one.max_regression)), Number(str(one.pairs)), one.way,
             one.baseline, _nth(words.labels, one.measurement)]
        )  # fmt: skip
    heads = ["no.", "verdict", *map(Number, (
        "ratio", "interval", "baseline FPS", "FPS", "allowed loss", "pairs",
    )), "way", "baseline", "measurement"]  # fmt: skip
    said = (
        "Throughput by the baseline's, with its confidence interval: below 1 it has become slower. Dotted: what is "
        "allowed. A cross: slower than that."
    )
    return joined([element("h2", "Comparisons"), _figure(plots.ratios(known), said), table("Comparisons", heads, rows)])


def _nth(texts: Sequence[str], index: int) -> str:
    return texts[index] if 0 <= index < len(texts) else NONE


def failures(failed: Sequence[Failed]) -> Markup | None:
    """What could not be measured."""
    if not failed:
        return None
    rows = [[one.model, one.device, one.mode or NONE, one.error] for one in failed]
    return joined([element("h2", "Failures"), table("Failures", ["model", "device", "mode", "why"], rows)])

"""The sections on what a measurement holds beyond its figures; each is None where no measurement has it."""

from __future__ import annotations

from collections.abc import Sequence

from ov_mobilenet.benchmarking.html import plots
from ov_mobilenet.benchmarking.html.markup import Markup, Number, bar, element, joined, table
from ov_mobilenet.benchmarking.html.words import NONE, Words, count, figure, percent
from ov_mobilenet.benchmarking.measurement import Measurement, Report


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
                f"{count(len(spread.fps), 'interval')} of {figure(spread.interval_s)} s: {figure(spread.min)} to "
                f"{figure(spread.max)} FPS, spread {percent(spread.variation)}; dashed: median {figure(spread.median)}."
            )
            drawn.append(_figure(plots.throughput_over_time(spread, key), said))
        if drawn:
            title = f"{key} {label}" if len(all_of_them) > 1 else label
            cards.append(element("div", element("h3", title), element("div", *drawn, class_="beside"), class_="card"))
    return joined([element("h2", "Latency distribution and throughput over time"), *cards]) if cards else None


def _figure(drawing: Markup, said: str) -> Markup:
    return element("figure", drawing, element("figcaption", said))


def stages(all_of_them: Sequence[Measurement], words: Words) -> Markup | None:
    """Where the time of an image goes, end to end."""
    rows = [
        (key, label, one.stages_ms)
        for key, label, one in zip(words.keys, words.labels, all_of_them, strict=True)
        if one.stages_ms
    ]
    names = list(dict.fromkeys(name for _, _, its in rows for name in its if name != "total"))
    if not names:
        return None
    means = [(key, {name: its[name].mean for name in names if name in its}) for key, _, its in rows]
    legend = [element("li", plots.coloured(number, "■"), name) for number, name in enumerate(names)]
    columns = [*names, "total"]
    cells = [
        [key, *(
            Number(f"{figure(its[name].mean)} / {figure(its[name].p95)}" if name in its else NONE) for name in columns
        ), label]
        for key, label, its in rows
    ]  # fmt: skip
    said = "Mean of each stage of an image, from its file's first byte to its classes, one after the other."
    return joined(
        [
            element("h2", "Stages, end to end"),
            element(
                "div",
                _figure(plots.stage_bars(means, names), said),
                element("ul", *legend, class_="legend"),
                class_="beside",
            ),
            element("p", "Milliseconds an image: mean / p95.", class_="muted"),
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
    """Images that came at a given rate."""
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
        "Latency counts from the image's arrival, so it holds the time in the queue. Where the device was saturated "
        "the queue grew, and the latencies say how long it was measured."
    )
    heads = ["no.", "kept up", *map(Number, (
        "FPS that came", "FPS answered", "p50 ms", "p99 ms", "longest queue", "left",
    )), "measurement"]  # fmt: skip
    return joined(
        [
            element("h2", "Images at a given rate"),
            element("p", said, class_="muted"),
            table("Images at a given rate", heads, rows),
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
        said = f"{figure(its.total_ms)} ms of layers a request, mean of {count(its.requests, 'request')}."
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

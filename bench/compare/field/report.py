"""Results to a Markdown table and an SVG plot."""

import statistics
from html import escape


def median_of(values, digits=0):
    """ "median [least to most]", or "-"."""
    if not values:
        return "-"
    texts = (f"{x:.{digits}f}" for x in (statistics.median(values), min(values), max(values)))
    return "{} [{} to {}]".format(*texts)


def pixels_of(pixels):
    if not pixels:
        return "-"
    if "error" in pixels:
        return pixels["error"]
    return "none" if not pixels["max"] else f"mean {pixels['mean']:.4f}, max {pixels['max']}"


def loaders_table(results):
    lines = ["| loader | images per CPU s, one core | images/s, two cores | memory, MB |"
             " first batch, s | pixels that differ |", "|---|---|---|---|---|---|"]  # fmt: skip
    for name, result in results.items():
        if "error" in result:
            lines.append(f"| {name} | {result['error'][:120].replace('|', '/')} | | | | |")
            continue
        one, two = result["one core"], result["two cores"]
        lines.append(
            f"| {name}{' (' + result['remark'] + ')' if result['remark'] else ''} "
            f"| {median_of([r['images'] / r['cpu'] for r in one if r['cpu']])} "
            f"| {median_of([r['images'] / r['seconds'] for r in two])} "
            f"| {result['pss'] / 1e6:.0f} "
            f"| {median_of([r['first'] for r in two], 2)} "
            f"| {pixels_of(result['pixels'])} |"
        )
    return "\n".join(lines)


def decoders_table(results):
    lines = ["| decoder | images per CPU s | pixels that differ from Pillow's |", "|---|---|---|"]
    for name, result in results.items():
        if "error" in result:
            lines.append(f"| {name} | {result['error'][:120].replace('|', '/')} | |")
            continue
        lines.append(
            f"| {name}, {result['version']} | {median_of(result['rates'])} "
            f"| {pixels_of(result['pixels'])} |"
        )
    return "\n".join(lines)


def bars(groups):
    """SVG of medians with their least and most. `groups`: {title: {name: values}}."""
    row, left, width = 24, 250, 760
    body, y = [], 10
    for title, rows in groups.items():
        y += 22
        body.append(f'<text x="10" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += 10
        most = max((max(values) for values in rows.values() if values), default=1)
        scale = (width - left - 60) / most
        for name, values in rows.items():
            middle = y + row / 2
            body.append(f'<text x="{left - 8}" y="{middle + 4}" text-anchor="end">'
                        f"{escape(name)}</text>")  # fmt: skip
            if values:
                colour = "#c2410c" if name.startswith("ringfeed") else "#64748b"
                median = statistics.median(values)
                low, high = left + min(values) * scale, left + max(values) * scale
                body.append(f'<rect x="{left}" y="{y + 4}" width="{median * scale:.1f}" '
                            f'height="{row - 8}" fill="{colour}"/>')  # fmt: skip
                body.append(f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="black"/>')
                body.append(f'<text x="{high + 6:.1f}" y="{middle + 4}">{median:.0f}</text>')
            y += row
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 10}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{y + 10}" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )

//! The figures as a picture: one panel for each shape, one bar for each server.

use std::fmt::Write;

use super::number::short;
use crate::{
    results::{ContenderResult, GroupResult, ShapeResult},
    run::Run,
    statistics::Verdict,
    terms::Group,
};

const COLUMNS: usize = 3;
const PANEL_WIDTH: f64 = 304.0;
const MARGIN: f64 = 12.0;
const WIDTH: f64 = COLUMNS as f64 * PANEL_WIDTH + MARGIN;
/// Where bars begin, from the panel's left edge, and the length of the longest.
const BARS_AT: f64 = 144.0;
const BAR_LENGTH: f64 = 94.0;
const BAR_HEIGHT: f64 = 11.0;
const LINE: f64 = 16.0;
/// The height of title, unit and ratio above the bars.
const PANEL_HEAD: f64 = 37.0;
const PANEL_GAP: f64 = 14.0;

/// Colours for light pages and for dark ones.
const STYLE: &str = "
text { font: 11px system-ui, sans-serif; fill: #1f2328 }
.head { font-size: 15px; font-weight: 600 }
.title { font-size: 12px; font-weight: 600 }
.small { font-size: 10px; fill: #59636e }
.corelane { fill: #0969da }
.best { fill: #8c959f }
.peer { fill: #c8cfd6 }
.whisker { stroke: #1f2328; stroke-width: 1.2; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.small { fill: #9198a1 }
.corelane { fill: #4493f8 }
.best { fill: #848d97 }
.peer { fill: #4b535d }
.whisker { stroke: #f0f6fc }
}
";

pub fn picture(run: &Run) -> String {
    let mut body = String::new();
    // Writing to a String cannot fail.
    let height = draw(&mut body, run).unwrap_or_default();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"corelane against its peers\">\n\
         <style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// Returns the height of the picture.
fn draw(out: &mut String, run: &Run) -> Result<f64, std::fmt::Error> {
    let mut y = MARGIN + 10.0;
    legend(out, y)?;
    for group in Group::ALL {
        let panels: Vec<_> = run
            .shapes
            .iter()
            .filter_map(|shape| Some((shape, shape.group(group)?)))
            .filter(|(_, it)| it.servers.iter().any(|server| server.figure().is_some()))
            .collect();
        if panels.is_empty() {
            continue;
        }
        y += 30.0;
        text(out, MARGIN, y, "head", &heading(group))?;
        y += 8.0;
        for row in panels.chunks(COLUMNS) {
            for (column, (shape, group)) in row.iter().enumerate() {
                panel(out, MARGIN + column as f64 * PANEL_WIDTH, y, shape, group)?;
            }
            let most = row
                .iter()
                .map(|(_, group)| group.servers.len())
                .max()
                .unwrap_or(0);
            y += PANEL_HEAD + most as f64 * LINE + PANEL_GAP;
        }
    }
    Ok(y)
}

fn heading(group: Group) -> String {
    match group {
        Group::Tls13 => "TLS 1.3: corelane on rustls".into(),
        Group::Tls12 => "TLS 1.2: corelane on native-tls".into(),
    }
}

fn legend(out: &mut String, y: f64) -> std::fmt::Result {
    let mut x = MARGIN;
    for (class, label, width) in [
        ("corelane", "corelane", 80.0),
        ("best", "best peer", 82.0),
        ("peer", "other peers", 92.0),
    ] {
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"11\" height=\"11\"/>",
            y - 9.5
        )?;
        text(out, x + 16.0, y, "", label)?;
        x += width;
    }
    whisker(out, x, x + 18.0, y - 4.0)?;
    text(out, x + 24.0, y, "", "half of the rounds lie within")?;
    let short_is_good =
        "shorter is better; below the title: corelane by the best peer, round by round";
    text(out, x + 190.0, y, "", short_is_good)
}

fn panel(
    out: &mut String,
    x: f64,
    y: f64,
    shape: &ShapeResult,
    group: &GroupResult,
) -> std::fmt::Result {
    writeln!(
        out,
        "<text x=\"{x}\" y=\"{}\"><tspan class=\"title\">{}</tspan>\
         <tspan class=\"small\" dx=\"6\">{}</tspan></text>",
        y + 14.0,
        shape.name,
        shape.unit
    )?;
    text(out, x, y + 29.0, "", &ratio(group))?;
    let figures = group.servers.iter().filter_map(ContenderResult::figure);
    // The longest bar and its whisker fit. The quartile of a far outlier is cut off.
    let (mut median, mut quartile) = (0.0_f64, 0.0_f64);
    for figure in figures {
        median = median.max(figure.median);
        quartile = quartile.max(figure.upper_quartile);
    }
    let scale = BAR_LENGTH / quartile.min(median * 1.5).max(f64::MIN_POSITIVE);
    for (index, server) in group.servers.iter().enumerate() {
        let y = y + PANEL_HEAD + index as f64 * LINE;
        bar(out, x, y, scale, group, server)?;
    }
    Ok(())
}

fn bar(
    out: &mut String,
    x: f64,
    y: f64,
    scale: f64,
    group: &GroupResult,
    server: &ContenderResult,
) -> std::fmt::Result {
    let baseline = y + BAR_HEIGHT - 1.5;
    text(out, x, baseline, "", &label(server))?;
    let begin = x + BARS_AT;
    let Some(figure) = server.figure() else {
        return text(out, begin, baseline, "small", "error");
    };
    let class = match server.contender.server {
        server if server.is_corelane() => "corelane",
        _ if group.best_peer.as_ref() == Some(&server.name) => "best",
        _ => "peer",
    };
    let end = |value: f64| begin + (value * scale).min(BAR_LENGTH);
    writeln!(
        out,
        "<rect class=\"{class}\" x=\"{begin}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\"/>",
        end(figure.median) - begin
    )?;
    whisker(
        out,
        end(figure.lower_quartile),
        end(figure.upper_quartile),
        y + BAR_HEIGHT / 2.0,
    )?;
    let after = end(figure.upper_quartile.max(figure.median)) + 5.0;
    text(out, after, baseline, "", &short(figure.median))
}

fn whisker(out: &mut String, from: f64, to: f64, y: f64) -> std::fmt::Result {
    let (top, bottom) = (y - 3.0, y + 3.0);
    writeln!(
        out,
        "<path class=\"whisker\" d=\"M{from:.1} {top}V{bottom}M{from:.1} {y}H{to:.1}M{to:.1} {top}V{bottom}\"/>"
    )
}

fn text(out: &mut String, x: f64, y: f64, class: &str, text: &str) -> std::fmt::Result {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    )
}

/// "0.82 × nginx", with a note if the rounds do not agree.
fn ratio(group: &GroupResult) -> String {
    match (&group.best_peer, group.ratio_to_best_peer) {
        (Some(peer), Some(ratio)) => {
            let unsure = match ratio.against(1.0) {
                Verdict::Undecided => ", undecided",
                Verdict::Met | Verdict::Missed => "",
            };
            format!("{:.2} × {}{unsure}", ratio.median, plain(peer))
        }
        _ => String::new(),
    }
}

/// Without "+ tokio-", which does not fit into a panel.
fn plain(name: &str) -> String {
    name.replace(" + tokio-", " ")
}

fn label(server: &ContenderResult) -> String {
    plain(&server.name).replace(", 2 workers", " ×2")
}

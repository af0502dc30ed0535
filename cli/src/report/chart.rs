//! The latency histogram as SVG.

use super::Latency;
use std::fmt::{self, Write};

/// Draws the histogram: durations to the right by powers, decisions upwards.
pub(crate) fn latency(latency: &Latency) -> String {
    let mut svg = String::new();
    // A String takes whatever is written.
    let _ = write(&mut svg, latency);
    svg
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 10.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 44.0;

fn write(svg: &mut String, latency: &Latency) -> fmt::Result {
    // Below a nanosecond there is nothing; the axis begins at one.
    let at = |nanoseconds: u64| (nanoseconds.max(1) as f64).ln();
    // A few decisions that took long, as when the machine did something else, would leave no room
    // for the others.
    let end = latency.quantile(0.9999);
    let buckets: Vec<(u64, u64, u64)> =
        latency.buckets().take_while(|(first, ..)| *first <= end).collect();
    let low = buckets.first().map_or(0.0, |(first, ..)| at(*first));
    let high = buckets.last().map_or(1.0, |(_, next, _)| at(*next)).max(low + 0.1);
    let x =
        |nanoseconds: u64| LEFT + (WIDTH - LEFT - RIGHT) * (at(nanoseconds) - low) / (high - low);
    // The first bucket can begin at 0 ns, which is no power.
    let density = |first: u64, next: u64, count: u64| {
        let width = at(next) - at(first);
        if width > 0.0 { count as f64 / width } else { count as f64 }
    };
    let most = buckets.iter().map(|(first, next, count)| density(*first, *next, *count));
    let most = most.fold(f64::MIN_POSITIVE, f64::max);
    let base = HEIGHT - BOTTOM;
    let [half, most_of, nearly_all] = QUANTILES.map(|(_, share)| latency.quantile(share));
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         role=\"img\" aria-labelledby=\"latency-title latency-desc\">\n\
         <title id=\"latency-title\">How long decisions took</title>\n\
         <desc id=\"latency-desc\">A histogram of {} decisions. Half took at most {}, 99 % at most \
         {}, 99.9 % at most {}.</desc>",
        latency.total(),
        duration(half),
        duration(most_of),
        duration(nearly_all),
    )?;
    svg.push_str("<path class=\"bars\" d=\"");
    for (first, next, count) in buckets.iter().filter(|(.., count)| *count > 0) {
        let height = (base - TOP) * density(*first, *next, *count) / most;
        let (left, right) = (x(*first), x(*next));
        // What is there is seen, however little.
        write!(svg, "M{left:.1} {base}v-{:.1}H{right:.1}V{base}z", height.max(1.0))?;
    }
    writeln!(svg, "\"/>\n<path class=\"axis\" d=\"M{LEFT} {base}H{}\"/>", WIDTH - RIGHT)?;
    for nanoseconds in ticks(low, high) {
        let x = x(nanoseconds);
        let anchor = match x {
            ..30.0 => "start",
            x if x > WIDTH - 30.0 => "end",
            _ => "middle",
        };
        writeln!(
            svg,
            "<path class=\"axis\" d=\"M{x:.1} {base}v5\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            base + 18.0,
            duration(nanoseconds),
        )?;
    }
    let mut free = f64::NEG_INFINITY;
    for (name, share) in QUANTILES {
        let nanoseconds = latency.quantile(share);
        let x = x(nanoseconds.saturating_add(1)).min(WIDTH - RIGHT);
        write!(svg, "<path class=\"at\" d=\"M{x:.1} {TOP}V{base}\"/>")?;
        let anchor = if x > WIDTH - 60.0 { "end" } else { "start" };
        // Names that would lie on each other are in the table only.
        if x - free > 40.0 {
            write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{name}</text>",
                TOP - 6.0
            )?;
            free = x;
        }
        svg.push('\n');
    }
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">time of a decision, by powers</text>\n</svg>",
        WIDTH / 2.0,
        HEIGHT - 6.0,
    )
}

/// What is marked in the histogram.
pub(crate) const QUANTILES: [(&str, f64); 3] = [("50 %", 0.5), ("99 %", 0.99), ("99.9 %", 0.999)];

/// Durations to write at the axis: as round as they can be, and not more than a dozen.
fn ticks(low: f64, high: f64) -> Vec<u64> {
    for steps in [[1, 2, 5].as_slice(), &[1, 3], &[1]] {
        let powers = (0..19).map(|power| 10_u64.pow(power));
        let all = powers.flat_map(|ten| steps.iter().map(move |step| ten.saturating_mul(*step)));
        let ticks: Vec<u64> =
            all.filter(|tick| (low..=high).contains(&(*tick as f64).ln())).collect();
        if ticks.len() <= 12 {
            return ticks;
        }
    }
    Vec::new()
}

/// A duration with its unit: `85 ns`, `1.5 µs`.
pub(crate) fn duration(nanoseconds: u64) -> String {
    let (unit, size) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => ("\u{b5}s", 1e3),
        1_000_000..1_000_000_000 => ("ms", 1e6),
        _ => ("s", 1e9),
    };
    let number = format!("{:.2}", nanoseconds as f64 / size);
    format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let found = [0, 999, 1000, 1500, 12_345, 2_000_000, 1_000_000_000].map(duration);
        let expected =
            ["0 ns", "999 ns", "1 \u{b5}s", "1.5 \u{b5}s", "12.35 \u{b5}s", "2 ms", "1 s"];
        assert_eq!(found, expected);
    }

    #[test]
    fn any_histogram_is_drawn_without_what_is_no_number() {
        let of = |durations: &[u64]| {
            let mut counted = Latency::default();
            durations.iter().for_each(|duration| counted.add(*duration));
            latency(&counted)
        };
        for durations in [&[][..], &[0], &[0, 1], &[1], &[u64::MAX], &[0, 5, 1000, u64::MAX]] {
            let svg = of(durations);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{durations:?} {svg}");
            roxmltree::Document::parse(&svg).unwrap();
        }
    }

    #[test]
    fn axis_has_a_dozen_round_numbers_at_most() {
        for high in [1.0, 5.0, 10.0, 20.0, 44.0] {
            let ticks = ticks(0.0, high);
            assert!((1..=12).contains(&ticks.len()) || high > 25.0, "{ticks:?}");
            assert!(ticks.is_sorted());
        }
    }
}

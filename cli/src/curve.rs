//! The trade-off between rules of the first stage and what is sent to the extension.

use std::fmt::Write;

/// Returns the points that are worth printing: 0, 1, 2, 5, 10 and so on, and the last.
pub(crate) fn points(curve: &[f64]) -> impl Iterator<Item = (usize, f64)> + '_ {
    let last = curve.len().saturating_sub(1);
    let tens = std::iter::successors(Some(1_usize), |ten| ten.checked_mul(10));
    let steps = tens.flat_map(|ten| [Some(ten), ten.checked_mul(2), ten.checked_mul(5)]).flatten();
    let counts = std::iter::once(0).chain(steps.take_while(move |count| *count < last));
    let counts = counts.chain((last > 0).then_some(last));
    counts.filter_map(|count| Some((count, *curve.get(count)?)))
}

/// Returns a share in percent, with as many digits as say something.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.01 => format!("{percent:.2e} %"),
        percent => format!("{percent:.4} %"),
    }
}

/// Draws the curve: rules to the right, both axes by powers of ten.
pub(crate) fn svg(curve: &[f64], of_what: &str) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 400.0;
    const LEFT: f64 = 80.0;
    const RIGHT: f64 = 20.0;
    const TOP: f64 = 20.0;
    const BOTTOM: f64 = 50.0;
    let seen = || curve.iter().copied().filter(|share| share.is_finite() && *share > 0.0);
    let highest = seen().fold(f64::MIN_POSITIVE, f64::max).log10().ceil();
    let lowest = seen().fold(1.0, f64::min).log10().floor().min(highest - 1.0);
    let most = (curve.len().max(2) as f64).log10();
    let x = |count: usize| LEFT + (WIDTH - LEFT - RIGHT) * ((count + 1) as f64).log10() / most;
    let y = |share: f64| {
        // What is nothing lies on the axis.
        let power = if share > 0.0 { share.log10() } else { lowest };
        TOP + (HEIGHT - TOP - BOTTOM) * (highest - power) / (highest - lowest)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    // A String takes whatever is written.
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut power = highest;
    while power >= lowest {
        let at = y(10_f64.powf(power));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            power_of_ten(power + 2.0),
        );
        power -= ((highest - lowest) / 8.0).ceil();
    }
    for (count, _) in points(curve) {
        let digits = count.to_string();
        if count == 0 || digits.trim_end_matches('0') == "1" || count + 1 == curve.len() {
            let at = x(count);
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{count}</text>",
                bottom + 18.0,
            );
        }
    }
    let line: Vec<String> = (0..)
        .zip(curve)
        .filter(|(_, share)| share.is_finite())
        .map(|(count, share)| format!("{:.1},{:.1}", x(count), y(*share)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" points=\"{}\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">rules of the first stage</text>\n\
         <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">sent to the \
         extension, % {of_what}</text>\n</svg>",
        line.join(" "),
        (LEFT + right) / 2.0,
        HEIGHT - 12.0,
        (TOP + bottom) / 2.0,
    );
    svg
}

fn power_of_ten(power: f64) -> String {
    match power {
        -3.0..=2.0 => format!("{}", 10_f64.powf(power)),
        _ => format!("1e{power}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_few_and_have_both_ends() {
        let counts = |len| points(&vec![0.5; len]).map(|(count, _)| count).collect::<Vec<_>>();
        assert!(counts(0).is_empty());
        assert_eq!(counts(1), [0]);
        assert_eq!(counts(2), [0, 1]);
        assert_eq!(counts(101), [0, 1, 2, 5, 10, 20, 50, 100]);
        assert_eq!(counts(101 + 34), [0, 1, 2, 5, 10, 20, 50, 100, 134]);
    }

    #[test]
    fn percents_say_something() {
        let found = [0.0, 1e-9, 0.001, 0.5, 1.0].map(percent);
        assert_eq!(found, ["0 %", "1.00e-7 %", "0.1000 %", "50.0000 %", "100.0000 %"]);
    }

    #[test]
    fn picture_has_a_point_for_each_finite_share() {
        let picture = svg(&[f64::INFINITY, 1.0, 0.5, 0.001, 0.0], "of the space");
        let line = picture.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(line.split(' ').count(), 4);
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        assert!(!svg(&[0.0], "of the space").contains("NaN"));
        assert!(!svg(&[f64::INFINITY], "of the space").contains("inf"));
    }
}
